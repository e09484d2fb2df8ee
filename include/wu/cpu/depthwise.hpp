// Depthwise convolution on the CPU: lines of the picture over threads, channels in the vector lanes. Away from the borders four
// pixels side by side are taken at once, so that a filter's value is loaded once for all four.
#pragma once

#include <algorithm>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/lanes.hpp"
#include "wu/cpu/row_groups.hpp"
#include "wu/cpu/target.hpp"
#include "wu/ops/depthwise.hpp"

namespace wu::cpu::inline WU_CPU_TARGET {

namespace kernel {
/// Pictures (count, height, width, C), filters (K K, C).
struct Pictures {
  Index count, height, width, C, K;
};

template <class T>
struct Depthwise {
  using Sum = accumulator_t<T>;
  static void forward(Context& ctx, T* y, const T* x, const T* W, Pictures size);
  static void input_gradient(Context& ctx, T* dx, const T* dy, const T* W, Pictures size);
  static void filter_gradient(Context& ctx, Sum* dW, const T* dy, const T* x, Pictures size);

 private:
  /// to (P, C) = sum over i, j of W(i K + j) times the P pixels from line(i) + j * step on.
  template <Index P, class Line>
  static void gather(T* to, const Line& line, Index step, const T* W, Index C, Index K);
  /// pixels(first, P as a type) for columns first .. last-1, in fours where there are.
  template <class Pixels>
  static void in_fours(Index first, Index last, const Pixels& pixels) {
    detail::in_blocks<4>(last, [&]<Index P>(Index w) { pixels(w, std::integral_constant<Index, P>{}); }, first);
  }
};

template <class T>
template <Index P, class Line>
void Depthwise<T>::gather(T* to, const Line& line, Index step, const T* W, Index C, Index K) {
  detail::each_wide<T>(C, [&]<Index L>(Index c) {
    using V = detail::WideLanes<T, L>;
    V sum[P] = {};
    for (Index i = 0; i < K; ++i) {
      const T* from = line(i) + c;
      for (Index j = 0; j < K; ++j, from += step) {
        const V filter = detail::load_wide<L>(W + (i * K + j) * C + c);
        for (Index p = 0; p < P; ++p) sum[p] += filter * detail::load_wide<L>(from + p * C);
      }
    }
    for (Index p = 0; p < P; ++p) detail::store_narrow<L>(to + p * C + c, sum[p]);
  });
}

template <class T>
void Depthwise<T>::forward(Context& ctx, T* y, const T* x, const T* W, Pictures size) {
  const Index height = size.height, width = size.width, C = size.C, K = size.K, half = K / 2;
  const auto line = [=](Index l) {
    const Index top = l / height * height, h = l % height;
    const auto row = [=](Index i) { return x + (top + detail::tap(h, i, K, height)) * width * C; };
    const auto border = [=](Index w) {
      detail::each_wide<T>(C, [=]<Index L>(Index c) {
        detail::WideLanes<T, L> sum{};
        for (Index i = 0; i < K; ++i)
          for (Index j = 0; j < K; ++j)
            sum += detail::load_wide<L>(W + (i * K + j) * C + c) *
                   detail::load_wide<L>(row(i) + detail::tap(w, j, K, width) * C + c);
        detail::store_narrow<L>(y + (l * width + w) * C + c, sum);
      });
    };
    const Index first = std::min(half, width), last = std::max(first, width - half);
    for (Index w = 0; w < first; ++w) border(w);
    in_fours(first, last, [=](Index w, auto pixels) {
      gather<pixels()>(y + (l * width + w) * C, [=](Index i) { return row(i) + (w - half) * C; }, C, W, C, K);
    });
    for (Index w = last; w < width; ++w) border(w);
  };
  ctx.split(size.count * height, width * C * K * K, [=](int, Index begin, Index end) {
    for (Index l = begin; l < end; ++l) line(l);
  });
}

/// Inside the picture an input pixel gathers from the K x K outputs around it; border pixels also stand in for what lies
/// beyond: of an output's taps along an axis, first .. last read the input at `at`.
template <class T>
void Depthwise<T>::input_gradient(Context& ctx, T* dx, const T* dy, const T* W, Pictures size) {
  const Index height = size.height, width = size.width, C = size.C, K = size.K, half = K / 2;
  const auto each_tap = [=](Index at, Index length, auto&& use) {
    for (Index out = std::max<Index>(0, at - half); out <= std::min(length - 1, at + half); ++out) {
      const Index tap = at - out + half, last = at + 1 == length ? K - 1 : tap;
      for (Index i = at == 0 ? 0 : tap; i <= last; ++i) use(out, i);
    }
  };
  const auto line = [=](Index l) {
    const Index top = l / height * height, h = l % height;
    const auto border = [=](Index w) {
      detail::each_wide<T>(C, [=]<Index L>(Index c) {
        detail::WideLanes<T, L> sum{};
        each_tap(h, height, [&](Index oh, Index i) {
          each_tap(w, width, [&](Index ow, Index j) {
            sum +=
                detail::load_wide<L>(W + (i * K + j) * C + c) * detail::load_wide<L>(dy + ((top + oh) * width + ow) * C + c);
          });
        });
        detail::store_narrow<L>(dx + (l * width + w) * C + c, sum);
      });
    };
    const Index edge = std::max<Index>(1, half);
    const bool inside = h >= edge && h + edge < height && width > 2 * edge;
    const Index first = inside ? edge : width, last = inside ? width - edge : width;
    for (Index w = 0; w < first; ++w) border(w);
    in_fours(first, last, [=](Index w, auto pixels) {
      gather<pixels()>(
          dx + (l * width + w) * C, [=](Index i) { return dy + ((l - i + half) * width + w + half) * C; }, -C, W, C, K);
    });
    for (Index w = last; w < width; ++w) border(w);
  };
  ctx.split(size.count * height, width * C * K * K, [=](int, Index begin, Index end) {
    for (Index l = begin; l < end; ++l) line(l);
  });
}

/// Four taps of a line at once, so that dy is loaded once for all four.
template <class T>
void Depthwise<T>::filter_gradient(Context& ctx, Sum* dW, const T* dy, const T* x, Pictures size) {
  const Index height = size.height, width = size.width, C = size.C, K = size.K, half = K / 2;
  const auto line = [=](Sum* sums, Index l) {
    for (Index i = 0; i < K; ++i) {
      const T *const g = dy + l * width * C, *const in = x + (l / height * height + detail::tap(l % height, i, K, height)) *
                                                                 width * C;
      const auto taps = [=]<Index P>(Index j) {
        detail::each_wide<T>(C, [=]<Index L>(Index c) {
          using V = detail::WideLanes<T, L>;
          V sum[P];
          Sum* const to = sums + (i * K + j) * C + c;
          for (Index p = 0; p < P; ++p) sum[p] = detail::load<V>(to + p * C);
          const Index first = std::min(half, width), last = std::max(first, width - half);
          const auto border = [&](Index w) {
            const V d = detail::load_wide<L>(g + w * C + c);
            for (Index p = 0; p < P; ++p) sum[p] += d * detail::load_wide<L>(in + detail::tap(w, j + p, K, width) * C + c);
          };
          for (Index w = 0; w < first; ++w) border(w);
          for (Index w = first; w < last; ++w) {
            const V d = detail::load_wide<L>(g + w * C + c);
            for (Index p = 0; p < P; ++p) sum[p] += d * detail::load_wide<L>(in + (w + j + p - half) * C + c);
          }
          for (Index w = last; w < width; ++w) border(w);
          for (Index p = 0; p < P; ++p) detail::store(to + p * C, sum[p]);
        });
      };
      detail::in_blocks<4>(K, taps);
    }
  };
  detail::sum_row_groups<Sum>(
      ctx, 1, size.count * height, K * K * C, width * K * K * C,
      [=](Sum* sums, Index, Index first, Index last) {
        for (Index l = first; l < last; ++l) line(sums, l);
      },
      [=](Index, const Sum* sums) {
        for (Index k = 0; k < K * K * C; ++k) dW[k] += sums[k];
      });
}
}  // namespace kernel

/// ops/depthwise.hpp's, on all threads.
void depthwise_forward(Context& ctx, auto y, auto x, auto W)
  requires detail::one_type<decltype(y), decltype(x), decltype(W)>
{
  detail::check_contiguous(y, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  static_assert(detail::DepthwiseWidths<W.extents[0], y.width, W.width>::channels == S::channels);
  detail::check_pictures("depthwise", x, y);
  kernel::Depthwise<value_of<decltype(x)>>::forward(ctx, y.data, x.data, W.data,
                                                    {x.extent(0), x.extent(1), x.extent(2), S::channels, S::k});
}

/// ops/depthwise.hpp's, on all threads.
void depthwise_backward(Context& ctx, auto dx /* = */, auto dW /* += */, auto dy, auto x, auto W)
  requires detail::one_type<decltype(dx), decltype(dy), decltype(x), decltype(W)> &&
           detail::summed_as<decltype(x), decltype(dW)>
{
  detail::check_contiguous(dx, dW, dy, x, W);
  using S = detail::DepthwiseWidths<W.extents[0], x.width, W.width>;
  using Kernel = kernel::Depthwise<value_of<decltype(x)>>;
  static_assert(detail::DepthwiseWidths<dW.extents[0], dx.width, dW.width>::k == S::k);
  static_assert(detail::DepthwiseWidths<W.extents[0], dy.width, dW.width>::channels == S::channels);
  detail::check_pictures("depthwise backward", x, dy);
  if (dx.data) detail::check_pictures("depthwise backward", x, dx);
  const kernel::Pictures size{x.extent(0), x.extent(1), x.extent(2), S::channels, S::k};
  if (dx.data) Kernel::input_gradient(ctx, dx.data, dy.data, W.data, size);
  if (dW.data) Kernel::filter_gradient(ctx, dW.data, dy.data, x.data, size);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET

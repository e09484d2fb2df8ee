// cuda/rows.hpp, cuda/rope.hpp, cuda/join.hpp, cuda/time_embedding.hpp and cuda/finite.hpp.
#include "support.hpp"

#include <array>

namespace {
using wu::Columns, wu::Index, wu::View, wu::dyn, wu::test::check;
}

BOOST_AUTO_TEST_CASE(rows_repeated_and_averaged) {
  constexpr Index C = 7, rows = 3, copies = 5;
  check([](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    const View<const T, dyn, C> x(on.template input<T>("x", rows * C), rows),
        many(on.template input<T>("many", copies * rows * C), copies * rows);
    broadcast_rows_forward(on.ctx, View<T, dyn, C>(on.template output<T>("broadcast", copies * rows * C), copies * rows), x);
    broadcast_rows_backward(on.ctx, View<T, dyn, C>(on.template sum<T>("dbroadcast", rows * C), rows), many);
    broadcast_rows_backward(on.ctx, View<Sum, dyn, C>(on.template sum<Sum>("dbroadcast of a parameter", rows * C), rows),
                            many);
    mean_rows_forward(on.ctx, View<T, dyn, C>(on.template output<T>("mean", rows * C), rows), many);
    mean_rows_backward(on.ctx, View<T, dyn, C>(on.template output<T>("dmean", copies * rows * C), copies * rows), x);
    const View<const T, dyn, C> outer(on.template input<T>("outer", copies * C), copies);
    grid_sum_forward(on.ctx, View<T, dyn, C>(on.template output<T>("grid", copies * rows * C), copies * rows), x, outer);
    grid_sum_backward(on.ctx, View<Sum, dyn, C>(on.template sum<Sum>("dinner", rows * C), rows),
                      View<Sum, dyn, C>(on.template sum<Sum>("douter", copies * C), copies), many);
  });
}

BOOST_AUTO_TEST_CASE(embeddings) {
  constexpr Index C = 3, V = 5, rows = 1100;  // more ids than one launch takes
  std::vector<std::int32_t> ids;
  for (Index r = 0; r < rows; ++r) ids.push_back(std::array{4, 0, 4, 3, 2, 0, 4}[static_cast<std::size_t>(r % 7)]);
  check([&](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    const View<const T, V, C> table(on.template input<T>("table", V * C));
    embedding_forward(on.ctx, View<T, dyn, C>(on.template output<T>("y", rows * C), rows), ids, table);
    embedding_backward(on.ctx, View<Sum, V, C>(on.template sum<Sum>("dtable", V * C)),
                       View<const T, dyn, C>(on.template input<T>("dy", rows * C), rows), ids);
  });
}

BOOST_AUTO_TEST_CASE(patches) {
  [[maybe_unused]] constexpr Index b = 2, H = 6, W = 9, P = 3, channels = 2, count = b * H * W * channels,
                                   rows = b * H / P * W / P;
  check([](auto zero, auto& on) {
    using T = decltype(zero);
    const View<const T, dyn, dyn, dyn, channels> x(on.template input<T>("x", count), b, H, W);
    patches_forward(on.ctx, View<T, dyn, P * P * channels>(on.template output<T>("y", count), rows), x);
    const View<const T, dyn, P * P * channels> dy(on.template input<T>("dy", count), rows);
    patches_backward(on.ctx, View<T, dyn, dyn, dyn, channels>(on.template output<T>("dx", count), b, H, W), dy);
    // Into columns of a wider matrix.
    constexpr Index wide = 3 * P * P * channels;
    T* const joint = on.template input_and_output<T>("joint", rows * wide);
    patches_forward(on.ctx, columns<P * P * channels, P * P * channels>(View<T, dyn, wide>(joint, rows)), x);
  });
}

BOOST_AUTO_TEST_CASE(rotary_embeddings) {
  constexpr Index rows = 2 * 3 * 5, D = 12, C = 2 * D;
  const std::array<wu::RotaryAxis, 3> axes{{{4, 15, 2, 0}, {2, 5, 3, 7}, {6, 1, 5, 0}}};
  check([&](auto zero, auto& on) {
    using T = decltype(zero);
    const auto rotary = wu::Rotary<wu::accumulator_t<T>, 3>::make(on.ctx, on.ws, axes);
    rope_forward<D>(on.ctx, View<T, dyn, C>(on.template input_and_output<T>("x", rows * C), rows), rotary);
    rope_backward<D>(on.ctx, View<T, dyn, C>(on.template input_and_output<T>("dx", rows * C), rows), rotary);
    T* const wide = on.template input_and_output<T>("wide", rows * 3 * C);
    rope_forward<D>(on.ctx, Columns<T, C>(wide + C, rows, 3 * C), rotary);
  });
}

BOOST_AUTO_TEST_CASE(joined_rows) {
  check([](auto zero, auto& on) {
    using T = decltype(zero);
    constexpr Index G = 3, of_a = 5, of_b = 2, C = 7, n = G * (of_a + of_b) * C;
    const auto a = [&](auto* data) { return View<std::remove_pointer_t<decltype(data)>, dyn, C>(data, G * of_a); };
    const auto b = [&](auto* data) { return View<std::remove_pointer_t<decltype(data)>, dyn, C>(data, G * of_b); };
    join_rows_forward(on.ctx, View<T, dyn, C>(on.template output<T>("y", n), G * (of_a + of_b)),
                      a(on.template input<T>("a", G * of_a * C)), b(on.template input<T>("b", G * of_b * C)), G);
    join_rows_backward(on.ctx, a(on.template output<T>("da", G * of_a * C)), b(on.template output<T>("db", G * of_b * C)),
                       View<const T, dyn, C>(on.template input<T>("dy", n), G * (of_a + of_b)), G);
  });
}

BOOST_AUTO_TEST_CASE(embedded_times) {
  for (const Index b : {3, 131})
    check([=](auto zero, auto& on) {
      using T = decltype(zero);
      std::vector<double> t = wu::test::random_values(b, "t");
      time_embedding_forward(on.ctx, View<T, dyn, 10>(on.template output<T>("y", b * 10), b), std::span<const double>(t));
      t.assign(t.size(), std::nan(""));  // an operation has read them when it returns
    });
}

BOOST_AUTO_TEST_CASE(values_that_are_not_finite) {
  constexpr Index rows = 2, C = 1000, n = rows * C;
  std::vector<wu::RowPart> parts{{3, 700}};
  for (Index k = 0; k < 99; ++k) parts.push_back({800 + 2 * k, 1});  // more than one launch takes
  const auto finite = [&](auto zero, Index at, double value) {
    using T = decltype(zero);
    std::vector<T> x(n, T(1));
    x[static_cast<std::size_t>(at)] = static_cast<T>(value);
    wu::Buffer<T> there(n, memory_of(wu::test::gpu()));
    wu::test::put(there, x);
    return all_finite(wu::test::gpu(), View<const T, dyn, C>(there.data(), rows), std::span<const wu::RowPart>(parts));
  };
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL})
    for (const Index row : {0, 1}) {
      for (const Index c : {0, 2, 703, 799, 801, 997})  // between the parts
        BOOST_CHECK(finite(0.0f, row * C + c, value) && finite(0.0, row * C + c, value) &&
                    finite(wu::bfloat16(), row * C + c, value));
      for (const Index c : {3, 300, 702, 800, 996})
        BOOST_CHECK(!finite(0.0f, row * C + c, value) && !finite(0.0, row * C + c, value) &&
                    !finite(wu::bfloat16(), row * C + c, value));
    }
}

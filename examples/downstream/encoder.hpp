// The condition encoder: from examples, rows of (time, position), to features that the generator reads.
//     features = second(SiLU(first([waves(t), y waves(t)])))        examples: (b, L, 2)   features: (b, L, C)
// It works row by row. Which rows belong together is for the generator's cross attention to find out.
#pragma once

#include "shape.hpp"

namespace springs {

struct Encoder {
  static constexpr Index inputs = 2 * waves, width = 64;
  using First = wu::Linear<inputs, width>;
  using Second = wu::Linear<width, width>;

  template <class T>
  struct Parameters {
    typename First::template Parameters<T> first;
    typename Second::template Parameters<T> second;
    constexpr void visit(auto&& at) { at("first", first), at("second", second); }
  };
  template <class T>
  struct Saved {
    View<T, dyn, inputs> rows;
    View<T, dyn, width> hidden, activated;
  };

  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    wu::initialise(p, seed, "encoder");
  }

  template <class T>
  static Saved<T> forward(auto& ctx, wu::Workspace& ws, View<T, dyn, dyn, width> features,
                          View<const T, dyn, dyn, 2> examples, const Parameters<const T>& p) {
    const Index n = examples.rows();
    Saved<T> s{ws.take<T, dyn, inputs>(n), ws.take<T, dyn, width>(n), ws.take<T, dyn, width>(n)};
    for (Index r = 0; r < n; ++r) {
      const T t = examples.row(r)[0], y = examples.row(r)[1];
      T* const row = s.rows.row(r);
      write_waves(row, t);
      for (Index k = 0; k < waves; ++k) row[waves + k] = y * row[k];
    }
    First::forward(ctx, s.hidden, wu::as_const(s.rows), p.first);
    silu_forward(ctx, s.activated, wu::as_const(s.hidden));
    Second::forward(ctx, features.flat(), wu::as_const(s.activated), p.second);
    return s;
  }

  /// Adds to dp. The examples themselves get no gradient: nothing before them learns.
  template <class T>
  static void backward(auto& ctx, wu::Workspace& ws, const Parameters<T>& dp, View<const T, dyn, dyn, width> dfeatures,
                       const Saved<T>& s, const Parameters<const T>& p) {
    const wu::Workspace::Scope scope(ws);
    const auto dhidden = ws.take<T, dyn, width>(s.rows.rows());
    Second::backward(ctx, dhidden, dp.second, dfeatures.flat(), wu::as_const(s.activated), p.second);
    silu_backward(ctx, dhidden, wu::as_const(dhidden), wu::as_const(s.hidden));
    First::backward(ctx, View<T, dyn, inputs>(), dp.first, wu::as_const(dhidden), wu::as_const(s.rows), p.first);
  }
};

}  // namespace springs

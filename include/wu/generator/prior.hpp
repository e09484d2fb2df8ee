// The prior: learned positions of the token grid, the same for every condition.                       paper section 3.5
//     x(l, t, v) = RMSNorm(hw_pos[t, ranks v a .. v a + a-1] + layer_pos[l] repeated a times)
// hw_pos: (h * r, c)   layer_pos: (n, c)   x: (n * h * w, C), C = a c, w = r / a. Joining a consecutive rank rows into one
// position is a matter of reading: the sum (n h r, c) is (n h w, C) as it lies.
#pragma once

#include "wu/core/workspace.hpp"
#include "wu/nn/norm.hpp"
#include "wu/ops/elementwise.hpp"

namespace wu {

/// The formula stands at the top of the file. RowWidth: c, the width of a rank row; Joined: a.
template <Index Layers, Index TokensPerLayer, Index Rank, Index RowWidth, Index Joined>
struct Prior {
  static constexpr Index C = RowWidth * Joined, positions = TokensPerLayer * Rank / Joined;

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    View<T, TokensPerLayer * Rank, RowWidth> hw;
    View<T, Layers, RowWidth> layer;
  };

  /// What backward needs, in the workspace until the caller's scope ends.
  template <class T>
  struct Saved {
    View<T, dyn, C> sum;
    View<accumulator_t<T>, dyn> inv_rms;
  };

  /// x: (n h w, C), overwritten: one sample's rows, for the prior is the same for all.
  template <class T>
  static Saved<T> forward(auto& ctx, Workspace& ws, View<T, dyn, C> x, const Parameters<const T>& p, View<const T, C> gain) {
    Saved<T> s{ws.take<T, dyn, C>(x.rows()), ws.take<accumulator_t<T>, dyn>(x.rows())};
    grid_sum_forward(ctx, View<T, dyn, RowWidth>(s.sum.data, x.rows() * Joined), p.hw, p.layer);
    rms_norm_forward(ctx, x, s.inv_rms, as_const(s.sum), gain);
    return s;
  }

  /// dx: (n h w, C), summed over samples. Adds to dp and dgain.
  template <class T>
  static void backward(auto& ctx, Workspace& ws, const Parameters<accumulator_t<T>>& dp, View<accumulator_t<T>, C> dgain,
                       View<const T, dyn, C> dx, const Saved<T>& s, View<const T, C> gain) {
    const Workspace::Scope scope(ws);
    const auto dsum = ws.take<T, dyn, C>(dx.rows());
    rms_norm_backward(ctx, dsum, dgain, dx, as_const(s.sum), as_const(s.inv_rms), gain);
    grid_sum_backward(ctx, dp.hw, dp.layer, View<const T, dyn, RowWidth>(dsum.data, dx.rows() * Joined));
  }
};

}  // namespace wu

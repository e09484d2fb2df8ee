// What an operation answers when its first argument is no device: nothing, but with a sentence rather than a list of overloads.
#pragma once

#include "wu/ops/reference.hpp"

namespace wu {

/// One for every operation. `add`, `convert`, `copy`, `scale`, `squared_norm` and `zero` have names that a user's code may have too, so
/// they stay as they are.
// clang-format off: one line each
template <detail::NotADevice C> void adamw_update(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> bool all_finite(C&, auto&&...) { return detail::ExpectDevice<C>(), false; }
template <detail::NotADevice C> void broadcast_rows_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void broadcast_rows_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> double clipped_adamw_update(C&, auto&&...) { return detail::ExpectDevice<C>(), 0; }
template <detail::NotADevice C> void depthwise_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void depthwise_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void edit_velocity(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void embedding_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void embedding_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void expect_finite(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void gated_add_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void gated_add_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void gelu_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void gelu_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void grid_sum_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void grid_sum_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void join_rows_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void join_rows_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void joint_linear_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void joint_linear_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void layer_norm_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void layer_norm_backward_add(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void layer_norm_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void linear_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void linear_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void linear_residual_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void linear_silu_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void linear_silu_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void lora_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void lora_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void lora_linear_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void lora_linear_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void mean_rows_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void mean_rows_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void modulate_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void modulate_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void mse_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> double mse_forward(C&, auto&&...) { return detail::ExpectDevice<C>(), 0; }
template <detail::NotADevice C> void patches_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void patches_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void path_point(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void path_step(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void path_velocity(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void pool_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void pool_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void rms_norm_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void rms_norm_backward_add(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void rms_norm_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void silu_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void silu_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void time_embedding_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void upsample_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <detail::NotADevice C> void upsample_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <Index D, detail::NotADevice C> void attention_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <Index D, detail::NotADevice C> void attention_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <Index D, detail::NotADevice C> void rope_forward(C&, auto&&...) { detail::ExpectDevice<C>(); }
template <Index D, detail::NotADevice C> void rope_backward(C&, auto&&...) { detail::ExpectDevice<C>(); }
// clang-format on

}  // namespace wu

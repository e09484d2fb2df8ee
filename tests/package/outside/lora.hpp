// What every program here computes: a frozen layer with an adapter beside it, on numbers whose answer is worked out by hand.
#pragma once

#include <algorithm>
#include <iostream>
#include <vector>

#include "wu/core/parameters.hpp"
#include "wu/core/version.hpp"
#include "wu/nn/linear.hpp"

/// Prints the version of wu. True where every value of y = x W^T + b + scale * (x A^T) B^T is right.
bool lora_linear_is_right(auto& context) {
  constexpr wu::Index in = 4, out = 3, rank = 2;
  wu::Weights<wu::Linear<in, out>, float> weights;
  std::ranges::fill(weights.flat(), 1.f);
  const std::vector<float> x(in, 1.f), a(rank * in, 1.f), b(out * rank, 2.f);
  const wu::AdapterView<const float, in, out, rank> adapter{a.data(), b.data(), /*stride*/ 0, /*count*/ 1};
  const std::vector<wu::Index> which{0};
  std::vector<float> y(out);
  wu::Workspace workspace;
  wu::LoRALinear<in, out, rank>::forward<float>(context, workspace, wu::View<float, wu::dyn, out>(y.data(), 1),
                                                wu::View<const float, wu::dyn, in>(x.data(), 1), weights.frozen(), adapter,
                                                which, /*scale*/ 0.5);
  std::cout << "wu " << wu::version_text << ", y = " << y[0] << ' ' << y[1] << ' ' << y[2] << '\n';
  return std::ranges::all_of(y, [](float value) { return value == 13.f; });  // 4 + 1 + 0.5 * (4 * 2 + 4 * 2)
}

// A linear layer of ones by the CPU device of wu.
#include <algorithm>
#include <iostream>
#include <vector>

#include "wu/core/parameters.hpp"
#include "wu/core/version.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/nn/linear.hpp"

int main() {
  using Layer = wu::Linear</*in*/ 4, /*out*/ 3>;
  wu::cpu::Context cpu({.threads = 2});
  wu::Weights<Layer, float> weights;
  std::ranges::fill(weights.flat(), 1.f);
  const std::vector<float> x(2 * Layer::in, 1.f);
  std::vector<float> y(2 * Layer::out);
  Layer::forward(cpu, wu::View<float, wu::dyn, Layer::out>(y.data(), 2),
                 wu::View<const float, wu::dyn, Layer::in>(x.data(), 2), weights.frozen());
  std::cout << "wu " << wu::version_text << '\n';
  return std::ranges::all_of(y, [](float value) { return value == 5.f; }) ? 0 : 1;
}

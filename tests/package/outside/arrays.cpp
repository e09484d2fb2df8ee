// wu::arrays: xtensor's arrays beside wu's views.
#include <xtensor/xtensor.hpp>

#include "lora.hpp"

int main() {
  wu::reference reference;
  const xt::xtensor<float, 2> x = xt::ones<float>({5, 4}), weight = xt::ones<float>({3, 4});
  xt::xtensor<float, 2> y = xt::zeros<float>({5, 3});
  wu::linear_forward(reference, wu::View<float, wu::dyn, 3>(y.data(), 5), wu::View<const float, wu::dyn, 4>(x.data(), 5),
                     wu::View<const float, 3, 4>(weight.data()), wu::View<const float, 3>());
  return lora_linear_is_right(reference) && y == 4.f * xt::ones<float>({5, 3}) ? 0 : 1;
}

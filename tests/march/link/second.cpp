#include "wu/cpu/matrix.hpp"

void second_product() {
  const float a = 2, b = 3;
  float c = 0;
  wu::cpu::kernel::Matrix<float>::times({&c, 1}, {&a, 1}, {&b, 1}, 1, 1, 1);
}

// Two parts that are compiled for different instruction sets, each of which multiplies, and Eigen's alignment left alone.
#include <cstdio>

#include "wu/cpu/matrix.hpp"

void second_product();

int main() {
  const float a = 2, b = 3;
  float c = 0;
  wu::cpu::kernel::Matrix<float>::times({&c, 1}, {&a, 1}, {&b, 1}, 1, 1, 1);
  try {
    second_product();
  } catch (const wu::Error& e) { std::puts(e.what()); }
}

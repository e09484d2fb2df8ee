// Two parts that are compiled for different instruction sets, each of which multiplies, and Eigen's alignment left alone.
#include <cstdio>

#include "wu/cpu/library_product.hpp"

void second_product();

int main() {
  const float a = 2, b = 3;
  float c = 0;
  wu::cpu::kernel::LibraryProduct<float>::multiply(&c, 1, &a, 1, false, &b, 1, false, 1, 1, 1, false);
  try {
    second_product();
  } catch (const wu::Error& e) { std::puts(e.what()); }
}

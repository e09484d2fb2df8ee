// wu::wu alone: the reference device, without Eigen or threads.
#include "lora.hpp"

int main() {
  wu::reference reference;
  return lora_linear_is_right(reference) ? 0 : 1;
}

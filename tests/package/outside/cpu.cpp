// wu::cpu: two threads.
#include "wu/cpu/cpu.hpp"
#include "lora.hpp"

int main() {
  wu::cpu::Context cpu({.threads = 2});
  return lora_linear_is_right(cpu) ? 0 : 1;
}

#include "wu/cpu/context.hpp"

int threads_of(wu::cpu::Context& ctx);

int main() {
  wu::cpu::Context ctx({.threads = 1});
  return threads_of(ctx) == 1 ? 0 : 1;
}

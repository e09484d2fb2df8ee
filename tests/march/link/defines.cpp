#include "wu/cpu/context.hpp"

int threads_of(wu::cpu::Context& ctx) { return ctx.threads(); }

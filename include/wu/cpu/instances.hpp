// Every kernel of cpu/ for float, double and bfloat16. With WU_PRECOMPILED they are declared here and compiled
// in wu::precompiled alone, so that a program's own files compile its shapes and nothing below them. Without it this file only
// has the list.
#pragma once

#include "wu/cpu/activations.hpp"
#include "wu/cpu/attention.hpp"
#include "wu/cpu/depthwise.hpp"
#include "wu/cpu/elementwise.hpp"
#include "wu/cpu/embedding.hpp"
#include "wu/cpu/layer_norm.hpp"
#include "wu/cpu/linear.hpp"
#include "wu/cpu/lora.hpp"
#include "wu/cpu/lora_linear.hpp"
#include "wu/cpu/losses.hpp"
#include "wu/cpu/modulate.hpp"
#include "wu/cpu/optimiser.hpp"
#include "wu/cpu/resample.hpp"
#include "wu/cpu/rms_norm.hpp"
#include "wu/cpu/rope.hpp"
#include "wu/cpu/target.hpp"

// NOLINTBEGIN(bugprone-macro-parentheses): neither argument is an expression
// Those that are one template for all three types, and those that are not.
#define WU_CPU_INSTANCES(PREFIX, T)                 \
  PREFIX template struct kernel::Skinny<T>;         \
  PREFIX template struct kernel::Activations<T>;    \
  PREFIX template struct kernel::Depthwise<T>;      \
  PREFIX template struct kernel::Elementwise<T>;    \
  PREFIX template struct kernel::Embedding<T>;      \
  PREFIX template struct kernel::Gemm<T>;           \
  PREFIX template struct kernel::Linear<T>;         \
  PREFIX template struct kernel::Lora<T>;           \
  PREFIX template class kernel::LoraAddition<T>;    \
  PREFIX template struct kernel::Losses<T>;         \
  PREFIX template struct kernel::Modulate<T>;       \
  PREFIX template struct kernel::Optimiser<T>;      \
  PREFIX template struct kernel::PackedProduct<T>;  \
  PREFIX template struct kernel::Resample<T>;       \
  PREFIX template struct kernel::Rope<T>;           \
  PREFIX template struct kernel::ShortAttention<T>; \
  PREFIX template class kernel::TiledAttention<T>;  \
  PREFIX template struct kernel::Norm<T, false>;    \
  PREFIX template struct kernel::Norm<T, true>;     \
  PREFIX template struct kernel::LoraGradients<T, accumulator_t<T>>;
#define WU_CPU_OTHER_INSTANCES(PREFIX)                              \
  PREFIX template struct kernel::LoraGradients<bfloat16, bfloat16>; \
  PREFIX template struct kernel::VectorMath<float>;                 \
  PREFIX template struct kernel::VectorMath<double>;
// NOLINTEND(bugprone-macro-parentheses)

#ifdef WU_PRECOMPILED
namespace wu::cpu::inline WU_CPU_TARGET {
WU_CPU_INSTANCES(extern, float)
WU_CPU_INSTANCES(extern, double)
WU_CPU_INSTANCES(extern, bfloat16)
WU_CPU_OTHER_INSTANCES(extern)
}  // namespace wu::cpu::inline WU_CPU_TARGET
#endif

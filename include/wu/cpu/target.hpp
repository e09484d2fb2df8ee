// The name of the instruction set that this translation unit is compiled for. Everything in wu::cpu stands in an inline
// namespace of that name, because its code depends on it: two parts of a program that are compiled with different -march have
// kernels, and contexts, of different names. What this does not cover: docs/mixing-builds.md.
#pragma once

#if defined(__AVX512BF16__)
#define WU_CPU_TARGET avx512_bf16
#elif defined(__AVX512F__)
#define WU_CPU_TARGET avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define WU_CPU_TARGET avx2_fma
#elif defined(__AVX2__)
#define WU_CPU_TARGET avx2
#elif defined(__AVX__) && defined(__FMA__)
#define WU_CPU_TARGET avx_fma
#elif defined(__AVX__)
#define WU_CPU_TARGET avx
#elif defined(__SSE4_2__)
#define WU_CPU_TARGET sse4_2
#elif defined(__SSE2__)
#define WU_CPU_TARGET sse2
#else
#define WU_CPU_TARGET generic
#endif

namespace wu::cpu {
inline namespace WU_CPU_TARGET {}
}  // namespace wu::cpu

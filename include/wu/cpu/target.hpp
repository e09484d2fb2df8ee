// The name of the instruction set that this translation unit is compiled for, and of the library that multiplies, if one does
// (cpu/library_product.hpp). Everything in wu::cpu stands in an inline namespace of that name, because its code depends on it:
// two parts of a program that are compiled with different -march, or with different libraries, have kernels, and contexts, of
// different names. What this does not cover: docs/mixing-builds.md.
#pragma once

#if defined(__AVX512BF16__)
#define WU_CPU_SET avx512_bf16
#elif defined(__AVX512F__)
#define WU_CPU_SET avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define WU_CPU_SET avx2_fma
#elif defined(__AVX2__)
#define WU_CPU_SET avx2
#elif defined(__AVX__) && defined(__FMA__)
#define WU_CPU_SET avx_fma
#elif defined(__AVX__)
#define WU_CPU_SET avx
#elif defined(__SSE4_2__)
#define WU_CPU_SET sse4_2
#elif defined(__SSE2__)
#define WU_CPU_SET sse2
#else
#define WU_CPU_SET generic
#endif

#define WU_CPU_JOIN(set, product) set##_##product
#define WU_CPU_JOINED(set, product) WU_CPU_JOIN(set, product)
#if defined(WU_PRODUCT_EIGEN)
#define WU_CPU_TARGET WU_CPU_JOINED(WU_CPU_SET, eigen)
#elif defined(WU_PRODUCT_ONEDNN)
#define WU_CPU_TARGET WU_CPU_JOINED(WU_CPU_SET, onednn)
#elif defined(WU_PRODUCT_CBLAS)
#define WU_CPU_TARGET WU_CPU_JOINED(WU_CPU_SET, cblas)
#else
#define WU_CPU_TARGET WU_CPU_SET
#endif

namespace wu::cpu {
inline namespace WU_CPU_TARGET {}
}  // namespace wu::cpu

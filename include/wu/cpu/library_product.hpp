// The matrix product of a library in place of wu's own under cpu/gemm.hpp, chosen when the build is configured by one of
// WU_PRODUCT_EIGEN, WU_PRODUCT_ONEDNN and WU_PRODUCT_CBLAS (CMake's WU_PRODUCT sets it). What the chosen library does not multiply
// stays with wu's own product: bfloat16 with Eigen and CBLAS, double with oneDNN. Every call is one thread's; the threads are wu's.
#pragma once

#include <type_traits>

#include "wu/core/dtype.hpp"
#include "wu/core/view.hpp"
#include "wu/cpu/target.hpp"

#if defined(WU_PRODUCT_EIGEN)
#include <Eigen/Core>
#include <atomic>
#include "wu/core/error.hpp"
#elif defined(WU_PRODUCT_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif
#include "wu/core/error.hpp"
#elif defined(WU_PRODUCT_CBLAS)
#define bfloat16 wu_cblas_bfloat16  // OpenBLAS gives this name to a global type, which would stand beside wu::bfloat16
#include <cblas.h>
#undef bfloat16
#endif

#if defined(WU_PRODUCT_EIGEN)
namespace wu::cpu::shared {
/// How Eigen aligns memory where this program multiplied first: bytes for arrays in types, times 2^16, and for the heap. One
/// variable for the whole program, whatever its parts are compiled for, as Eigen's functions are shared too.
inline std::atomic<int> eigen_alignment{};
}  // namespace wu::cpu::shared
#endif

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// What a library multiplies: C (M, N) = A (M, K) B (K, N), or += with `add`; a transposed operand lies as (K, M), or (N, K).
/// Rows are `*_row` values apart. bfloat16 is summed in float.
template <class T>
struct LibraryProduct {
  static constexpr bool available = false;
};

#if defined(WU_PRODUCT_EIGEN)
/// Throws Error if this part of the program aligns Eigen's memory otherwise than the part that multiplied first.
inline void check_eigen_alignment() {
  constexpr int arrays = EIGEN_MAX_STATIC_ALIGN_BYTES, heap = EIGEN_MAX_ALIGN_BYTES, here = arrays << 16 | heap;
  if (shared::eigen_alignment.load(std::memory_order_relaxed) == here) return;
  int first = 0;
  if (!shared::eigen_alignment.compare_exchange_strong(first, here) && first != here)
    throw Error(message("cpu: expected Eigen to align memory to ", first >> 16, " and ", first & 0xFFFF,
                        " bytes, as where this program first multiplied, found ", arrays, " and ", heap,
                        ": its parts are compiled with different -march, see docs/mixing-builds.md"));
}

template <class T>
  requires(std::is_same_v<T, float> || std::is_same_v<T, double>)
struct LibraryProduct<T> {
  static constexpr bool available = true;
  static void multiply(T* C, Index c_row, const T* A, Index a_row, bool a_transposed, const T* B, Index b_row,
                       bool b_transposed, Index M, Index N, Index K, bool add) {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Read = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
    check_eigen_alignment();
    Eigen::Map<Matrix, 0, Eigen::OuterStride<>> c(C, M, N, Eigen::OuterStride<>(c_row));
    const auto with = [&](const auto& a) {
      const auto store = [&](const auto& b) {
        if (add) c.noalias() += a * b;
        else c.noalias() = a * b;
      };
      if (b_transposed) store(Read(B, N, K, Eigen::OuterStride<>(b_row)).transpose());
      else store(Read(B, K, N, Eigen::OuterStride<>(b_row)));
    };
    if (a_transposed) with(Read(A, K, M, Eigen::OuterStride<>(a_row)).transpose());
    else with(Read(A, M, K, Eigen::OuterStride<>(a_row)));
  }
};
#elif defined(WU_PRODUCT_ONEDNN)
/// One thread for the length of a scope: oneDNN would start threads of its own beside ours.
class OneThread {
 public:
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
#else
  OneThread() {}
#endif
};

template <>
struct LibraryProduct<float> {
  static constexpr bool available = true;
  static void multiply(float* C, Index c_row, const float* A, Index a_row, bool a_transposed, const float* B, Index b_row,
                       bool b_transposed, Index M, Index N, Index K, bool add) {
    const OneThread one;
    if (dnnl_sgemm(a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', M, N, K, 1.0f, A, a_row, B, b_row, add ? 1.0f : 0.0f,
                   C, c_row) != dnnl_success)
      throw Error(message("oneDNN: a float product of (", M, ", ", K, ") and (", K, ", ", N, ") failed"));
  }
};

template <>
struct LibraryProduct<bfloat16> {
  static constexpr bool available = true;
  static void multiply(float* C, Index c_row, const bfloat16* A, Index a_row, bool a_transposed, const bfloat16* B,
                       Index b_row, bool b_transposed, Index M, Index N, Index K, bool add) {
    const OneThread one;
    const Shape shape{{M, N, K, a_row, b_row, c_row}, a_transposed, b_transposed, add};
    try {
      const Made& made = find(shape);
      const auto memory = [&](const dnnl::memory::desc& layout, const void* data) {
        return dnnl::memory(layout, engine(), const_cast<void*>(data));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
      };
      thread_local dnnl::stream stream(engine());
      made.product.execute(
          stream,
          {{DNNL_ARG_SRC, memory(made.A, A)}, {DNNL_ARG_WEIGHTS, memory(made.B, B)}, {DNNL_ARG_DST, memory(made.C, C)}});
      stream.wait();
    } catch (const dnnl::error& e) {
      throw Error(message("oneDNN: a bfloat16 product of (", M, ", ", K, ") and (", K, ", ", N, ") failed: ", e.what()));
    }
  }

 private:
  struct Shape {
    Index sizes[6];
    bool a_transposed, b_transposed, add;
    bool operator==(const Shape&) const = default;
  };
  struct Made {
    Shape shape;
    dnnl::memory::desc A, B, C;
    dnnl::matmul product;
  };
  static const dnnl::engine& engine() {
    static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
  }
  /// The product of a shape, made once for each thread that uses it.
  static const Made& find(const Shape& shape) {
    thread_local std::vector<Made> known;
    for (const Made& made : known)
      if (made.shape == shape) return made;
    const auto& [M, N, K, a_row, b_row, c_row] = shape.sizes;
    using Layout = dnnl::memory::desc;
    using Type = dnnl::memory::data_type;
    const auto layout = [](Index rows, Index columns, Index row, bool transposed, Type type) {
      return Layout({rows, columns}, type, transposed ? dnnl::memory::dims{1, row} : dnnl::memory::dims{row, 1});
    };
    const Layout A = layout(M, K, a_row, shape.a_transposed, Type::bf16),
                 B = layout(K, N, b_row, shape.b_transposed, Type::bf16), C = layout(M, N, c_row, false, Type::f32);
    dnnl::primitive_attr attributes;
    if (shape.add) {
      dnnl::post_ops after;
      after.append_sum(1.0f);
      attributes.set_post_ops(after);
    }
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc made(engine(), A, B, C, attributes);
#else
    const dnnl::matmul::primitive_desc made(dnnl::matmul::desc(A, B, C), attributes, engine());
#endif
    return known.emplace_back(Made{shape, A, B, C, dnnl::matmul(made)});
  }
};
#elif defined(WU_PRODUCT_CBLAS)
/// Without this OpenBLAS would start threads of its own beside ours. It holds for the whole program. Another BLAS has its own
/// setting, often an environment variable.
inline void one_thread_each() {
#if defined(OPENBLAS_VERSION) || defined(WU_PRODUCT_OPENBLAS)
  static const bool done = (openblas_set_num_threads(1), true);
  static_cast<void>(done);
#endif
}

template <class T>
  requires(std::is_same_v<T, float> || std::is_same_v<T, double>)
struct LibraryProduct<T> {
  static constexpr bool available = true;
  static void multiply(T* C, Index c_row, const T* A, Index a_row, bool a_transposed, const T* B, Index b_row,
                       bool b_transposed, Index M, Index N, Index K, bool add) {
    one_thread_each();
    const auto narrow = [](Index size) { return static_cast<int>(size); };
    const auto form = [](bool transposed) { return transposed ? CblasTrans : CblasNoTrans; };
    const T one = 1, before = add ? T(1) : T(0);
    if constexpr (std::is_same_v<T, float>)
      cblas_sgemm(CblasRowMajor, form(a_transposed), form(b_transposed), narrow(M), narrow(N), narrow(K), one, A,
                  narrow(a_row), B, narrow(b_row), before, C, narrow(c_row));
    else
      cblas_dgemm(CblasRowMajor, form(a_transposed), form(b_transposed), narrow(M), narrow(N), narrow(K), one, A,
                  narrow(a_row), B, narrow(b_row), before, C, narrow(c_row));
  }
};
#endif

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

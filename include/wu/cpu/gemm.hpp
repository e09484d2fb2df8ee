// The matrix product that linear layers are made of, on all threads, with what follows it done while its sums are near:
//     S_o (M, N_o) = sum over t of A_t (M, K_t) B_ot (K_t, N_o)        then y_o = finish(S_o)
// Several outputs share their A (q, k and v of one input), several terms add up in one sum (the input's gradient from those of q,
// k and v). A block of columns of B is packed by all threads, then each thread goes through its rows: a tile of rows times a slice
// of k stays in the second cache beside the tile's sums. The order of every sum depends on the K_t alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "wu/cpu/bfloat16.hpp"
#include "wu/cpu/context.hpp"
#include "wu/cpu/packed_product.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

/// A matrix in memory: rows `row` values apart; or its transpose, laid out so.
template <class T>
struct GemmOperand {
  const T* data = nullptr;
  Index row = 0;
  bool transposed = false;
  /// Where its part from (i, j) on begins.
  const T* from(Index i, Index j) const { return data + (transposed ? j * row + i : i * row + j); }
};

/// A product of low rank that is added to the sums of a tile while they are near: add(of, sums, ...) for its rows and columns,
/// sums_row apart. `column` begins a panel, and there is room for whole panels.
template <class Sum>
struct GemmAddition {
  const void* of = nullptr;
  void (*add)(const void* of, Sum* sums, Index sums_row, Index row, Index rows, Index column, Index columns) = nullptr;
};

/// What becomes of a row of sums, in this order.
template <class T>
struct GemmFinish {
  GemmAddition<accumulator_t<T>> addition;  ///< none where `add` is null
  const T* bias = nullptr;                  ///< (N): added
  const T* residual = nullptr;              ///< (M, N), rows y_row apart: added
  const T* slope_at = nullptr;              ///< (M, N), rows y_row apart: multiplied by SiLU's slope at these values
  T* y = nullptr;                           ///< (M, N), rows y_row apart: where they are written, rounded
  Index y_row = 0;
  T* activated = nullptr;              ///< (M, N), rows y_row apart: SiLU of what was written
  accumulator_t<T>* add_to = nullptr;  ///< (M, N), rows y_row apart: added to this instead, not rounded
};

template <class T>
struct Gemm {
  using Sum = accumulator_t<T>;
  using Operand = GemmOperand<T>;
  static constexpr std::size_t most = 3;
  struct Term {
    Operand A;
    Index K = 0;
  };
  struct Output {
    Index N = 0;
    std::array<Operand, most> B;  ///< one for each term
    GemmFinish<T> finish;
  };
  struct Problem {
    Index M = 0;
    std::size_t term_count = 1, output_count = 1;
    std::array<Term, most> terms;
    std::array<Output, most> outputs;
    Sum* row_sums = nullptr;  ///< (M): the sum of every row of the A of all terms is added
    /// The K of all terms.
    Index depth() const {
      Index K = 0;
      for (std::size_t t = 0; t < term_count; ++t) K += terms[t].K;
      return K;
    }
  };

  /// Any extent may be 0: sums over no k are 0, and are finished as any others. Where no output has
  /// columns nothing is done, nor are rows summed.
  static void multiply(Context& ctx, const Problem& problem);
  /// Bytes that multiply takes from the context's scratch, for outputs of N columns each.
  static constexpr Index scratch_bytes(Index K, Index N, Index outputs, int threads) {
    const Sizes sizes(K, outputs * Product::up_to(Product::columns, N));
    return sizes.bytes(threads);
  }

 private:
  using Product = PackedProduct<T>;
  using Word = typename Product::Word;
  static_assert(sizeof(Word) == sizeof(Sum));  // and so both lie in one scratch: B's block, every thread's tile and its sums
  static constexpr Index tile = 96, slice = 512 * Product::depth, most_columns = 512, most_words = Index{1} << 20;

  struct Sizes {
    Index block, words, packed_A,
        thread;  // columns of a block, words of its B, words of a tile's slice of A, and with its sums
    constexpr Sizes(Index K, Index N) {
      const Index column = Product::words(K) + static_cast<Index>(most), few = most_words / column / Product::columns;
      block = std::min({most_columns, Product::up_to(Product::columns, N), std::max(few, Index{1}) * Product::columns});
      words = block * column;
      packed_A = Product::packed_rows(tile, slice);
      thread = packed_A + tile * block;
    }
    constexpr Index bytes(int threads) const { return (words + thread * threads) * Index{sizeof(Word)}; }
  };
  /// Columns first .. first + N-1 of an output, at column `at` of the block.
  struct Part {
    const Output* output;
    Index first, N, at;
  };
  struct Block {
    std::array<Part, most> parts;
    std::size_t count = 0;
    Index width = 0;  // whole panels
  };
  /// k0 .. k0 + K-1 of a term; `words` of k lie before it.
  struct Slice {
    std::size_t term;
    Index k0, K, words;
  };

  template <class F>
  static void each_slice(const Problem& problem, F&& f) {
    Index words = 0;
    for (std::size_t t = 0; t < problem.term_count; ++t)
      for (Index k0 = 0; k0 < problem.terms[t].K; k0 += slice) {
        const Index K = std::min(slice, problem.terms[t].K - k0);
        f(Slice{t, k0, K, words});
        words += Product::words(K);
      }
  }
  static void pack_B(Word* packed, const Problem& problem, const Block& block, Index first_panel, Index last_panel);
  static void pack_A(Word* packed, const Problem& problem, Index row, Index M, const Slice& s, bool sum_rows);
  static void multiply_by_library(Sum* sums, const Problem& problem, const Block& block, Index row, Index M, Index skip,
                                  Index width, bool sum_rows);
  static void rows(Word* scratch, const Word* packed_B, const Problem& problem, const Block& block, Index begin, Index end,
                   Index first_panel, Index last_panel, bool sum_rows);
  static void add_row_sums(Sum* sums, const Word* packed, Index M, Index K);
  static void finish_row(const Part& part, Index row, Index skip, const Sum* sums, Index count);
};

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

#ifndef WU_PRECOMPILED
#include "wu/cpu/gemm_kernel.hpp"
#endif

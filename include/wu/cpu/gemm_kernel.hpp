// The product of cpu/gemm.hpp. A program that links wu::precompiled does not include this file.
#pragma once

#include <algorithm>
#include <bit>

#include "wu/cpu/exp.hpp"
#include "wu/cpu/gemm.hpp"
#include "wu/cpu/library_product.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::kernel {

template <class T>
void Gemm<T>::multiply(Context& ctx, const Problem& problem) {
  const Index K = problem.depth();
  Index N = 0;
  for (std::size_t o = 0; o < problem.output_count; ++o) N += Product::up_to(Product::columns, problem.outputs[o].N);
  if (problem.M == 0 || N == 0) return;
  const Sizes sizes(K, N);
  Word* const packed_B = reinterpret_cast<Word*>(ctx.scratch<std::byte>(sizes.bytes(ctx.threads())));
  const auto scratch = [&](int thread) { return packed_B + sizes.words + thread * sizes.thread; };

  std::size_t o = 0;
  for (Index n0 = 0; o < problem.output_count;) {
    Block block;
    while (o < problem.output_count && block.width < sizes.block) {
      const Output& output = problem.outputs[o];
      const Index count = std::min(output.N - n0, sizes.block - block.width);
      block.parts[block.count++] = {&output, n0, count, block.width};
      block.width += Product::up_to(Product::columns, count);
      n0 += count;
      if (n0 == output.N) ++o, n0 = 0;
    }
    const bool first = block.parts[0].output == &problem.outputs[0] && block.parts[0].first == 0;
    const Index panels = block.width / Product::columns, M = problem.M;
    if (M < 2 * Product::rows * ctx.threads()) {  // too few rows to share out: each thread takes some of the columns
      ctx.split(panels, product_work((M + 8) * K * Product::columns), [&](int thread, Index begin, Index end) {
        pack_B(packed_B, problem, block, begin, end);
        rows(scratch(thread), packed_B, problem, block, 0, M, begin, end, first && begin == 0);
      });
    } else {
      ctx.split(panels, product_work(8 * K * Product::columns),
                [&](int, Index begin, Index end) { pack_B(packed_B, problem, block, begin, end); });
      ctx.split(M, product_work(K * block.width), [&](int thread, Index begin, Index end) {
        rows(scratch(thread), packed_B, problem, block, begin, end, 0, panels, first);
      });
    }
  }
}

/// Panels first_panel .. last_panel-1 of every slice. Those of one slice lie one after the other.
template <class T>
void Gemm<T>::pack_B(Word* packed, const Problem& problem, const Block& block, Index first_panel, Index last_panel) {
  if constexpr (LibraryProduct<T>::available) return;
  each_slice(problem, [&](const Slice& s) {
    for (std::size_t p = 0; p < block.count; ++p) {
      const Part& part = block.parts[p];
      const Operand& B = part.output->B[s.term];
      const Index first = std::max(first_panel * Product::columns - part.at, Index{0}),
                  last = std::min(last_panel * Product::columns - part.at, part.N);
      if (first >= last) continue;
      Word* const to = packed + s.words * block.width + (part.at + first) * Product::words(s.K);
      const T* const from = B.from(s.k0, part.first + first);
      if (B.transposed) Product::pack_columns_transposed(to, from, B.row, last - first, s.K);
      else Product::pack_columns(to, from, B.row, last - first, s.K);
    }
  });
}

/// Rows begin .. end-1 of some panels of the block.
template <class T>
void Gemm<T>::rows(Word* scratch, const Word* packed_B, const Problem& problem, const Block& block, Index begin, Index end,
                   Index first_panel, Index last_panel, bool sum_rows) {
  Sum* const sums = reinterpret_cast<Sum*>(scratch + Product::packed_rows(tile, slice));
  const Index skip = first_panel * Product::columns, width = last_panel * Product::columns - skip;
  for (Index r = begin; r < end; r += tile) {
    const Index M = std::min(tile, end - r);
    if (problem.depth() == 0) std::fill_n(sums, M * width, Sum(0));
    else if constexpr (LibraryProduct<T>::available) multiply_by_library(sums, problem, block, r, M, skip, width, sum_rows);
    else
      each_slice(problem, [&](const Slice& s) {
        pack_A(scratch, problem, r, M, s, sum_rows);
        Product::multiply(sums, width, scratch, packed_B + s.words * block.width + skip * Product::words(s.K), M, width, s.K,
                          s.words > 0);
      });
    for (std::size_t p = 0; p < block.count; ++p) {
      const Part& part = block.parts[p];
      const Index first = std::max(skip - part.at, Index{0}), last = std::min(skip + width - part.at, part.N);
      if (const auto& more = part.output->finish.addition; more.add && first < last)
        more.add(more.of, sums + part.at + first - skip, width, r, M, part.first + first, last - first);
      for (Index m = 0; m < M && first < last; ++m)
        finish_row(part, r + m, first, sums + m * width + part.at + first - skip, last - first);
    }
  }
}

template <class T>
void Gemm<T>::pack_A(Word* packed, const Problem& problem, Index row, Index M, const Slice& s, bool sum_rows) {
  const Operand& A = problem.terms[s.term].A;
  if (A.transposed) Product::pack_rows_transposed(packed, A.from(row, s.k0), A.row, M, s.K);
  else Product::pack_rows(packed, A.from(row, s.k0), A.row, M, s.K);
  if (sum_rows && problem.row_sums) add_row_sums(problem.row_sums + row, packed, M, s.K);
}

/// What pack_A and the product do, for rows row .. row + M-1 and `width` columns of the block from `skip` on.
template <class T>
void Gemm<T>::multiply_by_library(Sum* sums, const Problem& problem, const Block& block, Index row, Index M, Index skip,
                                  Index width, bool sum_rows) {
  if constexpr (LibraryProduct<T>::available) {
    for (std::size_t t = 0; t < problem.term_count; ++t) {
      const Operand& A = problem.terms[t].A;
      const Index K = problem.terms[t].K;
      for (std::size_t p = 0; p < block.count; ++p) {
        const Part& part = block.parts[p];
        const Operand& B = part.output->B[t];
        const Index first = std::max(skip - part.at, Index{0}), last = std::min(skip + width - part.at, part.N);
        if (first < last)
          LibraryProduct<T>::multiply(sums + part.at + first - skip, width, A.from(row, 0), A.row, A.transposed,
                                      B.from(0, part.first + first), B.row, B.transposed, M, last - first, K, t > 0);
      }
      for (Index m = 0; m < M && sum_rows && problem.row_sums; ++m) {
        Sum total = 0;
        for (Index k = 0; k < K; ++k) total += static_cast<Sum>(*A.from(row + m, k));
        problem.row_sums[row + m] += total;
      }
    }
  }
}

/// sums[m] += sum over k of A(m, k).
template <class T>
void Gemm<T>::add_row_sums(Sum* sums, const Word* packed, Index M, Index K) {
  constexpr Index R = Product::rows;
  for (Index m = 0; m < M; m += R) {
    Sum total[R] = {};
    for (Index k = 0; k < Product::words(K); ++k, packed += R)
      for (Index r = 0; r < R; ++r) {
        if constexpr (Product::depth == 1) total[r] += packed[r];
        else total[r] += std::bit_cast<float>(packed[r] << 16) + std::bit_cast<float>(packed[r] & 0xFFFF0000u);
      }
    for (Index r = 0; r < std::min(R, M - m); ++r) sums[m + r] += total[r];
  }
}

/// The sums of columns part.first + skip .. + count-1, in one pass.
template <class T>
void Gemm<T>::finish_row(const Part& part, Index row, Index skip, const Sum* sums, Index count) {
  const GemmFinish<T>& finish = part.output->finish;
  const Index column = part.first + skip, at = row * finish.y_row + column;
  detail::in_blocks<detail::lanes<Sum>>(count, [&]<Index W>(Index n) {
    using V = typename detail::Lanes<Sum, W>::type;
    V value = detail::load<V>(sums + n);
    if (finish.add_to)
      return detail::store(finish.add_to + at + n, static_cast<V>(detail::load<V>(finish.add_to + at + n) + value));
    if (finish.bias) value += detail::load_wide<W>(finish.bias + column + n);
    if (finish.residual) value += detail::load_wide<W>(finish.residual + at + n);
    if (finish.slope_at) {
      const V x = detail::load_wide<W>(finish.slope_at + at + n), share = detail::logistic<Sum, W>(x);
      value *= share * (1 + x * (1 - share));
    }
    detail::store_narrow<W>(finish.y + at + n, value);
    if (!finish.activated) return;
    value = detail::load_wide<W>(finish.y + at + n);  // as rounded, which is what backward sees
    detail::store_narrow<W>(finish.activated + at + n, static_cast<V>(value * detail::logistic<Sum, W>(value)));
  });
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::kernel

// Attention for any scalar and any head width, without tensor cores; formulas in ops/attention.hpp. A block has some queries (or
// keys) of one group and head and goes over the group's keys (or queries) tile by tile, all of it in shared memory.
#pragma once

#include "wu/cuda/kernels/attention_rows.hpp"

namespace wu::cuda::kernel {

/// The sizes that its three kernels have in common.
template <class T>
struct PlainAttentionSizes {
  using Sum = accumulator_t<T>;
  static constexpr int threads = 256, own_rows = 16, other_rows = 32;  ///< of a block, and of the tiles it goes over
};

/// out and lse
template <class T>
struct PlainAttention : PlainAttentionSizes<T> {
  using S = PlainAttentionSizes<T>;
  using Sum = typename S::Sum;
  Strided<T> out;
  Strided<Sum> lse;
  Strided<const T> q, k, v;
  Groups s;
  Sum scale;

  static constexpr int shared_bytes(int width) {
    return (2 * S::own_rows * width + 2 * S::other_rows * width + S::own_rows * S::other_rows + 3 * S::own_rows) *
           static_cast<int>(sizeof(Sum));
  }
  WU_BODY void operator()(Block block) const {
    const TileAt tile(block.index, s.queries, S::own_rows, s);
    const Index channel = tile.head * s.width;
    const int width = s.width;
    Sum *const own = reinterpret_cast<Sum*>(block.shared), *const mixed = own + S::own_rows * width,
               *const keys = mixed + S::own_rows * width, *const values = keys + S::other_rows * width,
               *const score = values + S::other_rows * width, *const largest = score + S::own_rows * S::other_rows,
               *const total = largest + S::own_rows, *const shrink = total + S::own_rows;
    block.each([&](int t) {
      for (int e = t; e < S::own_rows * width; e += block.threads) {
        const Index i = tile.first + e / width;
        own[e] = i < s.queries ? static_cast<Sum>(q(s.query_group(tile.group) + s.query(i), channel + e % width)) : Sum(0);
        mixed[e] = 0;
      }
      if (t < S::own_rows) largest[t] = -INFINITY, total[t] = 0;
    });
    for (Index first = 0; first < s.keys; first += S::other_rows) {
      const int count = static_cast<int>(s.keys - first < S::other_rows ? s.keys - first : S::other_rows);
      block.each([&](int t) {
        for (int e = t; e < count * width; e += block.threads) {
          const Index row = s.key_group(tile.group) + s.key(first + e / width);
          keys[e] = static_cast<Sum>(k(row, channel + e % width));
          values[e] = static_cast<Sum>(v(row, channel + e % width));
        }
      });
      block.each([&](int t) {
        for (int e = t; e < S::own_rows * count; e += block.threads) {
          const int i = e / count, j = e % count;
          Sum sum = 0;
          for (int c = 0; c < width; ++c) sum += own[i * width + c] * keys[j * width + c];
          score[i * S::other_rows + j] = sum * scale;
        }
      });
      block.each([&](int t) {
        if (t >= S::own_rows) return;
        Sum now = largest[t], sum = 0;
        for (int j = 0; j < count; ++j) now = score[t * S::other_rows + j] > now ? score[t * S::other_rows + j] : now;
        for (int j = 0; j < count; ++j) sum += score[t * S::other_rows + j] = std::exp(score[t * S::other_rows + j] - now);
        shrink[t] = std::exp(largest[t] - now);
        total[t] = total[t] * shrink[t] + sum;
        largest[t] = now;
      });
      block.each([&](int t) {
        for (int e = t; e < S::own_rows * width; e += block.threads) {
          const int i = e / width, c = e % width;
          Sum sum = mixed[e] * shrink[i];
          for (int j = 0; j < count; ++j) sum += score[i * S::other_rows + j] * values[j * width + c];
          mixed[e] = sum;
        }
      });
    }
    block.each([&](int t) {
      for (int e = t; e < S::own_rows * width; e += block.threads) {
        const Index i = tile.first + e / width;
        if (i < s.queries)
          out(s.query_group(tile.group) + s.query(i), channel + e % width) = static_cast<T>(mixed[e] / total[e / width]);
      }
      if (t < S::own_rows && tile.first + t < s.queries)
        lse(s.query_group(tile.group) + s.query(tile.first + t), tile.head) = largest[t] + std::log(total[t]);
    });
  }
};

/// dk and dv of a block's keys (OfKeys), or dq of its queries.
template <class T, bool OfKeys>
struct PlainAttentionBackward : PlainAttentionSizes<T> {
  using S = PlainAttentionSizes<T>;
  using Sum = typename S::Sum;
  Strided<T> dq, dk, dv;
  Strided<const T> dout, q, k, v;
  Strided<const Sum> lse;
  const Sum* delta;  ///< (rows of q, heads)
  Groups s;
  Sum scale;

  static constexpr int shared_bytes(int width) {
    return (4 * S::own_rows * width + 2 * S::other_rows * width + 2 * S::own_rows * S::other_rows) *
           static_cast<int>(sizeof(Sum));
  }
  /// Beside each other: q and dout of queries, or k and v of keys.
  WU_BODY void load(Block block, Sum* left, Sum* right, bool keys, const TileAt& tile, Index first, int count) const {
    block.each([&](int t) {
      for (int at = t; at < count * s.width; at += block.threads) {
        const Index i = first + at / s.width, column = tile.head * s.width + at % s.width;
        const Index row = keys ? s.key_group(tile.group) + s.key(i) : s.query_group(tile.group) + s.query(i);
        left[at] = static_cast<Sum>(keys ? k(row, column) : q(row, column));
        right[at] = static_cast<Sum>(keys ? v(row, column) : dout(row, column));
      }
    });
  }
  WU_BODY void operator()(Block block) const {
    const Index all_own = OfKeys ? s.keys : s.queries, all_others = OfKeys ? s.queries : s.keys;
    const TileAt tile(block.index, all_own, S::own_rows, s);
    const int width = s.width,
              mine = static_cast<int>(all_own - tile.first < S::own_rows ? all_own - tile.first : S::own_rows);
    Sum *const left = reinterpret_cast<Sum*>(block.shared), *const right = left + S::own_rows * width,
               *const sum_left = right + S::own_rows * width, *const sum_right = sum_left + S::own_rows * width,
               *const other_left = sum_right + S::own_rows * width, *const other_right = other_left + S::other_rows * width,
               *const p = other_right + S::other_rows * width, *const ds = p + S::own_rows * S::other_rows;
    load(block, left, right, OfKeys, tile, tile.first, mine);
    block.each([&](int t) {
      for (int at = t; at < S::own_rows * width; at += block.threads) sum_left[at] = sum_right[at] = 0;
    });
    for (Index first = 0; first < all_others; first += S::other_rows) {
      const int count = static_cast<int>(all_others - first < S::other_rows ? all_others - first : S::other_rows);
      load(block, other_left, other_right, !OfKeys, tile, first, count);
      block.each([&](int t) {
        for (int at = t; at < mine * count; at += block.threads) {
          const int i = at / count, j = at % count;
          Sum score = 0, dp = 0;
          for (int c = 0; c < width; ++c) {
            score += left[i * width + c] * other_left[j * width + c];
            dp += right[i * width + c] * other_right[j * width + c];
          }
          const Index row = s.query_group(tile.group) + s.query(OfKeys ? first + j : tile.first + i);
          const Sum share = std::exp(score * scale - lse(row, tile.head));
          p[i * S::other_rows + j] = share;
          ds[i * S::other_rows + j] = share * (dp - delta[row * s.heads + tile.head]) * scale;
        }
      });
      block.each([&](int t) {
        for (int at = t; at < mine * width; at += block.threads) {
          const int i = at / width, c = at % width;
          Sum of_left = sum_left[at], of_right = sum_right[at];
          for (int j = 0; j < count; ++j) {
            of_left += ds[i * S::other_rows + j] * other_left[j * width + c];
            if (OfKeys) of_right += p[i * S::other_rows + j] * other_right[j * width + c];
          }
          sum_left[at] = of_left, sum_right[at] = of_right;
        }
      });
    }
    block.each([&](int t) {
      for (int at = t; at < mine * width; at += block.threads) {
        const Index i = tile.first + at / width, column = tile.head * width + at % width;
        if (OfKeys) {
          const Index row = s.key_group(tile.group) + s.key(i);
          dk(row, column) = static_cast<T>(sum_left[at]);
          dv(row, column) = static_cast<T>(sum_right[at]);
        } else dq(s.query_group(tile.group) + s.query(i), column) = static_cast<T>(sum_left[at]);
      }
    });
  }
};

}  // namespace wu::cuda::kernel

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

  /// Values from one of the other rows to the next, where neighbouring threads read neighbouring rows: odd, so that no two of them
  /// meet in a bank of shared memory.
  WU_BODY static constexpr int pitch(int width) { return width | 1; }

  /// work(r, row, c) for all channels c of rows r = 0 .. count-1 of a tile; row = base + map(first + r). A warp has a row, or several
  /// narrow ones, so that a thread asks the map once for several channels and neighbouring threads have neighbouring ones.
  template <class Work>
  WU_BODY static void each_value(int t, Index base, const Map& map, Index first, int count, int width, Work&& work) {
    int lanes = warp_size;
    while (lanes / 2 >= width) lanes /= 2;
    for (int r = t / lanes; r < count; r += threads / lanes) {
      const Index row = base + map(first + r);
      for (int c = t % lanes; c < width; c += lanes) work(r, row, c);
    }
  }
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
    return (2 * S::own_rows * width + S::other_rows * (S::pitch(width) + width) + S::own_rows * S::other_rows +
            3 * S::own_rows) *
           static_cast<int>(sizeof(Sum));
  }
  WU_BODY void operator()(Block block) const {
    const TileAt tile(block.index, s.queries, S::own_rows, s);
    const Index base = s.query_group(tile.group), key_base = s.key_group(tile.group);
    const int width = s.width, pitch = S::pitch(width), head = static_cast<int>(tile.head), channel = head * width,
              mine = static_cast<int>(s.queries - tile.first < S::own_rows ? s.queries - tile.first : S::own_rows);
    Sum *const own = reinterpret_cast<Sum*>(block.shared), *const mixed = own + S::own_rows * width,
               *const keys = mixed + S::own_rows * width, *const values = keys + S::other_rows * pitch,
               *const score = values + S::other_rows * width, *const largest = score + S::own_rows * S::other_rows,
               *const total = largest + S::own_rows, *const shrink = total + S::own_rows;
    block.each([&](int t) {
      S::each_value(t, base, s.query, tile.first, mine, width, [&](int i, Index row, int c) {
        own[i * width + c] = static_cast<Sum>(q(row, channel + c));
        mixed[i * width + c] = 0;
      });
      if (t < mine) largest[t] = -INFINITY, total[t] = 0;
    });
    for (Index first = 0; first < s.keys; first += S::other_rows) {
      const int count = static_cast<int>(s.keys - first < S::other_rows ? s.keys - first : S::other_rows);
      block.each([&](int t) {
        S::each_value(t, key_base, s.key, first, count, width, [&](int j, Index row, int c) {
          const T key = k(row, channel + c), value = v(row, channel + c);
          keys[j * pitch + c] = static_cast<Sum>(key);
          values[j * width + c] = static_cast<Sum>(value);
        });
      });
      block.each([&](int t) {
        for (int e = t; e < mine * count; e += block.threads) {
          const int i = e / count, j = e % count;
          Sum sum = 0;
          for (int c = 0; c < width; ++c) sum += own[i * width + c] * keys[j * pitch + c];
          score[i * S::other_rows + j] = sum * scale;
        }
      });
      block.each([&](int t) {
        if (t >= mine) return;
        Sum now = largest[t], sum = 0;
        for (int j = 0; j < count; ++j) now = score[t * S::other_rows + j] > now ? score[t * S::other_rows + j] : now;
        for (int j = 0; j < count; ++j) sum += score[t * S::other_rows + j] = std::exp(score[t * S::other_rows + j] - now);
        shrink[t] = std::exp(largest[t] - now);
        total[t] = total[t] * shrink[t] + sum;
        largest[t] = now;
      });
      block.each([&](int t) {
        for (int e = t; e < mine * width; e += block.threads) {
          const int i = e / width, c = e % width;
          Sum sum = mixed[e] * shrink[i];
          for (int j = 0; j < count; ++j) sum += score[i * S::other_rows + j] * values[j * width + c];
          mixed[e] = sum;
        }
      });
    }
    block.each([&](int t) {
      S::each_value(t, base, s.query, tile.first, mine, width, [&](int i, Index row, int c) {
        out(row, channel + c) = static_cast<T>(mixed[i * width + c] / total[i]);
      });
      if (t < mine) lse(base + s.query(tile.first + t), head) = largest[t] + std::log(total[t]);
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
    return (4 * S::own_rows * width + 2 * S::other_rows * S::pitch(width) + 2 * S::own_rows * S::other_rows +
            2 * S::other_rows) *
           static_cast<int>(sizeof(Sum));
  }
  WU_BODY void operator()(Block block) const {
    const Index all_own = OfKeys ? s.keys : s.queries, all_others = OfKeys ? s.queries : s.keys;
    const TileAt tile(block.index, all_own, S::own_rows, s);
    const Index query_base = s.query_group(tile.group), key_base = s.key_group(tile.group);
    const int width = s.width, pitch = S::pitch(width), head = static_cast<int>(tile.head), channel = head * width,
              mine = static_cast<int>(all_own - tile.first < S::own_rows ? all_own - tile.first : S::own_rows);
    Sum *const left = reinterpret_cast<Sum*>(block.shared), *const right = left + S::own_rows * width,
               *const sum_left = right + S::own_rows * width, *const sum_right = sum_left + S::own_rows * width,
               *const other_left = sum_right + S::own_rows * width, *const other_right = other_left + S::other_rows * pitch,
               *const p = other_right + S::other_rows * pitch, *const ds = p + S::own_rows * S::other_rows,
               *const of_lse = ds + S::own_rows * S::other_rows, *const of_delta = of_lse + S::other_rows;
    // Beside each other: k and v of keys, or q and dout of queries, with their lse and delta.
    const auto load = [&](bool keys, Index first, int count, Sum* to_left, Sum* to_right, int row_pitch) {
      block.each([&](int t) {
        if (!keys && t < count) {
          const Index row = query_base + s.query(first + t);
          of_lse[t] = lse(row, head);
          of_delta[t] = delta[row * s.heads + head];
        }
        S::each_value(t, keys ? key_base : query_base, keys ? s.key : s.query, first, count, width,
                      [&](int r, Index row, int c) {
                        const T of_left = keys ? k(row, channel + c) : q(row, channel + c),
                                of_right = keys ? v(row, channel + c) : dout(row, channel + c);
                        to_left[r * row_pitch + c] = static_cast<Sum>(of_left);
                        to_right[r * row_pitch + c] = static_cast<Sum>(of_right);
                      });
      });
    };
    load(OfKeys, tile.first, mine, left, right, width);
    block.each([&](int t) {
      for (int at = t; at < mine * width; at += block.threads) sum_left[at] = sum_right[at] = 0;
    });
    for (Index first = 0; first < all_others; first += S::other_rows) {
      const int count = static_cast<int>(all_others - first < S::other_rows ? all_others - first : S::other_rows);
      load(!OfKeys, first, count, other_left, other_right, pitch);
      block.each([&](int t) {
        for (int at = t; at < mine * count; at += block.threads) {
          const int i = at / count, j = at % count;
          Sum score = 0, dp = 0;
          for (int c = 0; c < width; ++c) {
            score += left[i * width + c] * other_left[j * pitch + c];
            dp += right[i * width + c] * other_right[j * pitch + c];
          }
          const int query = OfKeys ? j : i;
          const Sum share = std::exp(score * scale - of_lse[query]);
          p[i * S::other_rows + j] = share;
          ds[i * S::other_rows + j] = share * (dp - of_delta[query]) * scale;
        }
      });
      block.each([&](int t) {
        for (int at = t; at < mine * width; at += block.threads) {
          const int i = at / width, c = at % width;
          Sum of_left = sum_left[at], of_right = sum_right[at];
          for (int j = 0; j < count; ++j) {
            of_left += ds[i * S::other_rows + j] * other_left[j * pitch + c];
            if (OfKeys) of_right += p[i * S::other_rows + j] * other_right[j * pitch + c];
          }
          sum_left[at] = of_left, sum_right[at] = of_right;
        }
      });
    }
    block.each([&](int t) {
      S::each_value(t, OfKeys ? key_base : query_base, OfKeys ? s.key : s.query, tile.first, mine, width,
                    [&](int i, Index row, int c) {
                      (OfKeys ? dk : dq)(row, channel + c) = static_cast<T>(sum_left[i * width + c]);
                      if (OfKeys) dv(row, channel + c) = static_cast<T>(sum_right[i * width + c]);
                    });
    });
  }
};

}  // namespace wu::cuda::kernel

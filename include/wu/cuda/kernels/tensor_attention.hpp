// Attention in bfloat16 on the tensor cores; formulas in ops/attention.hpp. Four warps have 16 queries (or keys) each and go over
// the group's keys (or queries) tile by tile. Scores stay in registers: the results of one product are the operands of the
// next. Softmax with a running maximum; exponents of two, for they are what the hardware has.       Dao 2023, algorithms 1 and 2
#pragma once

#include "wu/cuda/kernels/attention_rows.hpp"
#include "wu/cuda/tensor_cores.hpp"

namespace wu::cuda::kernel {

/// Bound: the head width, or more; the rest is zero. A multiple of 16.
template <int Bound>
struct TensorAttentionSizes {
  static constexpr int threads = 128, warp_rows = 16, own_rows = threads / warp_size * warp_rows;
  static constexpr float log2_e = 1.44269504088896340736f;
  static constexpr int pitch =
      Bound + 8;  ///< values from one row of a tile in shared memory to the next: no two lanes meet in a bank

  template <int Rows>
  static constexpr int tile_values = Rows * pitch;
  template <int Rows>
  static constexpr int turned_values = Bound * (Rows + 8);

  /// A tile of Rows rows into shared memory, row by row; beyond `count` rows and the head's width zero. turned: also with rows and
  /// columns exchanged; either may be null. base: the group's part of a row's number.
  template <int Rows>
  WU_BODY static void load(Block block, bfloat16* to, bfloat16* turned, Strided<const bfloat16> from, Index base,
                           const Map& map, Index first, Index count, Index column, int width) {
    constexpr int step = threads / Rows * 8, pieces = Bound / step, at_once = pieces < 4 ? pieces : 4;
    static_assert(threads % Rows == 0 && Bound % step == 0 && pieces % at_once == 0);
    block.alone([&](int t) {
      // Eight channels at a time. A thread keeps to one row, so the map is asked once; neighbouring threads have neighbouring
      // rows, so that what is turned is stored side by side. Some pieces are under way together, for memory is far and a store
      // waits for what it stores.
      const int r = t % Rows, first_column = t / Rows * 8;
      const bool there = first + r < count;
      const bfloat16* const source = there ? &from(base + map(first + r), column) : nullptr;
      WU_UNROLL
      for (int done = 0; done < pieces; done += at_once) {
        Eight piece[at_once];
        WU_UNROLL
        for (int p = 0; p < at_once; ++p) {
          const int c = first_column + (done + p) * step;
          if (there && c < width) piece[p] = Eight::at(source + c);
        }
        WU_UNROLL
        for (int p = 0; p < at_once; ++p) {
          const int c = first_column + (done + p) * step;
          if (to) piece[p].store(to + r * pitch + c);
          if (!turned) continue;
          WU_UNROLL
          for (int i = 0; i < 8; ++i) turned[(c + i) * (Rows + 8) + r] = piece[p].value(i);
        }
      }
    });
  }
};

/// out and lse
template <int Bound>
struct TensorAttention : TensorAttentionSizes<Bound> {
  using S = TensorAttentionSizes<Bound>;
  static constexpr int tile = 64, shared_bytes = (S::template tile_values<tile> + S::template turned_values<tile>)*2;
  Strided<bfloat16> out;
  Strided<float> lse;
  Strided<const bfloat16> q, k, v;
  Groups s;
  float scale;

  /// A thread's queries are g and g + 8 of its warp's.
  struct State {
    TileA q[Bound / 16];
    TileC score[tile / 8], mixed[Bound / 8];
    float total[2] = {0, 0};
  };
  template <class T>
  using OfThread = PerThread<T, S::threads>;

  WU_BODY void operator()(Block block) const {
    const TileAt at(block.index, s.queries, S::own_rows, s);
    const Index channel = at.head * s.width, base = s.query_group(at.group), key_base = s.key_group(at.group);
    bfloat16 *const keys = reinterpret_cast<bfloat16*>(block.shared), *const values = keys + S::template tile_values<tile>;
    OfThread<State> state;
    OfThread<float> largest[2], now[2];
    const auto query = [&](int t, int half) {
      return at.first + t / warp_size * S::warp_rows + t % warp_size / 4 + 8 * half;
    };

    // The queries by way of the keys' shared memory.
    S::template load<S::own_rows>(block, keys, nullptr, q, base, s.query, at.first, s.queries, channel, s.width);
    block.wait();
    block.each([&](int t) {
      WU_UNROLL
      for (int c = 0; c < Bound / 16; ++c)
        state[t].q[c] = tile_a(keys + t / warp_size * S::warp_rows * S::pitch + 16 * c, S::pitch, t % warp_size);
      largest[0][t] = largest[1][t] = -INFINITY;
    });
    for (Index first = 0; first < s.keys; first += tile) {
      S::template load<tile>(block, keys, nullptr, k, key_base, s.key, first, s.keys, channel, s.width);
      S::template load<tile>(block, nullptr, values, v, key_base, s.key, first, s.keys, channel, s.width);
      block.wait();
      block.alone([&](int t) {
        WU_UNROLL
        for (int n = 0; n < tile / 8; ++n) state[t].score[n] = TileC();
      });
      WU_UNROLL
      for (int c = 0; c < Bound / 16; ++c) WU_UNROLL
      for (int n = 0; n < tile / 8; ++n)
        multiply_tiles(
            block, [&](int t) { return state[t].q[c]; },
            [&](int t) { return tile_b(keys + 8 * n * S::pitch + 16 * c, S::pitch, t % warp_size); },
            [&](int t) -> TileC& { return state[t].score[n]; });
      block.alone([&](int t) {
        WU_UNROLL
        for (int half = 0; half < 2; ++half) now[half][t] = largest[half][t];
        WU_UNROLL
        for (int n = 0; n < tile / 8; ++n) WU_UNROLL
        for (int i = 0; i < 4; ++i) {
          float& score = state[t].score[n].part[i];
          score = first + 8 * n + 2 * (t % 4) + i % 2 < s.keys ? score * (scale * S::log2_e) : -INFINITY;
          now[i / 2][t] = score > now[i / 2][t] ? score : now[i / 2][t];
        }
      });
      WU_UNROLL
      for (int half = 0; half < 2; ++half) warp_maximum<4>(block, now[half]);
      block.alone([&](int t) {
        WU_UNROLL
        for (int half = 0; half < 2; ++half) {
          const float shrink = std::exp2(largest[half][t] - now[half][t]);
          largest[half][t] = now[half][t];
          float sum = 0;
          WU_UNROLL
          for (int n = 0; n < tile / 8; ++n) WU_UNROLL
          for (int i = 2 * half; i < 2 * half + 2; ++i)
            sum += state[t].score[n].part[i] = std::exp2(state[t].score[n].part[i] - now[half][t]);
          state[t].total[half] = state[t].total[half] * shrink + sum;
          WU_UNROLL
          for (int n = 0; n < Bound / 8; ++n) WU_UNROLL
          for (int i = 2 * half; i < 2 * half + 2; ++i) state[t].mixed[n].part[i] *= shrink;
        }
      });
      WU_UNROLL
      for (int j = 0; j < tile / 16; ++j) WU_UNROLL
      for (int n = 0; n < Bound / 8; ++n)
        multiply_tiles(
            block, [&](int t) { return as_operand(state[t].score[2 * j], state[t].score[2 * j + 1]); },
            [&](int t) { return tile_b(values + 8 * n * (tile + 8) + 16 * j, tile + 8, t % warp_size); },
            [&](int t) -> TileC& { return state[t].mixed[n]; });
      block.wait();
    }
    OfThread<float> total[2];
    block.alone([&](int t) {
      WU_UNROLL
      for (int half = 0; half < 2; ++half) total[half][t] = state[t].total[half];
    });
    WU_UNROLL
    for (int half = 0; half < 2; ++half) warp_sum<4>(block, total[half]);
    block.alone([&](int t) {
      WU_UNROLL
      for (int half = 0; half < 2; ++half) {
        const Index i = query(t, half);
        if (i >= s.queries) continue;
        const Index row = base + s.query(i);
        WU_UNROLL
        for (int n = 0; n < Bound / 8; ++n) WU_UNROLL
        for (int c = 0; c < 2; ++c) {
          const int column = 8 * n + 2 * (t % 4) + c;
          if (column < s.width) out(row, channel + column) = bfloat16(state[t].mixed[n].part[2 * half + c] / total[half][t]);
        }
        if (t % 4 == 0) lse(row, at.head) = largest[half][t] / S::log2_e + std::log(total[half][t]);
      }
    });
  }
};

/// dk and dv of a block's keys (OfKeys), or dq of its queries. Scores are computed again, with what the block has as rows.
template <int Bound, bool OfKeys>
struct TensorAttentionBackward : TensorAttentionSizes<Bound> {
  using S = TensorAttentionSizes<Bound>;
  static constexpr int tile = 32, sums = OfKeys ? 2 : 1;
  static constexpr int shared_bytes = (2 * S::template tile_values<S::own_rows> + 2 * S::template tile_values<tile> +
                                       sums * S::template turned_values<tile>)*2 +
                                      2 * tile * 4;
  Strided<bfloat16> dq, dk, dv;
  Strided<const bfloat16> dout, q, k, v;
  Strided<const float> lse;
  const float* delta;  ///< (rows of q, heads)
  Groups s;
  float scale;

  struct State {
    TileC score[tile / 8], dp[tile / 8];
    TileC left[Bound / 8], right[OfKeys ? Bound / 8 : 1];  ///< dk and dv, or dq
    float lse[2], delta[2];                                ///< of a thread's queries, where they are the block's
  };

  WU_BODY void operator()(Block block) const {
    const Index all_own = OfKeys ? s.keys : s.queries, all_others = OfKeys ? s.queries : s.keys;
    const TileAt at(block.index, all_own, S::own_rows, s);
    const Index channel = at.head * s.width;
    const Map &own_map = OfKeys ? s.key : s.query, &other_map = OfKeys ? s.query : s.key;
    const Index own_base = (OfKeys ? s.key_group : s.query_group)(at.group),
                other_base = (OfKeys ? s.query_group : s.key_group)(at.group);
    bfloat16 *const own_left = reinterpret_cast<bfloat16*>(block.shared),
                    *const own_right = own_left + S::template tile_values<S::own_rows>,
                    *const left = own_right + S::template tile_values<S::own_rows>,
                    *const right = left + S::template tile_values<tile>,
                    *const left_turned = right + S::template tile_values<tile>,
                    *const right_turned = left_turned + S::template turned_values<tile>;
    float *const of_lse = reinterpret_cast<float*>(left_turned + sums * S::template turned_values<tile>), *const of_delta =
                                                                                                              of_lse + tile;
    PerThread<State, S::threads> state;

    S::template load<S::own_rows>(block, own_left, nullptr, OfKeys ? k : q, own_base, own_map, at.first, all_own, channel,
                                  s.width);
    S::template load<S::own_rows>(block, own_right, nullptr, OfKeys ? v : dout, own_base, own_map, at.first, all_own,
                                  channel, s.width);
    block.alone([&](int t) {
      WU_UNROLL
      for (int half = 0; half < 2; ++half) {
        const Index i = at.first + t / warp_size * S::warp_rows + t % warp_size / 4 + 8 * half;
        const bool there = !OfKeys && i < s.queries;
        const Index row = there ? own_base + own_map(i) : 0;
        state[t].lse[half] = there ? lse(row, at.head) : 0;
        state[t].delta[half] = there ? delta[row * s.heads + at.head] : 0;
      }
    });
    for (Index first = 0; first < all_others; first += tile) {
      S::template load<tile>(block, left, left_turned, OfKeys ? q : k, other_base, other_map, first, all_others, channel,
                             s.width);
      S::template load<tile>(block, right, OfKeys ? right_turned : nullptr, OfKeys ? dout : v, other_base, other_map, first,
                             all_others, channel, s.width);
      if (OfKeys)
        block.alone([&](int t) {
          if (t >= tile) return;
          const bool there = first + t < s.queries;
          const Index row = there ? other_base + other_map(first + t) : 0;
          of_lse[t] = there ? lse(row, at.head) : 0;
          of_delta[t] = there ? delta[row * s.heads + at.head] : 0;
        });
      block.wait();
      block.alone([&](int t) {
        WU_UNROLL
        for (int n = 0; n < tile / 8; ++n) state[t].score[n] = state[t].dp[n] = TileC();
      });
      WU_UNROLL
      for (int c = 0; c < Bound / 16; ++c) WU_UNROLL
      for (int n = 0; n < tile / 8; ++n) {
        const auto rows = [&](const bfloat16* of, int t) {
          return tile_a(of + t / warp_size * S::warp_rows * S::pitch + 16 * c, S::pitch, t % warp_size);
        };
        const auto columns = [&](const bfloat16* of, int t) {
          return tile_b(of + 8 * n * S::pitch + 16 * c, S::pitch, t % warp_size);
        };
        multiply_tiles(
            block, [&](int t) { return rows(own_left, t); }, [&](int t) { return columns(left, t); },
            [&](int t) -> TileC& { return state[t].score[n]; });
        multiply_tiles(
            block, [&](int t) { return rows(own_right, t); }, [&](int t) { return columns(right, t); },
            [&](int t) -> TileC& { return state[t].dp[n]; });
      }
      block.alone([&](int t) {
        WU_UNROLL
        for (int n = 0; n < tile / 8; ++n) WU_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int column = 8 * n + 2 * (t % 4) + i % 2;
          const float at_lse = OfKeys ? of_lse[column] : state[t].lse[i / 2],
                      at_delta = OfKeys ? of_delta[column] : state[t].delta[i / 2];
          float &score = state[t].score[n].part[i], &dp = state[t].dp[n].part[i];
          const float p = first + column < all_others ? std::exp2(score * (scale * S::log2_e) - at_lse * S::log2_e) : 0.0f;
          score = p;
          dp = p * (dp - at_delta) * scale;
        }
      });
      WU_UNROLL
      for (int j = 0; j < tile / 16; ++j) WU_UNROLL
      for (int n = 0; n < Bound / 8; ++n) {
        const auto turned = [&](const bfloat16* of, int t) {
          return tile_b(of + 8 * n * (tile + 8) + 16 * j, tile + 8, t % warp_size);
        };
        multiply_tiles(
            block, [&](int t) { return as_operand(state[t].dp[2 * j], state[t].dp[2 * j + 1]); },
            [&](int t) { return turned(left_turned, t); }, [&](int t) -> TileC& { return state[t].left[n]; });
        if constexpr (OfKeys)
          multiply_tiles(
              block, [&](int t) { return as_operand(state[t].score[2 * j], state[t].score[2 * j + 1]); },
              [&](int t) { return turned(right_turned, t); }, [&](int t) -> TileC& { return state[t].right[n]; });
      }
      block.wait();
    }
    block.alone([&](int t) {
      WU_UNROLL
      for (int half = 0; half < 2; ++half) {
        const Index i = at.first + t / warp_size * S::warp_rows + t % warp_size / 4 + 8 * half;
        if (i >= all_own) continue;
        const Index row = own_base + own_map(i);
        WU_UNROLL
        for (int n = 0; n < Bound / 8; ++n) WU_UNROLL
        for (int c = 0; c < 2; ++c) {
          const int column = 8 * n + 2 * (t % 4) + c;
          if (column >= s.width) continue;
          (OfKeys ? dk : dq)(row, channel + column) = bfloat16(state[t].left[n].part[2 * half + c]);
          if constexpr (OfKeys) dv(row, channel + column) = bfloat16(state[t].right[n].part[2 * half + c]);
        }
      }
    });
  }
};

}  // namespace wu::cuda::kernel

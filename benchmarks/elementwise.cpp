// ops/activations, elementwise, embedding and losses. What each reads and writes stands beside it, in arrays of (rows, C).
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

/// x -> y and dy, x -> dx
template <class T, Index C>
void add_activations(Index rows) {
  const std::string size = join(C, "/rows:", rows);
  const Work array = moved<T>(rows * C);
  const auto both = [&](const std::string& name, auto forward, auto backward) {
    add<T>(name + size, "forward", 2 * array, [=](Fixture& f) {
      const auto y = f.output<T, dyn, C>(rows);
      const auto x = f.input<T, dyn, C>(rows);
      return [=, &f] { forward(f.ctx, y, x); };
    });
    add<T>(name + size, "backward", 3 * array, [=](Fixture& f) {
      const auto dx = f.output<T, dyn, C>(rows);
      const auto dy = f.input<T, dyn, C>(rows), x = f.input<T, dyn, C>(rows);
      return [=, &f] { backward(f.ctx, dx, dy, x); };
    });
  };
  both("silu/", [](auto&&... a) { silu_forward(a...); }, [](auto&&... a) { silu_backward(a...); });
  both("gelu/", [](auto&&... a) { gelu_forward(a...); }, [](auto&&... a) { gelu_backward(a...); });
}

template <class T, Index C>
void add_elementwise(Index rows) {
  const std::string size = join(C, "/rows:", rows);
  const Work array = moved<T>(rows * C);
  add<T>("add/" + size, "forward", 3 * array, [=](Fixture& f) {  // y, x -> y
    const auto y = f.output<T, dyn, C>(rows);
    const auto x = f.input<T, dyn, C>(rows);
    return [=, &f] { wu::add(f.ctx, y, x); };
  });
  add<T>("copy/" + size, "forward", 2 * array, [=](Fixture& f) {  // x -> y
    const auto y = f.output<T, dyn, C>(rows);
    const auto x = f.input<T, dyn, C>(rows);
    return [=, &f] { copy(f.ctx, y, x); };
  });
  add<T>("zero/" + size, "forward", array, [=](Fixture& f) {  // -> y
    const auto y = f.output<T, dyn, C>(rows);
    return [=, &f] { zero(f.ctx, y); };
  });

  constexpr Index copies = 4;  // broadcast: a quarter -> y; dy, a quarter -> the quarter
  add<T>("broadcast_rows/" + size, "forward", 1.25 * array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(rows);
    const auto x = f.input<T, dyn, C>(rows / copies);
    return [=, &f] { broadcast_rows_forward(f.ctx, y, x); };
  });
  add<T>("broadcast_rows/" + size, "backward", 1.5 * array, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, C>(rows / copies);
    const auto dy = f.input<T, dyn, C>(rows);
    return [=, &f] { broadcast_rows_backward(f.ctx, dx, dy); };
  });
  constexpr Index groups = 16;  // mean: x -> a few rows; a few rows -> dx
  add<T>("mean_rows/" + size, "forward", array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(groups);
    const auto x = f.input<T, dyn, C>(rows);
    return [=, &f] { mean_rows_forward(f.ctx, y, x); };
  });
  add<T>("mean_rows/" + size, "backward", array, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, C>(rows);
    const auto dy = f.input<T, dyn, C>(groups);
    return [=, &f] { mean_rows_backward(f.ctx, dx, dy); };
  });
}

/// forward: a row of the table for each id -> y.    backward: dy, the rows of the table -> those rows
template <class T, Index Vocabulary, Index C>
void add_embedding(Index rows) {
  const std::string shape = join("embedding/", Vocabulary, "x", C, "/rows:", rows);
  const Work array = moved<T>(rows * C);
  add<T>(shape, "forward", 2 * array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(rows);
    const auto table = f.input<T, Vocabulary, C>();
    const auto ids = f.ids(rows, Vocabulary);
    return [=, &f] { embedding_forward(f.ctx, y, ids, table); };
  });
  add<T>(shape, "backward", 3 * array, [=](Fixture& f) {
    const auto dtable = f.output<accumulator_t<T>, Vocabulary, C>();
    const auto dy = f.input<T, dyn, C>(rows);
    const auto ids = f.ids(rows, Vocabulary);
    return [=, &f] { embedding_backward(f.ctx, dtable, dy, ids); };
  });
}

/// 8 samples.    forward: prediction, target -> 8 numbers.    backward: prediction, target -> dprediction
template <class T>
void add_mse(Index values) {
  constexpr Index samples = 8;
  const std::string shape = join("mse/samples:", samples, "/values:", values);
  const Work array = moved<T>(values);
  add<T>(shape, "forward", 2 * array, [=](Fixture& f) {
    const auto each = f.output<double, dyn>(samples);
    const auto prediction = f.input<T, dyn, 1>(values), target = f.input<T, dyn, 1>(values);
    return [=, &f] { mse_forward(f.ctx, each, prediction, target); };
  });
  add<T>(shape, "backward", 3 * array, [=](Fixture& f) {
    const auto dprediction = f.output<T, dyn, 1>(values);
    const auto prediction = f.input<T, dyn, 1>(values), target = f.input<T, dyn, 1>(values);
    const auto weights = f.input<double, dyn>(samples);
    return [=, &f] { mse_backward(f.ctx, dprediction, prediction, target, std::span(weights.data, samples)); };
  });
}

template <class T>
void add_all(Index rows) {
  add_activations<T, 512>(rows);
  add_elementwise<T, 512>(rows);
  add_embedding<T, 2048, 512>(rows);
  add_mse<T>(rows * 512);
}

WU_BENCHMARK(add_all<float>(32768));  // 64 MiB an array: more than a cache holds
WU_BENCHMARK(add_all<double>(16384));
WU_BENCHMARK(add_all<bfloat16>(65536));

}  // namespace

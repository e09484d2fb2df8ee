// ops/rms_norm, layer_norm, rope and modulate. What each reads and writes stands beside it, in arrays of (rows, C); the few
// values for each row or channel are left out.
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

/// forward: x -> y.   backward: dy, x -> dx; it also adds to dgain
template <class T, Index C>
void add_rms_norm(Index rows) {
  const std::string shape = join("rms_norm/", C, "/rows:", rows);
  const Work array = moved<T>(rows * C);
  using Sum = accumulator_t<T>;
  add<T>(shape, "forward", 2 * array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(rows);
    const auto inv_rms = f.output<Sum, dyn>(rows);
    const auto x = f.input<T, dyn, C>(rows);
    const auto gain = f.input<T, C>();
    return [=, &f] { rms_norm_forward(f.ctx, y, inv_rms, x, gain); };
  });
  add<T>(shape, "backward", 3 * array, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, C>(rows);
    const auto dgain = f.output<Sum, C>();
    const auto dy = f.input<T, dyn, C>(rows), x = f.input<T, dyn, C>(rows);
    const auto inv_rms = f.input<Sum, dyn>(rows);
    const auto gain = f.input<T, C>();
    return [=, &f] { rms_norm_backward(f.ctx, dx, dgain, dy, x, inv_rms, gain); };
  });
}

/// forward: x -> y.   backward: dy, x -> dx; it also adds to dgain and dbias
template <class T, Index C>
void add_layer_norm(Index rows) {
  const std::string shape = join("layer_norm/", C, "/rows:", rows);
  const Work array = moved<T>(rows * C);
  using Sum = accumulator_t<T>;
  add<T>(shape, "forward", 2 * array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(rows);
    const auto mean = f.output<Sum, dyn>(rows), inv_std = f.output<Sum, dyn>(rows);
    const auto x = f.input<T, dyn, C>(rows);
    const auto gain = f.input<T, C>(), bias = f.input<T, C>();
    return [=, &f] { layer_norm_forward(f.ctx, y, mean, inv_std, x, gain, bias); };
  });
  add<T>(shape, "backward", 3 * array, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, C>(rows);
    const auto dgain = f.output<Sum, C>(), dbias = f.output<Sum, C>();
    const auto dy = f.input<T, dyn, C>(rows), x = f.input<T, dyn, C>(rows);
    const auto mean = f.input<Sum, dyn>(rows), inv_std = f.input<Sum, dyn>(rows);
    const auto gain = f.input<T, C>();
    return [=, &f] { layer_norm_backward(f.ctx, dx, dgain, dbias, dy, x, mean, inv_std, gain); };
  });
}

/// In place, two axes: x -> x
template <class T, Index C, Index D>
void add_rope(Index rows) {
  const std::string shape = join("rope/", C, "/head:", D, "/rows:", rows);
  const Work work = moved<T>(2 * rows * C);
  constexpr Index side = 32;
  const std::array<RotaryAxis, 2> axes{RotaryAxis{D / 2, side, side, 0}, RotaryAxis{D / 2, 1, side, 0}};
  add<T>(shape, "forward", work, [=](Fixture& f) {
    const auto x = f.output<T, dyn, C>(rows);
    const auto rotary = Rotary<accumulator_t<T>, 2>::make(f.ctx, f.ws, axes);
    return [=, &f] { rope_forward<D>(f.ctx, x, rotary); };
  });
  add<T>(shape, "backward", work, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, C>(rows);
    const auto rotary = Rotary<accumulator_t<T>, 2>::make(f.ctx, f.ws, axes);
    return [=, &f] { rope_backward<D>(f.ctx, dx, rotary); };
  });
}

/// One group of rows for each of 4 pictures.    modulate: x -> y; dy, x -> dx.    gated add: y, h -> y; dy, h -> dh
template <class T, Index C>
void add_modulate(Index rows) {
  constexpr Index groups = 4;
  const std::string size = join(C, "/rows:", rows);
  const Work array = moved<T>(rows * C);
  add<T>("modulate/" + size, "forward", 2 * array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(rows);
    const auto x = f.input<T, dyn, C>(rows), shift = f.input<T, dyn, C>(groups), scale = f.input<T, dyn, C>(groups);
    return [=, &f] { modulate_forward(f.ctx, y, x, shift, scale); };
  });
  add<T>("modulate/" + size, "backward", 3 * array, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, C>(rows), dshift = f.output<T, dyn, C>(groups), dscale = f.output<T, dyn, C>(groups);
    const auto dy = f.input<T, dyn, C>(rows), x = f.input<T, dyn, C>(rows), scale = f.input<T, dyn, C>(groups);
    return [=, &f] { modulate_backward(f.ctx, dx, dshift, dscale, dy, x, scale); };
  });
  add<T>("gated_add/" + size, "forward", 3 * array, [=](Fixture& f) {
    const auto y = f.output<T, dyn, C>(rows);
    const auto h = f.input<T, dyn, C>(rows), gate = f.input<T, dyn, C>(groups);
    return [=, &f] { gated_add_forward(f.ctx, y, h, gate); };
  });
  add<T>("gated_add/" + size, "backward", 3 * array, [=](Fixture& f) {
    const auto dh = f.output<T, dyn, C>(rows), dgate = f.output<T, dyn, C>(groups);
    const auto dy = f.input<T, dyn, C>(rows), h = f.input<T, dyn, C>(rows), gate = f.input<T, dyn, C>(groups);
    return [=, &f] { gated_add_backward(f.ctx, dh, dgate, dy, h, gate); };
  });
}

template <class T>
void add_all(Index rows) {
  add_rms_norm<T, 512>(rows);
  add_layer_norm<T, 512>(rows);
  add_rope<T, 512, 64>(rows);
  add_modulate<T, 512>(rows);
}

WU_BENCHMARK(add_all<float>(768));    // 1.5 MiB an array: a generator's, which stays in a cache
WU_BENCHMARK(add_all<float>(32768));  // 64 MiB an array: more than a cache holds
WU_BENCHMARK(add_all<double>(16384));
WU_BENCHMARK(add_all<bfloat16>(768));
WU_BENCHMARK(add_all<bfloat16>(65536));

}  // namespace

// ops/depthwise, resample and patches on pictures (b, H, W, C).
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

/// K K multiply-adds for every value of y; backward has as many for dx and for dW
template <class T, Index C, Index K>
void add_depthwise(Index b, Index side) {
  const std::string shape = join("depthwise/", K, "x", K, "/", C, "/pictures:", b, "/side:", side);
  const Work work = multiply_adds(b, side, side, C, K, K);
  add<T>(shape, "forward", work, [=](Fixture& f) {
    const auto y = f.output<T, dyn, dyn, dyn, C>(b, side, side);
    const auto x = f.input<T, dyn, dyn, dyn, C>(b, side, side);
    const auto W = f.input<T, K * K, C>();
    return [=, &f] { depthwise_forward(f.ctx, y, x, W); };
  });
  add<T>(shape, "backward", 2 * work, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, dyn, dyn, C>(b, side, side);
    const auto dW = f.output<accumulator_t<T>, K * K, C>();
    const auto dy = f.input<T, dyn, dyn, dyn, C>(b, side, side), x = f.input<T, dyn, dyn, dyn, C>(b, side, side);
    const auto W = f.input<T, K * K, C>();
    return [=, &f] { depthwise_backward(f.ctx, dx, dW, dy, x, W); };
  });
}

/// One grid is F F times as large as the other. All four read one and write the other.
template <class T, Index C, Index F>
void add_resample(Index b, Index side) {
  const std::string size = join("x", F, "/", C, "/pictures:", b, "/side:", side);
  const Work work = moved<T>(b * C * (side * side + side / F * (side / F)));
  const auto pair = [&](const std::string& name, const std::string& direction, auto call) {
    add<T>(name + size, direction, work, [=](Fixture& f) {
      const auto fine = f.output<T, dyn, dyn, dyn, C>(b, side, side);
      const auto coarse = f.output<T, dyn, dyn, dyn, C>(b, side / F, side / F);
      return [=, &f] { call(f.ctx, fine, coarse); };
    });
  };
  pair("pool/", "forward", [](auto& ctx, auto fine, auto coarse) { pool_forward(ctx, coarse, as_const(fine)); });
  pair("pool/", "backward", [](auto& ctx, auto dfine, auto dcoarse) { pool_backward(ctx, dfine, as_const(dcoarse)); });
  pair("upsample/", "forward", [](auto& ctx, auto fine, auto coarse) { upsample_forward(ctx, fine, as_const(coarse)); });
  pair("upsample/", "backward",
       [](auto& ctx, auto dfine, auto dcoarse) { upsample_backward(ctx, dcoarse, as_const(dfine)); });
}

/// Reads and writes every value once.
template <class T, Index P>
void add_patches(Index b, Index side) {
  const std::string shape = join("patches/", P, "x", P, "/pictures:", b, "/side:", side);
  constexpr Index channels = 3, width = P * P * channels;
  const Index rows = b * (side / P) * (side / P);
  const Work work = moved<T>(2 * rows * width);
  add<T>(shape, "forward", work, [=](Fixture& f) {
    const auto y = f.output<T, dyn, width>(rows);
    const auto x = f.input<T, dyn, dyn, dyn, channels>(b, side, side);
    return [=, &f] { patches_forward(f.ctx, y, x); };
  });
  add<T>(shape, "backward", work, [=](Fixture& f) {
    const auto dx = f.output<T, dyn, dyn, dyn, channels>(b, side, side);
    const auto dy = f.input<T, dyn, width>(rows);
    return [=, &f] { patches_backward(f.ctx, dx, dy); };
  });
}

WU_BENCHMARK(add_depthwise<float, 64, 5>(8, 32));
WU_BENCHMARK(add_depthwise<double, 64, 5>(8, 32));
WU_BENCHMARK(add_depthwise<bfloat16, 64, 5>(8, 32));

WU_BENCHMARK(add_resample<float, 64, 4>(64, 64));  // the fine grid: 64 MiB
WU_BENCHMARK(add_resample<double, 64, 4>(32, 64));
WU_BENCHMARK(add_resample<bfloat16, 64, 4>(128, 64));

WU_BENCHMARK(add_patches<float, 16>(80, 256));  // 60 MiB
WU_BENCHMARK(add_patches<float, 2>(80, 256));
WU_BENCHMARK(add_patches<double, 16>(40, 256));
WU_BENCHMARK(add_patches<bfloat16, 16>(160, 256));

}  // namespace

// cuda/float8.hpp, cuda/kernels/float8.hpp and cuda/float8_weights.hpp: FP8 (e4m3), rows and products in it, and a generator that
// computes with it.
#include "support.hpp"

#include <optional>

#include "wu/generator/generator.hpp"
#include "wu/nn/linear.hpp"

namespace {

using namespace wu;
using cuda::float8;

float8 code(int bits) {
  float8 number;
  number.bits = static_cast<std::uint8_t>(bits);
  return number;
}
/// What the bits say, from the format's definition.
double meaning(int bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const double size = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return bits & 0x80 ? -size : size;
}
bool is_nan(int bits) { return (bits & 0x7f) == 0x7f; }

/// The nearest of all codes, of two as near the one whose last bit is zero; those of negative numbers have the sign's bit.
int nearest(double x) {
  const double size = std::fabs(x);
  int best = 0;
  for (int bits = 1; bits < 0x7f; ++bits) {
    const double now = std::fabs(meaning(bits) - size), before = std::fabs(meaning(best) - size);
    if (now < before || (now == before && bits % 2 == 0)) best = bits;
  }
  return best | (std::signbit(x) ? 0x80 : 0);
}

/// Values as the kernels get them, in a device's memory.
template <class T>
Buffer<T> there(const std::vector<T>& values) {
  Buffer<T> buffer(static_cast<Index>(values.size()), memory_of(test::gpu()));
  test::put(buffer, values);
  return buffer;
}

std::vector<bfloat16> random_bfloat16(Index n, std::string_view purpose) {
  std::vector<bfloat16> values;
  for (const double v : test::random_values(n, purpose)) values.emplace_back(v);
  return values;
}

/// Codes and scales of rows, on the host.
struct Rows {
  std::vector<float8> codes;
  std::vector<float> scales;
  Index width;
  double operator()(Index row, Index column) const {
    return static_cast<double>(static_cast<float>(codes[static_cast<std::size_t>(row * width + column)])) *
           static_cast<double>(scales[static_cast<std::size_t>(row)]);
  }
};

/// By the kernel. skip: how many values before the first row, so that it lies on another boundary.
Rows quantised(const std::vector<bfloat16>& x, Index rows, Index width, Index skip = 0) {
  auto& gpu = test::gpu();
  std::vector<bfloat16> shifted(static_cast<std::size_t>(skip));
  shifted.insert(shifted.end(), x.begin(), x.end());
  const Buffer<bfloat16> from = there(shifted);
  Buffer<float8> codes = there(std::vector<float8>(static_cast<std::size_t>(rows * width), code(0x7f)));
  Buffer<float> scales = there(std::vector<float>(static_cast<std::size_t>(rows), std::nanf("")));
  const cuda::kernel::QuantiseRows body(codes.data(), scales.data(), from.data() + skip, rows, width);
  gpu.run_blocks(body, {.blocks = body.blocks(), .threads = body.threads});
  gpu.synchronise();
  return {test::fetch(codes), test::fetch(scales), width};
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_float8_means_what_the_format_says) {
  for (int bits = 0; bits < 256; ++bits) {
    const float value = static_cast<float>(code(bits));
    if (is_nan(bits)) {
      BOOST_CHECK(std::isnan(value));
      continue;
    }
    BOOST_CHECK_EQUAL(static_cast<double>(value), meaning(bits));
    BOOST_CHECK_EQUAL(std::signbit(value), bits >= 0x80);
    BOOST_CHECK_EQUAL(float8(value).bits, bits);
  }
  BOOST_CHECK_EQUAL(meaning(0x7e), static_cast<double>(float8::largest));
}

BOOST_AUTO_TEST_CASE(floats_round_to_the_nearest_float8) {
  const auto check = [](float value) {
    if (float8(value).bits != nearest(static_cast<double>(value)))
      BOOST_ERROR(value << " became " << static_cast<int>(float8(value).bits) << ", not "
                        << nearest(static_cast<double>(value)));
  };
  for (int bits = 0; bits < 0x7f; ++bits) {  // each code, what lies half way to the next, and the floats beside them
    const double here = meaning(bits), next = bits == 0x7e ? 480 : meaning(bits + 1);
    for (const double middle : {here, (here + next) / 2})
      for (const float sign : {1.0f, -1.0f}) {
        const float value = static_cast<float>(middle) * sign;
        check(value), check(std::nextafter(value, 1000.0f)), check(std::nextafter(value, -1000.0f));
      }
  }
  for (const double v : test::random_values(20000, "float8"))
    check(static_cast<float>(std::ldexp(v, static_cast<int>(600 * v) % 20)));
  for (const float large : {449.0f, 464.0f, 500.0f, 1e30f, INFINITY}) {
    BOOST_CHECK_EQUAL(float8(large).bits, 0x7e);
    BOOST_CHECK_EQUAL(float8(-large).bits, 0xfe);
  }
  BOOST_CHECK(std::isnan(static_cast<float>(float8(NAN))));
  BOOST_CHECK_EQUAL(float8::pair(1, -2), 0x38 | 0xc0 << 8);
}

BOOST_AUTO_TEST_CASE(rows_in_float8) {
  for (const auto& [rows, width] : {std::pair<Index, Index>{1, 1}, {3, 7}, {9, 16}, {17, 264}, {8, 300}, {2, 1024}})
    for (const Index skip : {0, 1, 8}) {
      const auto x = random_bfloat16(rows * width, "x");
      const Rows found = quantised(x, rows, width, skip);
      for (Index r = 0; r < rows; ++r) {
        float largest = 0;
        for (Index c = 0; c < width; ++c)
          largest = std::max(largest, std::fabs(static_cast<float>(x[static_cast<std::size_t>(r * width + c)])));
        BOOST_REQUIRE_EQUAL(found.scales[static_cast<std::size_t>(r)], largest / 448);
        for (Index c = 0; c < width; ++c) {
          const float value = x[static_cast<std::size_t>(r * width + c)];
          BOOST_REQUIRE_EQUAL(found.codes[static_cast<std::size_t>(r * width + c)].bits,
                              float8(value * (1 / (largest / 448))).bits);
          // Half of the distance of two codes: a 16th of the value, or 2^-10 of a scale.
          BOOST_REQUIRE_LE(std::fabs(found(r, c) - static_cast<double>(value)),
                           static_cast<double>(std::max(std::fabs(value) / 16, largest / 448 / 1024)) * 1.0001);
        }
      }
    }
}

BOOST_AUTO_TEST_CASE(rows_of_zeros_of_one_large_value_and_of_what_is_not_finite) {
  constexpr Index width = 24;
  const auto row = [&](bfloat16 most, bfloat16 first) {
    std::vector<bfloat16> x(width, most);
    x[0] = first;
    return x;
  };
  const Rows zero = quantised(row(bfloat16(0.0f), bfloat16(-0.0f)), 1, width);
  for (Index c = 0; c < width; ++c) BOOST_CHECK_EQUAL(zero(0, c), 0);
  BOOST_CHECK(std::isfinite(1 / zero.scales[0]));
  const Rows outlier = quantised(row(bfloat16(1.0f), bfloat16(-3e38f)), 1, width);
  BOOST_CHECK_EQUAL(outlier.codes[0].bits, 0xfe);
  for (Index c = 1; c < width; ++c) BOOST_CHECK_EQUAL(outlier(0, c), 0);
  const Rows tenfold = quantised(row(bfloat16(1.0f), bfloat16(1000.0f)), 1, width);
  for (Index c = 1; c < width; ++c) BOOST_CHECK_CLOSE_FRACTION(tenfold(0, c), 1, 1.0 / 16);
  const Rows tiny = quantised(row(bfloat16(1e-40f), bfloat16(1e-40f)), 1, width);
  for (Index c = 0; c < width; ++c) BOOST_CHECK_EQUAL(tiny(0, c), 0);
  for (const float v : {INFINITY, NAN}) BOOST_CHECK(std::isnan(quantised(row(bfloat16(1.0f), bfloat16(v)), 1, width)(0, 0)));
}

namespace {

/// A layer whose weights, bias, input and residual are bfloat16, and its parameters as a module has them.
template <Index In, Index Out>
struct Layer {
  Index rows;
  std::vector<bfloat16> x = random_bfloat16(rows * In, "x"), w = random_bfloat16(Out * In, "w"),
                        b = random_bfloat16(Out, "b"), r = random_bfloat16(rows * Out, "r");
  Buffer<bfloat16> x_there = there(x), w_there = there(w), b_there = there(b), r_there = there(r);
  using Parameters = typename Linear<In, Out>::template Parameters<const bfloat16>;

  Parameters parameters() const {
    return {View<const bfloat16, Out, In>(w_there.data()), View<const bfloat16, Out>(b_there.data())};
  }
  View<const bfloat16, dyn, In> input() const { return {x_there.data(), rows}; }

  enum class Kind { plain, without_bias, on_residual, on_itself };
  std::vector<bfloat16> run(Kind kind) const {
    auto& gpu = test::gpu();
    Buffer<bfloat16> y = there(std::vector<bfloat16>(static_cast<std::size_t>(rows * Out), bfloat16(std::nanf(""))));
    const View<bfloat16, dyn, Out> to(y.data(), rows);
    const Parameters p = parameters();
    if (kind == Kind::on_residual)
      linear_residual_forward(gpu, to, View<const bfloat16, dyn, Out>(r_there.data(), rows), input(), p.weight, p.bias);
    else if (kind == Kind::on_itself) {
      test::put(y, r);
      linear_residual_forward(gpu, to, as_const(to), input(), p.weight, p.bias);
    } else linear_forward(gpu, to, input(), p.weight, kind == Kind::plain ? p.bias : View<const bfloat16, Out>());
    gpu.synchronise();
    return test::fetch(y);
  }

  /// In double, from codes or from the values themselves.
  std::vector<double> expected(Kind kind, auto x_at, auto w_at) const {
    std::vector<double> y;
    for (Index s = 0; s < rows; ++s)
      for (Index o = 0; o < Out; ++o) {
        double sum = 0;
        for (Index i = 0; i < In; ++i) sum += x_at(s, i) * w_at(o, i);
        if (kind != Kind::without_bias) sum += static_cast<double>(b[static_cast<std::size_t>(o)]);
        if (kind == Kind::on_residual) sum += static_cast<double>(r[static_cast<std::size_t>(s * Out + o)]);
        y.push_back(sum);
      }
    return y;
  }
};

template <Index In, Index Out>
void layer_in_float8(Index rows) {
  using L = Layer<In, Out>;
  const L layer{rows};
  const Rows x = quantised(layer.x, rows, In), w = quantised(layer.w, Out, In);
  const auto value = [](const std::vector<bfloat16>& all, Index width) {
    return [&all, width](Index r, Index c) { return static_cast<double>(all[static_cast<std::size_t>(r * width + c)]); };
  };
  for (const auto kind : {L::Kind::plain, L::Kind::without_bias, L::Kind::on_residual}) {
    const auto in_bfloat16 = layer.run(kind);
    std::optional<cuda::Float8Weights> float8(std::in_place, test::gpu(), layer.parameters());
    BOOST_CHECK_EQUAL(float8->layers(), 1);
    BOOST_CHECK_EQUAL(float8->bytes(), Out * In + 4 * Out);
    const auto found = layer.run(kind);
    float8.reset();
    BOOST_CHECK(layer.run(kind) == in_bfloat16);
    BOOST_CHECK(found != in_bfloat16);
    // Of the codes: all that is left is the result's rounding to bfloat16.
    BOOST_CHECK_LE(test::relative_error(found, layer.expected(kind, x, w)), 1.0 / 256);
    // Of the values: each is off by a 16th at most, and these are of both signs.
    const double error = test::relative_error(found, layer.expected(kind, value(layer.x, In), value(layer.w, In)));
    BOOST_TEST_MESSAGE("linear " << In << " -> " << Out << " in FP8: off by " << error << " of the largest result");
    BOOST_CHECK_LE(error, 6e-2);
    BOOST_CHECK_GE(error, 1e-3);
  }
}
}  // namespace

BOOST_AUTO_TEST_CASE(linear_layers_in_float8) {
  layer_in_float8<16, 16>(1);
  layer_in_float8<48, 32>(5);
  layer_in_float8<272, 16>(131);
}

BOOST_AUTO_TEST_CASE(joint_layers_round_their_input_once) {
  using L = Layer<48, 32>;
  const L layer{5};
  auto other = layer.w;
  std::ranges::reverse(other);
  const Buffer<bfloat16> other_there = there(other);
  const std::array<L::Parameters, 2> layers{
      {layer.parameters(), {View<const bfloat16, 32, 48>(other_there.data()), View<const bfloat16, 32>()}}};
  const cuda::Float8Weights float8(test::gpu(), layers);
  BOOST_CHECK_EQUAL(float8.layers(), 2);
  test::On on(test::gpu());
  const auto y = [&](const char* name) { return View<bfloat16, dyn, 32>(on.output<bfloat16>(name, 5 * 32), 5); };
  const std::array<View<bfloat16, dyn, 32>, 2> joint{y("joint 0"), y("joint 1")};
  joint_linear_forward(on.ctx, joint, layer.input(), layers);
  linear_forward(on.ctx, y("alone 0"), layer.input(), layers[0].weight, layers[0].bias);
  linear_forward(on.ctx, y("alone 1"), layer.input(), layers[1].weight, layers[1].bias);
  auto found = on.results();
  BOOST_CHECK(found.at("joint 0") == found.at("alone 0"));
  BOOST_CHECK(found.at("joint 1") == found.at("alone 1"));
  BOOST_CHECK(found.at("joint 0") != found.at("joint 1"));
}

BOOST_AUTO_TEST_CASE(layers_that_add_to_their_result_stay_in_bfloat16) {
  using L = Layer<16, 32>;
  const L layer{5};
  const auto before = layer.run(L::Kind::on_itself);
  BOOST_CHECK(before == layer.run(L::Kind::on_residual));
  const cuda::Float8Weights float8(test::gpu(), layer.parameters());
  BOOST_CHECK(layer.run(L::Kind::on_itself) == before);
  BOOST_CHECK(layer.run(L::Kind::on_residual) != before);
}

BOOST_AUTO_TEST_CASE(layers_of_other_sizes_stay_in_bfloat16) {
  const Layer<24, 16> layer{5};
  const auto before = layer.run(Layer<24, 16>::Kind::plain);
  const cuda::Float8Weights float8(test::gpu(), layer.parameters());
  BOOST_CHECK_EQUAL(float8.layers(), 0);
  BOOST_CHECK_EQUAL(float8.bytes(), 0);
  BOOST_CHECK(layer.run(Layer<24, 16>::Kind::plain) == before);
}

BOOST_AUTO_TEST_CASE(float8_weights_follow_their_weights_when_they_are_told) {
  using L = Layer<32, 16>;
  L layer{3};
  cuda::Float8Weights float8(test::gpu(), layer.parameters());
  const auto before = layer.run(L::Kind::without_bias);
  for (bfloat16& w : layer.w) w = bfloat16(2 * static_cast<float>(w));
  test::put(layer.w_there, layer.w);
  BOOST_CHECK(layer.run(L::Kind::without_bias) == before);
  float8.update();
  const auto after = layer.run(L::Kind::without_bias);
  for (std::size_t k = 0; k < before.size(); ++k)
    BOOST_CHECK_EQUAL(static_cast<float>(after[k]), 2 * static_cast<float>(before[k]));
}

BOOST_AUTO_TEST_CASE(float8_is_for_inference_and_made_once) {
  using L = Layer<32, 16>;
  const L layer{3};
  auto& gpu = test::gpu();
  Buffer<bfloat16> dx(3 * 32, memory_of(gpu));
  const auto backward = [&] {
    const auto p = layer.parameters();
    linear_backward(gpu, View<bfloat16, dyn, 32>(dx.data(), 3), View<float, 16, 32>(), View<float, 16>(),
                    View<const bfloat16, dyn, 16>(layer.r_there.data(), 3), layer.input(), p.weight);
  };
  {
    const cuda::Float8Weights float8(gpu, layer.parameters());
    BOOST_CHECK_EXCEPTION(backward(), Error, [](const Error& e) {
      return std::string_view(e.what()).find("FP8 is for inference alone") != std::string_view::npos;
    });
    BOOST_CHECK_THROW(cuda::Float8Weights(gpu, layer.parameters()), Error);
    BOOST_CHECK_THROW(backward(), Error);  // and what was there is there still
  }
  backward();
}

BOOST_AUTO_TEST_CASE(sums_of_codes_that_are_scaled_afterwards) {
  // As on a GPU whose cuBLASLt has no product with a scale for each row.
  constexpr Index m = 5, n = 7;
  auto& gpu = test::gpu();
  const auto sums = random_bfloat16(m * n, "sums"), bias = random_bfloat16(n, "bias"),
             added = random_bfloat16(m * n, "added");
  const std::vector<float> of_a{1, 2, 0.5f, 3, 0.1f}, of_b{1, 0.25f, 7, 2, 1, 0, 4};
  const Buffer<bfloat16> bias_there = there(bias), added_there = there(added);
  const Buffer<float> a_there = there(of_a), b_there = there(of_b);
  Buffer<bfloat16> c = there(sums);
  const cuda::kernel::ScaleSums<bfloat16> body(cuda::Product{.m = m,
                                                             .n = n,
                                                             .row_c = n,
                                                             .c = c.data(),
                                                             .added = added_there.data(),
                                                             .bias = bias_there.data(),
                                                             .alpha = 2,
                                                             .beta = 0.5,
                                                             .scales_a = a_there.data(),
                                                             .scales_b = b_there.data()});
  gpu.run(body, body.count());
  gpu.synchronise();
  std::vector<double> expected;
  for (std::size_t k = 0; k < m * n; ++k)
    expected.push_back(2 * static_cast<double>(of_a[k / n]) * static_cast<double>(of_b[k % n]) *
                           static_cast<double>(sums[k]) +
                       0.5 * static_cast<double>(added[k]) + static_cast<double>(bias[k % n]));
  BOOST_CHECK_LE(test::relative_error(test::fetch(c), expected), 1.0 / 256);
}

namespace {
/// Widths that are multiples of 16, but for the condition's: 3 layers of tokens of width 16 and 4 ranks, two to a position.
using Shape = AdaptedLayers<3, Adapted<"up", 32, 48>, Adapted<"down", 48, 32>>;
using Tokens = Tokenizer</*rank*/ 4, /*width*/ 16>::of<Shape>;
using Small = Generator<Tokens, Width<64>, HeadWidth<16>, Blocks<2>, JoinedRanks<2>, ConditionWidth<24>>;
}  // namespace

BOOST_AUTO_TEST_CASE(a_generator_in_float8) {
  constexpr Index batch = 2, length = 5, values = batch * Tokens::values;
  auto& gpu = test::gpu();
  test::On on(gpu);
  Weights<Small, bfloat16> host;
  Small::initialise(host.view(), 1);
  fill_normal(host.view().proj_out_B.weight, 1, "proj_out_B", 0.2);  // they begin with zero
  const auto p = host.in(memory_of(gpu));
  const View<const bfloat16, dyn, dyn, Small::input> condition(
      on.input<bfloat16>("condition", batch * length * Small::input), batch, length);
  const auto forward = [&](const typename Tokens::Tokens<bfloat16>& tokens) {
    const Workspace::Scope scope(on.ws);
    Small::forward<bfloat16>(gpu, on.ws, tokens, condition, p.view());
  };
  const auto tokens = [&](const char* name) { return Tokens::Tokens<bfloat16>(on.output<bfloat16>(name, values), batch); };
  forward(tokens("bfloat16"));
  {
    const cuda::Float8Weights float8(gpu, p.view());
    // q, k, v, o of three attentions and two of the feed-forward in 2 blocks, two projections; not the condition's, 24 wide.
    BOOST_CHECK_EQUAL(float8.layers(), 2 * (3 * 4 + 2) + 2);
    forward(tokens("FP8"));
    const auto to = tokens("recorded");
    cuda::Recording recording(gpu, [&] { forward(to); });
    BOOST_CHECK(std::isnan(on.results().at("recorded")[0]));
    recording.run(gpu);
    BOOST_CHECK(on.results().at("recorded") == on.results().at("FP8"));
  }
  forward(tokens("bfloat16 again"));
  auto found = on.results();
  BOOST_CHECK(found.at("bfloat16 again") == found.at("bfloat16"));
  double square = 0, of_error = 0;
  for (Index k = 0; k < values; ++k) {
    const double v = found.at("bfloat16")[static_cast<std::size_t>(k)], e = found.at("FP8")[static_cast<std::size_t>(k)] - v;
    square += v * v, of_error += e * e;
  }
  const double relative = std::sqrt(of_error / square), most = test::relative_error(found.at("FP8"), found.at("bfloat16"));
  BOOST_TEST_MESSAGE("adapters in FP8 beside bfloat16: the norm of the difference is "
                     << relative << " of the adapters' norm, " << most << " of the largest at most");
  BOOST_CHECK_LE(relative, 0.1);
  BOOST_CHECK_GE(relative, 1e-3);
  BOOST_CHECK_LE(most, 0.15);
}

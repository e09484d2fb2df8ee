// Linear layer, LoRA and attention on the CPU against the reference. In an unnamed namespace: each part of the program gets
// its own copy, compiled for its own instruction set.
#pragma once

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/cpu/cpu.hpp"

namespace {

#define WU_TEST_TEXT_OF(name) #name
#define WU_TEST_TEXT(name) WU_TEST_TEXT_OF(name)
std::string target() { return WU_TEST_TEXT(WU_CPU_TARGET); }

std::vector<float> random_floats(wu::Index count, const std::string& name) {
  const auto values = wu::test::random_values(count, name);
  return {values.begin(), values.end()};
}

struct Results {
  std::vector<float> linear, lora, attention;
};

Results compute(auto& ctx) {
  using wu::Index, wu::View, wu::dyn;
  constexpr Index In = 40, Out = 72, R = 4, samples = 2, keys = 37;
  Results results;
  wu::Workspace ws;
  for (const Index rows : {Index{3}, Index{70}}) {  // few rows and many take different ways
    const Index n = samples * rows;
    const auto x = random_floats(n * In, "x"), W = random_floats(Out * In, "W"), b = random_floats(Out, "b"),
               adapters = random_floats(samples * R * (In + Out), "adapters");
    std::vector<float> y(static_cast<std::size_t>(n * Out)), xa(static_cast<std::size_t>(n * R));
    const View<const float, dyn, In> vx(x.data(), n);
    const View<float, dyn, Out> vy(y.data(), n);
    linear_forward(ctx, vy, vx, View<const float, Out, In>(W.data()), View<const float, Out>(b.data()));
    results.linear.insert(results.linear.end(), y.begin(), y.end());
    const std::vector<Index> which{1, 0};
    lora_forward(
        ctx, ws, vy, View<float, dyn, R>(xa.data(), n), vx,
        wu::AdapterView<const float, In, Out, R>{adapters.data(), adapters.data() + R * In, R * (In + Out), samples}, which,
        0.5);
    results.lora.insert(results.lora.end(), y.begin(), y.end());
  }
  for (const Index count : {Index{5}, keys}) {
    const auto q = random_floats(count * 16, "q"), k = random_floats(count * 16, "k"), v = random_floats(count * 16, "v");
    std::vector<float> out(static_cast<std::size_t>(count * 16)), lse(static_cast<std::size_t>(count * 2));
    wu::AttentionRows rows;
    rows.query.push({count, 1});
    rows.key.push({count, 1});
    const auto in = [count](const std::vector<float>& values) { return View<const float, dyn, 16>(values.data(), count); };
    attention_forward<8>(ctx, ws, View<float, dyn, 16>(out.data(), count), View<float, dyn, 2>(lse.data(), count), in(q),
                         in(k), in(v), rows);
    results.attention.insert(results.attention.end(), out.begin(), out.end());
  }
  return results;
}

void check_close(const std::vector<float>& found, const std::vector<float>& wanted, const std::string& what) {
  BOOST_REQUIRE_EQUAL(found.size(), wanted.size());
  const double error = wu::test::relative_error(found, wanted);  // NaN where a value is, which is not below the bound
  BOOST_TEST(error < 1e-5, target() << ", " << what << ": off by " << error);
}

void check_against_reference() {
  wu::cpu::Context cpu({.threads = 2});
  wu::reference reference;
  const Results found = compute(cpu), wanted = compute(reference);
  check_close(found.linear, wanted.linear, "linear");
  check_close(found.lora, wanted.lora, "lora");
  check_close(found.attention, wanted.attention, "attention");
}

}  // namespace

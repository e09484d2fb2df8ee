// One way to test an operation on every device and scalar. An operation under test is a generic lambda
//     [](auto zero, auto& ctx, const Values& in) -> Values
// that runs forward and backward in the type of `zero` and returns y and the gradients ("dx" for "x"), by name.
#pragma once

#include <map>
#include <string>

#include "support/gradient_check.hpp"
#include "wu/core/dtype.hpp"
#include "wu/cpu/context.hpp"

namespace wu::test {

using Values = std::map<std::string, std::vector<double>>;

template <class T>
std::vector<T> cast(const std::vector<double>& values) {
  std::vector<T> result;
  for (const double v : values) result.push_back(static_cast<T>(v));
  return result;
}

/// What an operation writes to: NaN until it does.
template <class T>
std::vector<T> poison(Index n) {
  return cast<T>(poisoned(n));
}

/// Gradients that are added to begin with this value, which added() takes off again.
inline constexpr double before = 0.5;
template <class T>
std::vector<T> begun(Index n) {
  return cast<T>(std::vector<double>(static_cast<std::size_t>(n), before));
}

template <class T>
std::vector<double> widen(const std::vector<T>& values) {
  std::vector<double> result;
  for (const T& v : values) result.push_back(static_cast<double>(v));
  return result;
}
template <class T>
std::vector<double> added(const std::vector<T>& values) {
  auto result = widen(values);
  for (double& v : result) v -= before;
  return result;
}

inline Index length(const Values& in, const std::string& name) { return static_cast<Index>(in.at(name).size()); }

/// Random inputs of the sizes given, by name.
inline Values inputs(const std::vector<std::pair<std::string, Index>>& sizes) {
  Values values;
  for (const auto& [name, n] : sizes) values[name] = random_values(n, name);
  return values;
}

inline void check_close(const Values& found, const Values& expected, double tolerance, const std::string& what) {
  BOOST_REQUIRE_EQUAL(found.size(), expected.size());
  for (const auto& [name, values] : expected) {
    const double error = relative_error(found.at(name), values);
    BOOST_CHECK_MESSAGE(error <= tolerance, what << ": " << name << " is off by " << error);
  }
}

/// The gradients of `names` on the device of ctx.
void check_gradients(auto& ctx, auto op, Values in, const std::vector<std::string>& names) {
  const Values out = op(double{}, ctx, in);
  for (const auto& name : names)
    check_gradient(name, in.at(name), out.at("d" + name), [&] { return dot(op(double{}, ctx, in).at("y"), in.at("dy")); });
}

/// Gradients on odd sizes (`small`) on both devices; then, on sizes that keep every thread busy (`large`), the CPU in both
/// precisions for several numbers of threads and the reference in bfloat16, all against the reference in float64.
void check_operation(auto op, const Values& small, const Values& large, const std::vector<std::string>& names) {
  reference slow;
  cpu::Context two({.threads = 2});
  check_gradients(slow, op, small, names);
  check_gradients(two, op, small, names);
  for (const Values* in : {&small, &large}) {
    const Values expected = op(double{}, slow, *in);
    for (const int threads : {1, 2, 3}) {
      cpu::Context ctx({.threads = threads});
      check_close(op(double{}, ctx, *in), expected, 1e-12, message("float64, ", threads, " threads"));
      const Values once = op(float{}, ctx, *in);
      check_close(once, expected, 2e-5, message("float32, ", threads, " threads"));
      BOOST_CHECK_MESSAGE(once == op(float{}, ctx, *in), "float32: two runs on " << threads << " threads differ");
    }
  }
  check_close(op(bfloat16{}, slow, small), op(double{}, slow, small), 3e-2, "bfloat16");
  check_close(op(bfloat16{}, two, small), op(double{}, slow, small), 3e-2, "bfloat16 on the CPU");
}

/// The inputs rounded to bfloat16, so that what differs from float64 is the operation.
inline Values rounded(Values in) {
  for (auto& [name, values] : in) values = widen(cast<bfloat16>(values));
  return in;
}

/// The CPU on sizes that keep every thread busy: the same bits for any number of threads, and in bfloat16 the reference's in
/// float64 on the same numbers, but for the rounding of each result.
void check_threads(auto op, const Values& large, double tolerance = 1e-2) {
  const Values in = rounded(large);
  reference slow;
  cpu::Context one({.threads = 1});
  const Values of_floats = op(float{}, one, in), of_bfloat16 = op(bfloat16{}, one, in);
  check_close(of_bfloat16, op(double{}, slow, in), tolerance, "bfloat16 on the CPU, large");
  for (const int threads : {2, 3}) {
    cpu::Context ctx({.threads = threads});
    BOOST_CHECK_MESSAGE(op(float{}, ctx, in) == of_floats, "float32: 1 and " << threads << " threads differ");
    BOOST_CHECK_MESSAGE(op(bfloat16{}, ctx, in) == of_bfloat16, "bfloat16: 1 and " << threads << " threads differ");
  }
}

/// For BOOST_CHECK_EXCEPTION: the whole sentence.
inline auto says(std::string sentence) {
  return [sentence = std::move(sentence)](const Error& e) {
    if (sentence != e.what()) BOOST_TEST_MESSAGE("found: " << e.what());
    return sentence == e.what();
  };
}

}  // namespace wu::test

// One way to test an operation of wu/cuda: the same generic lambda runs on the reference in double and on the GPU in every scalar,
// on the same numbers, and what it wrote is compared by name.
//     check([](auto zero, auto& on) {
//       using T = decltype(zero);
//       silu_forward(on.ctx, View<T, dyn>(on.template output<T>("y", n), n), View<const T, dyn>(on.template input<T>("x", n), n));
//     });
// Gradients need no check of their own here: the reference's are checked, and these are compared with them in double.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/gradient_check.hpp"
#include "wu/core/buffer.hpp"
#include "wu/core/dtype.hpp"
#include "wu/cuda/cuda.hpp"
#include "wu/ops/ops.hpp"

namespace wu::test {

/// The context of all tests. Attention runs on wu's own kernels, which these are tests of; that by cuDNN has its own.
inline cuda::Context& gpu() {
  static cuda::Context context({.cudnn = false});
  return context;
}

/// To the memory of a device, or of the host.
template <class T>
void put(Buffer<T>& to, const std::vector<T>& from) {
  if (to.memory()) to.memory()->copy(to.data(), from.data(), from.size() * sizeof(T));
  else std::copy(from.begin(), from.end(), to.data());
}
template <class T>
std::vector<T> fetch(const Buffer<T>& from) {
  std::vector<T> values(static_cast<std::size_t>(from.size()));
  if (from.memory()) from.memory()->copy(values.data(), from.data(), values.size() * sizeof(T));
  else std::copy(from.span().begin(), from.span().end(), values.begin());
  return values;
}

/// The memory of one run of an operation, by name.
template <class Context>
class On {
 public:
  explicit On(Context& context) : ctx(context), ws(0, memory_of(context)) {}

  Context& ctx;
  Workspace ws;

  /// Random numbers in (-1, 1) that bfloat16 holds too, so that every scalar begins with the same ones.
  template <class T>
  const T* input(const std::string& name, Index n) {
    std::vector<T> values;
    for (const double v : random_values(n, name)) values.push_back(static_cast<T>(static_cast<double>(bfloat16(v))));
    return keep<T>("", values);
  }
  /// The same, but for a name given.
  template <class T>
  T* input_and_output(const std::string& name, Index n) {
    std::vector<T> values;
    for (const double v : random_values(n, name)) values.push_back(static_cast<T>(static_cast<double>(bfloat16(v))));
    return keep<T>(name, values);
  }
  /// NaN until it is written.
  template <class T>
  T* output(const std::string& name, Index n) {
    return keep<T>(name, std::vector<T>(static_cast<std::size_t>(n), static_cast<T>(std::nan(""))));
  }
  /// For gradients that are added to: begins with 0.5.
  template <class T>
  T* sum(const std::string& name, Index n) {
    return keep<T>(name, std::vector<T>(static_cast<std::size_t>(n), static_cast<T>(0.5)));
  }
  /// A number that the operation returned.
  void result(const std::string& name, double value) {
    read_.emplace_back(name, [value] { return std::vector<double>{value}; });
  }

  /// All outputs, widened.
  std::map<std::string, std::vector<double>> results() {
    if constexpr (requires { ctx.synchronise(); }) ctx.synchronise();
    std::map<std::string, std::vector<double>> all;
    for (const auto& [name, read] : read_) all[name] = read();
    return all;
  }

 private:
  template <class T>
  T* keep(const std::string& name, const std::vector<T>& values) {
    auto buffer = std::make_shared<Buffer<T>>(static_cast<Index>(values.size()), memory_of(ctx));
    put(*buffer, values);
    kept_.push_back(buffer);
    if (!name.empty())
      read_.emplace_back(name, [buffer] {
        std::vector<double> wide;
        for (const T& v : fetch(*buffer)) wide.push_back(static_cast<double>(v));
        return wide;
      });
    return buffer->data();
  }

  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::pair<std::string, std::function<std::vector<double>()>>> read_;
};

/// `zero` is a parameter's name in the tests.
void set_to_zero(auto& ctx, auto view) { zero(ctx, view); }

template <class T>
auto results(auto& ctx, auto operation) {
  On on(ctx);
  operation(T{}, on);
  return on.results();
}

/// How far a result may be from the reference's in double, relative to its largest value.
struct Tolerances {
  double of_double = 1e-12, of_float = 1e-5, of_bfloat16 = 1e-2;
};

/// float64, float32 twice with the same bits, bfloat16.
inline void check(auto operation, Tolerances tolerances = {}) {
  reference slow;
  const auto expected = results<double>(slow, operation);
  BOOST_REQUIRE(!expected.empty());
  const auto compare = [&](const auto& found, double tolerance, const char* what) {
    BOOST_REQUIRE_EQUAL(found.size(), expected.size());
    for (const auto& [name, values] : expected) {
      const double error = relative_error(found.at(name), values);
      BOOST_CHECK_MESSAGE(error <= tolerance, what << ": " << name << " is off by " << error);
    }
  };
  compare(results<double>(gpu(), operation), tolerances.of_double, "float64");
  const auto once = results<float>(gpu(), operation);
  compare(once, tolerances.of_float, "float32");
  BOOST_CHECK_MESSAGE(once == results<float>(gpu(), operation), "float32: two runs differ");
  compare(results<bfloat16>(gpu(), operation), tolerances.of_bfloat16, "bfloat16");
}

}  // namespace wu::test

// A module's low-rank adapter, free of any file's spelling: what the formats are read into and written from.
//     y += scale * B (A x)        A: (rank, in)   B: (out, rank)                                       Hu et al. 2021
// scale is applied as it stands: alpha / rank of the formats that say alpha.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/core/view.hpp"
#include "wu/io/json_header.hpp"  // byte_count: checked products
#include "wu/io/printable.hpp"

namespace wu::io {

/// The adapter of one linear layer in -> out, or of a group of experts that have one such pair (A, B) each. T is float, double
/// or wu::bfloat16.
template <class T>
struct Adapter {
  std::string module;  ///< the model's own name for it: "model.layers.0.self_attn.o_proj"
  Index in = 0, out = 0, rank = 0;
  Index experts = 0;  ///< 0: a plain layer; otherwise a group of so many, named as in "model.layers.0.mlp.experts.w1"
  double scale = 1;
  std::vector<T> A;  ///< (experts, rank, in), or (rank, in) of a plain layer
  std::vector<T> B;  ///< (experts, out, rank), or (out, rank)

  /// How many pairs (A, B) there are.
  Index pairs() const { return experts == 0 ? 1 : experts; }
  std::string describe() const {
    return printable(module) + (experts == 0 ? "" : " (" + std::to_string(experts) + " experts)") + ", " +
           std::to_string(in) + " to " + std::to_string(out) + ", rank " + std::to_string(rank);
  }
};

/// The adapters of a model, each module once; their order means nothing.
template <class T>
using Adapters = std::vector<Adapter<T>>;

/// Throws ShapeError unless widths and rank are at least 1, A and B have the values that they ask for, and scale is finite.
template <class T>
void check_adapter(const Adapter<T>& adapter) {
  const auto fail = [&](const auto&... what) {
    throw ShapeError(message("adapter of ", printable(adapter.module), ": ", what...));
  };
  if (adapter.module.empty()) fail("expected the name of a module, found none");
  if (adapter.in < 1 || adapter.out < 1 || adapter.rank < 1 || adapter.experts < 0)
    fail("expected widths and a rank of at least 1, found ", adapter.describe());
  if (!std::isfinite(adapter.scale)) fail("expected a finite scale, found ", adapter.scale);
  const auto holds = [&](const char* name, const std::vector<T>& values, std::vector<std::int64_t> shape) {
    if (adapter.experts > 0) shape.insert(shape.begin(), adapter.experts);
    const auto count = byte_count(DType::U8, shape);
    if (!count || *count != values.size())
      fail("expected ", name, " of shape ", shape_text(shape), ", found ", values.size(), " values");
  };
  holds("A", adapter.A, {adapter.rank, adapter.in});
  holds("B", adapter.B, {adapter.out, adapter.rank});
}

/// The same for all of them. Throws ShapeError also where two are of one module.
template <class T>
void check_adapters(const Adapters<T>& adapters) {
  std::set<std::string_view> modules;
  for (const Adapter<T>& adapter : adapters) {
    check_adapter(adapter);
    if (!modules.insert(adapter.module).second)
      throw ShapeError(message("adapters: expected each module once, found ", printable(adapter.module), " twice"));
  }
}

namespace detail {

/// value * factor, rounded once to T (to bfloat16 by way of float). Throws Error where that is beyond T's range.
template <class T>
T multiplied(T value, double factor, const std::string& module) {
  const T result = static_cast<T>(static_cast<double>(value) * factor);
  if (!std::isfinite(static_cast<accumulator_t<T>>(result)) && std::isfinite(static_cast<accumulator_t<T>>(value)))
    throw Error(message("adapter of ", printable(module), ": expected values of B that times ", factor,
                        " are within the range of ", name_of(dtype_of<T>()), ", found ", static_cast<double>(value)));
  return result;
}

}  // namespace detail

/// The same update with another scale: B is multiplied by adapter.scale / scale and rounded to T. Nothing is rounded where the
/// scales are equal. scale must be finite and other than 0. Throws Error where a value leaves T's range; then the adapter is
/// as it was.
template <class T>
void rescale(Adapter<T>& adapter, double scale) {
  if (!std::isfinite(scale) || scale == 0)
    throw Error(message("adapter of ", printable(adapter.module), ": expected a finite scale other than 0, found ", scale));
  if (adapter.scale == scale) return;
  std::vector<T> B(adapter.B.size());
  const double factor = adapter.scale / scale;
  for (std::size_t k = 0; k < B.size(); ++k) B[k] = detail::multiplied(adapter.B[k], factor, adapter.module);
  adapter.B = std::move(B);
  adapter.scale = scale;
}

}  // namespace wu::io

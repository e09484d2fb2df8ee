// Parameters from files and to files: what a module calls a tensor is what the file calls it, and nothing may be left over
// on either side.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/core/parameters.hpp"
#include "wu/io/safetensors.hpp"

namespace wu::io {

namespace detail {

template <class V>
std::vector<std::int64_t> shape_of(const V& view) {
  std::vector<std::int64_t> shape(V::rank);
  for (std::size_t axis = 0; axis < V::rank; ++axis) shape[axis] = view.extent(axis);
  return shape;
}

template <class V>
auto span_of(std::string_view name, const V& view) {
  if (view.data == nullptr && view.size() > 0)
    throw Error(message("expected memory under the parameter ", printable(name), ", found a null view"));
  return std::span(view.data, static_cast<std::size_t>(view.size()));
}

/// Calls f(tensor, name, view) for every parameter, `tensor` being the one of the file that it is read from, which has its
/// shape. Throws FileError where a parameter has none, and, at last, where a tensor of that prefix belongs to no parameter.
template <class P, class F>
void each_pair(const StoredTensors& file, P& views, std::string_view prefix, F&& f) {
  std::set<std::string_view> used;
  for_each_parameter(views, [&](std::string_view name, auto& view) {
    const std::string in_file = std::string(prefix).append(name);
    const auto shape = shape_of(view);
    const StoredTensor* tensor = file.find(in_file);
    if (tensor == nullptr)
      throw FileError(message(printable_path(file.file()), ": expected the tensor ", printable(in_file), " with shape ",
                              shape_text(shape), ", found none of that name"));
    if (tensor->shape != shape)
      detail::fail(*tensor, "expected shape ", shape_text(shape), ", found ", shape_text(tensor->shape));
    f(*tensor, name, view);
    used.insert(tensor->name);
  });
  for (const StoredTensor& tensor : file.tensors())
    if (tensor.name.starts_with(prefix) && !used.contains(tensor.name))
      detail::fail(tensor, "expected a parameter of that name to read it into, found none");
}

/// Throws FileError unless every value can become a finite T.
template <class T>
void check_finite(const StoredTensor& tensor) {
  detail::each_value<T>(tensor, [&](std::size_t k, T value) {
    if (!std::isfinite(static_cast<accumulator_t<T>>(value)))
      detail::fail(tensor, "expected finite values, found ", static_cast<accumulator_t<T>>(value), " at ",
                   place_text(tensor.shape, k));
  });
}

}  // namespace detail

/// Fills every tensor of `parameters` (views, as in wu/core/parameters.hpp) with the file's tensor called prefix + its name,
/// converted as read_into() does. `file` is a SafeTensors or a Checkpoint. The prefix is taken as it is: "encoder." with its
/// point.
/// Everything is checked before anything is written. Throws FileError when a parameter is missing from the file, has another
/// shape there, a type that cannot be converted or a value that is NaN, infinite or too large; and when a tensor of the file
/// whose name starts with the prefix is no parameter.
template <class P>
void load_parameters(const StoredTensors& file, const P& parameters, std::string_view prefix = "") {
  P views = parameters;  // handles, which visit() wants mutable
  detail::each_pair(file, views, prefix, [](const StoredTensor& tensor, std::string_view name, const auto& view) {
    using T = typename std::remove_cvref_t<decltype(view)>::element_type;
    static_assert(!std::is_const_v<T>,
                  "load_parameters: these parameters are frozen (views of const); load into the Weights they view");
    detail::span_of(name, view);
    detail::check_finite<T>(tensor);
  });
  for_each_parameter(views, [&](std::string_view name, const auto& view) {
    read_into(file.at(std::string(prefix).append(name)), detail::span_of(name, view));
  });
}

/// Every tensor of `parameters` under prefix + its name, for save_safetensors(). The values are viewed, not copied.
template <class P>
std::vector<TensorToSave> to_tensors(const P& parameters, std::string_view prefix = "") {
  P views = parameters;
  std::vector<TensorToSave> tensors;
  for_each_parameter(views, [&](std::string_view name, const auto& view) {
    tensors.push_back(tensor_to_save(std::string(prefix).append(name), detail::shape_of(view), detail::span_of(name, view)));
  });
  return tensors;
}

}  // namespace wu::io

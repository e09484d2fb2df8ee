// Frozen weights that stay in their file: views that point into the mapped bytes, so that 16 GB of bfloat16 weights are read by
// the processor as it needs them and copied nowhere.
//     const auto weights = map_parameters<Module::Parameters<const bfloat16>>(Checkpoint::open("folder"));
//     Module::forward<bfloat16>(ctx, workspace, y, x, weights.view());
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "wu/core/buffer.hpp"
#include "wu/core/parameters.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/parameters.hpp"

namespace wu::io {

/// How to map parameters.
struct MapOptions {
  /// Reads every value and refuses NaN and infinities, as load_parameters() does. Off, for it takes the whole file from the disk
  /// before the first use; what is computed from a NaN is NaN, so look at the results.
  bool check_finite = false;
};

/// Parameters P, views of const, whose values lie in a checkpoint, which this keeps open. Moves, and the views stay valid.
template <class P>
class MappedParameters {
 public:
  /// The values by their names. They live as long as this.
  P view() const { return views_; }
  /// What they lie in.
  const Checkpoint& checkpoint() const { return checkpoint_; }
  /// The bytes of the parameters that are read where they lie in the checkpoint.
  std::size_t mapped_bytes() const { return mapped_bytes_; }
  /// The bytes that those take which lie in memory of this object.
  std::size_t copied_bytes() const { return copied_bytes_; }

 private:
  template <class Q>
  friend MappedParameters<Q> map_parameters(Checkpoint checkpoint, std::string_view prefix, const MapOptions& options);

  MappedParameters(Checkpoint checkpoint, std::string_view prefix, const MapOptions& options)
      : checkpoint_(std::move(checkpoint)) {
    std::size_t to_copy = 0;  // with what aligns each tensor
    const auto aligned = [](std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
    detail::each_pair(checkpoint_, views_, prefix, [&](const StoredTensor& tensor, std::string_view, auto& view) {
      using View = std::remove_cvref_t<decltype(view)>;
      using T = typename View::value_type;
      static_assert(std::is_const_v<typename View::element_type>,
                    "map_parameters: a file that is mapped cannot be written; ask for views of const");
      if (options.check_finite) detail::check_finite<T>(tensor);
      const std::size_t bytes = static_cast<std::size_t>(view.size()) * sizeof(T);
      if (tensor.dtype == dtype_of<T>() && reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(T) == 0) {
        view.data = reinterpret_cast<const T*>(tensor.bytes.data());
        mapped_bytes_ += bytes;
      } else {
        to_copy += aligned(bytes);
        copied_bytes_ += bytes;
      }
    });
    copies_ = Buffer<std::byte>(static_cast<Index>(to_copy));
    std::byte* free = copies_.data();
    for_each_parameter(views_, [&](std::string_view name, auto& view) {
      using T = typename std::remove_cvref_t<decltype(view)>::value_type;
      if (view.data != nullptr) return;
      const std::span<T> values(reinterpret_cast<T*>(free), static_cast<std::size_t>(view.size()));
      read_into(checkpoint_.at(std::string(prefix).append(name)), values);
      view.data = values.data();
      free += aligned(values.size_bytes());
    });
  }

  Checkpoint checkpoint_;
  Buffer<std::byte> copies_;
  P views_{};
  std::size_t mapped_bytes_ = 0, copied_bytes_ = 0;
};

/// Views of a checkpoint's tensors as the parameters P = Module::Parameters<const T>, T being float, double or wu::bfloat16. A
/// parameter is the tensor called prefix + its name; the prefix is taken as it is: "encoder." with its point. A tensor that the
/// checkpoint holds as values of T at an address for values of T is not copied; any other is converted, as read_into() does.
/// Throws FileError when a parameter is missing, has another shape, or a type or a value that cannot become a T, and when a
/// tensor whose name starts with the prefix is no parameter. A file that becomes shorter while it is mapped ends the program:
/// open the checkpoint with Access::copy where somebody else may change it.
template <class P>
MappedParameters<P> map_parameters(Checkpoint checkpoint, std::string_view prefix = "", const MapOptions& options = {}) {
  return MappedParameters<P>(std::move(checkpoint), prefix, options);
}

}  // namespace wu::io

// y(row) = table(id of the row)                                  y: (rows, C)   ids: rows   table: (V, C)
// dtable(id) += dy(row)
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
inline void check_ids(std::span<const std::int32_t> ids, Index rows, Index vocabulary) {
  if (static_cast<Index>(ids.size()) != rows)
    throw ShapeError(message("embedding: expected ", rows, " ids, found ", ids.size()));
  for (std::size_t k = 0; k < ids.size(); ++k)
    if (ids[k] < 0 || ids[k] >= vocabulary)
      throw ShapeError(
          message("embedding: expected an id from 0 to ", vocabulary - 1, " at position ", k, ", found ", ids[k]));
}
}  // namespace detail

/// Throws ShapeError on an id outside the table, before anything is written.
void embedding_forward(reference&, auto y, std::span<const std::int32_t> ids, auto table) {
  constexpr Index C = detail::SameWidth<y.width, table.width>::value;
  detail::check_ids(ids, y.rows(), table.rows());
  for (std::size_t k = 0; k < ids.size(); ++k) std::copy_n(table.row(ids[k]), C, y.row(static_cast<Index>(k)));
}

/// dtable: (V, C), may be null   dy: (rows, C). Throws ShapeError as forward does.
void embedding_backward(reference&, auto dtable /* += */, auto dy, std::span<const std::int32_t> ids) {
  constexpr Index C = detail::SameWidth<dy.width, dtable.width>::value;
  detail::check_ids(ids, dy.rows(), dtable.rows());
  if (!dtable.data) return;
  using Sum = sum_of<decltype(dy)>;
  if constexpr (std::is_same_v<value_of<decltype(dtable)>, Sum>) {
    for (std::size_t k = 0; k < ids.size(); ++k)
      for (Index c = 0; c < C; ++c) dtable.row(ids[k])[c] += Sum(dy.row(static_cast<Index>(k))[c]);
    return;
  }
  // A narrow table: what one id gets is summed before it is rounded.
  for (auto id = ids.begin(); id != ids.end(); ++id) {
    if (std::find(ids.begin(), id, *id) != id) continue;  // its first row has summed for all of them
    Sum sum[C] = {};
    for (auto same = id; same != ids.end(); same = std::find(same + 1, ids.end(), *id))
      for (Index c = 0; c < C; ++c) sum[c] += Sum(dy.row(same - ids.begin())[c]);
    for (Index c = 0; c < C; ++c) dtable.row(*id)[c] += sum[c];
  }
}

}  // namespace wu

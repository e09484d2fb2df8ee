// y(row) = table(id of the row)                                  y: (rows, C)   ids: rows   table: (V, C)
// dtable(id) += dy(row)
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "wu/ops/reference.hpp"

namespace wu {

namespace detail {
inline void check_ids(std::span<const std::int32_t> ids, Index rows, Index vocabulary) {
  if (static_cast<Index>(ids.size()) != rows) throw ShapeError(message("embedding: expected ", rows, " ids, found ", ids.size()));
  for (std::size_t k = 0; k < ids.size(); ++k)
    if (ids[k] < 0 || ids[k] >= vocabulary)
      throw ShapeError(message("embedding: expected an id from 0 to ", vocabulary - 1, " at position ", k, ", found ", ids[k]));
}
}  // namespace detail

/// Throws ShapeError on an id outside the table, before anything is written.
void embedding_forward(reference&, auto y, std::span<const std::int32_t> ids, auto table) {
  constexpr Index C = detail::SameWidth<y.width, table.width>::value;
  detail::check_ids(ids, y.rows(), table.rows());
  for (std::size_t k = 0; k < ids.size(); ++k) std::copy_n(table.row(ids[k]), C, y.row(static_cast<Index>(k)));
}

void embedding_backward(reference&, auto dtable /* += */, auto dy, std::span<const std::int32_t> ids) {
  constexpr Index C = detail::SameWidth<dy.width, dtable.width>::value;
  detail::check_ids(ids, dy.rows(), dtable.rows());
  if (!dtable.data) return;
  for (std::size_t k = 0; k < ids.size(); ++k)
    for (Index c = 0; c < C; ++c) dtable.row(ids[k])[c] += dy.row(static_cast<Index>(k))[c];
}

}  // namespace wu

// Sums down the rows of groups of rows, such as the gradient of a norm's gain: rows are gone through in the order in which they
// lie in memory, and every part of a group has sums of its own, which are added up at the end.
#pragma once

#include <algorithm>

#include "wu/cpu/context.hpp"
#include "wu/cpu/target.hpp"

namespace wu::cpu::inline WU_CPU_TARGET::detail {

/// For each of `groups` groups of k rows: rows(sums, group, first row, last row) adds to `width` sums, which begin at zero, what
/// these rows give; store(group, sums) then gets those of the whole group. How a group is cut depends on the groups and k alone,
/// so the bits do not depend on the number of threads. Takes the context's scratch.
template <class S, class Rows, class Store>
void sum_row_groups(Context& ctx, Index groups, Index k, Index width, Index work_per_row, const Rows& rows,
                    const Store& store) {
  if (groups == 0) return;
  constexpr Index most_parts = 64, least_rows = 16;
  const Index parts = std::clamp<Index>(k / least_rows, 1, std::max<Index>(1, most_parts / groups));
  S* const all = ctx.scratch<S>((parts > 1 ? groups * parts : ctx.threads()) * width);
  ctx.split(groups * parts, (k + parts - 1) / parts * work_per_row, [&](int thread, Index begin, Index end) {
    for (Index item = begin; item < end; ++item) {
      const Index group = item / parts, part = item % parts;
      S* const sums = all + (parts > 1 ? item : thread) * width;
      std::fill_n(sums, width, S(0));
      rows(sums, group, group * k + k * part / parts, group * k + k * (part + 1) / parts);
      if (parts == 1) store(group, sums);
    }
  });
  if (parts == 1) return;
  constexpr Index line = 64;
  ctx.split((width + line - 1) / line, groups * parts * line, [&](int, Index begin, Index end) {
    const Index until = std::min(width, end * line);
    for (Index item = 0; item < groups * parts; ++item) {
      S *const sums = all + item / parts * parts * width, *const more = all + item * width;
      if (sums == more) continue;
      for (Index c = begin * line; c < until; ++c) sums[c] += more[c];
    }
  });
  for (Index group = 0; group < groups; ++group) store(group, all + group * parts * width);
}

}  // namespace wu::cpu::inline WU_CPU_TARGET::detail

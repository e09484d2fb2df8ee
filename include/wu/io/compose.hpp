// Several adapters as one: the sum of their updates, exactly, for ranks join.
//     sum_k w_k s_k B_k A_k = s B A        A = [A_1; A_2; ...] stacked        B = [f_1 B_1, f_2 B_2, ...] side by side
// with f_k = w_k s_k / s, where s is the first w_k s_k that is not 0; the first B is then taken as it is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "wu/io/adapter.hpp"

namespace wu::io {

/// Adapters and how much of their update is wanted; they must live until compose() is done.
template <class T>
struct WeightedAdapters {
  std::span<const Adapter<T>> adapters;
  double weight = 1;
};

namespace detail {

/// One module's adapter and its factor w s.
template <class T>
struct Term {
  const Adapter<T>* adapter;
  double factor;
};

template <class T>
Adapter<T> joined(const std::vector<Term<T>>& terms) {
  const Adapter<T>& first = *terms.front().adapter;
  Adapter<T> sum{first.module, first.in, first.out, 0, first.experts, 1, {}, {}};
  const auto counts = std::find_if(terms.begin(), terms.end(), [](const Term<T>& term) { return term.factor != 0; });
  if (counts != terms.end()) sum.scale = counts->factor;
  for (const auto& [adapter, factor] : terms) {
    if (adapter->in != sum.in || adapter->out != sum.out || adapter->experts != sum.experts)
      throw ShapeError(message("compose: expected adapters of equal widths for one module, found ", first.describe(),
                               " and ", adapter->describe()));
    sum.rank += adapter->rank;
  }
  sum.A.reserve(static_cast<std::size_t>(sum.pairs() * sum.rank * sum.in));
  sum.B.reserve(static_cast<std::size_t>(sum.pairs() * sum.out * sum.rank));
  for (Index e = 0; e < sum.pairs(); ++e) {
    for (const auto& [adapter, factor] : terms) {
      const auto A = adapter->A.begin() + e * adapter->rank * sum.in;
      sum.A.insert(sum.A.end(), A, A + adapter->rank * sum.in);
    }
    for (Index o = 0; o < sum.out; ++o)
      for (const auto& [adapter, factor] : terms) {
        const auto row = adapter->B.begin() + (e * sum.out + o) * adapter->rank;
        const double f = factor / sum.scale;
        for (auto b = row; b != row + adapter->rank; ++b) sum.B.push_back(f == 1 ? *b : multiplied(*b, f, sum.module));
      }
  }
  return sum;
}

}  // namespace detail

/// Adapters whose update is the weighted sum of those of `parts`: compose<float>({{a, 1.0}, {b, 0.5}}). A module that only
/// some of them adapt gets the sum over those. Modules stand in the order in which the parts first name them.
/// Throws ShapeError where adapters of one module have different widths or numbers of experts, and Error for a weight that is
/// not finite or a product beyond T's range.
template <class T>
Adapters<T> compose(const std::vector<WeightedAdapters<T>>& parts) {
  std::map<std::string_view, std::size_t> places;
  std::vector<std::vector<detail::Term<T>>> modules;
  for (const WeightedAdapters<T>& part : parts) {
    std::set<std::string_view> once;
    for (const Adapter<T>& adapter : part.adapters) {
      check_adapter(adapter);
      if (!once.insert(adapter.module).second)
        throw ShapeError(
            message("compose: expected each module once in a part, found ", printable(adapter.module), " twice"));
      const double factor = part.weight * adapter.scale;
      if (!std::isfinite(factor))
        throw Error(message("compose: expected a finite weight times scale, found ", part.weight, " times ", adapter.scale));
      const auto [at, fresh] = places.emplace(adapter.module, modules.size());
      if (fresh) modules.emplace_back();
      modules[at->second].push_back({&adapter, factor});
    }
  }
  Adapters<T> sum;
  for (const auto& terms : modules) sum.push_back(detail::joined(terms));
  return sum;
}

}  // namespace wu::io

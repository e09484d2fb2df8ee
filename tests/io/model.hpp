// A small module's parameters, for the tests that read them from files: nested, in an array, and one scalar.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "wu/core/parameters.hpp"
#include "wu/core/view.hpp"

namespace wu::test {

struct Norm {
  template <class T>
  struct Parameters {
    wu::View<T, 5> weight;
    constexpr void visit(auto&& f) { f("weight", weight); }
  };
};
struct Block {
  template <class T>
  struct Parameters {
    Norm::Parameters<T> norm;
    wu::View<T, 2, 3> weight;
    wu::View<T> scale;
    constexpr void visit(auto&& f) {
      f("norm", norm);
      f("weight", weight);
      f("scale", scale);
    }
  };
};
struct Model {
  template <class T>
  struct Parameters {
    std::array<Block::Parameters<T>, 2> blocks;
    wu::View<T, 7, 2, 3> table;
    constexpr void visit(auto&& f) {
      f("blocks", blocks);
      f("table", table);
    }
  };
};

/// Every value differs from every other, and each is a bfloat16.
template <class W>
void number(W& weights) {
  float next = 1;
  auto parameters = weights.view();
  wu::for_each_parameter(parameters, [&](std::string_view, const auto& view) {
    for (auto& value : view) value = next++;
  });
}

template <class W>
std::vector<double> values_of(const W& weights) {
  std::vector<double> values;
  for (const auto value : weights.flat()) values.push_back(static_cast<double>(value));
  return values;
}

}  // namespace wu::test

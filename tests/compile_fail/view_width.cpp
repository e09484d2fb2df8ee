// expected: expected a View of extents -1, 5, found one of extents -1, 6; give the extents expected
// clang: conversion function from 'const wu::Tensor<float, wu::dyn, in>' to 'View<const float, dyn, 5>' invokes a deleted function
// mistake: A module is given a tensor of other extents.
#include "wu/nn/linear.hpp"

#ifdef WU_CORRECTED
constexpr wu::Index in = 5;
#else
constexpr wu::Index in = 6;
#endif
using Layer = wu::LoRALinear<5, 7, 8>;
void layer(wu::reference& ctx, wu::Workspace& ws, wu::Tensor<float, wu::dyn, 7>& y, const wu::Tensor<float, wu::dyn, in>& x,
           const Layer::Parameters<const float>& p, wu::AdapterView<const float, 5, 7, 8> adapter,
           std::span<const wu::Index> which) {
  Layer::forward<float>(ctx, ws, y, x, p, adapter, which, 1.0);
}

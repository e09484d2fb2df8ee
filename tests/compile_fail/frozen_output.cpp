// expected: expected a View of float, found one of const float, which may only be read
// clang: conversion function from 'View<(const float|Output), \[2 \* ...\]>' to 'View<float, \[2 \* ...\]>' invokes a deleted function
// mistake: A result is written where values may only be read.
#include "wu/nn/linear.hpp"

#ifdef WU_CORRECTED
using Output = float;
#else
using Output = const float;
#endif
using Layer = wu::LoRALinear<5, 7, 8>;
void layer(wu::reference& ctx, wu::Workspace& ws, wu::View<Output, wu::dyn, 7> y, wu::View<const float, wu::dyn, 5> x,
           const Layer::Parameters<const float>& p, wu::AdapterView<const float, 5, 7, 8> adapter,
           std::span<const wu::Index> which) {
  Layer::forward<float>(ctx, ws, y, x, p, adapter, which, 1.0);
}

// The bodies that wu::cuda and wu::cuda_on_host run. A body that is missing here is missing when a program is linked.
#pragma once

#include "wu/cuda/kernels/column_sums.hpp"
#include "wu/cuda/kernels/depthwise.hpp"
#include "wu/cuda/kernels/elementwise.hpp"
#include "wu/cuda/kernels/finite.hpp"
#include "wu/cuda/kernels/float8.hpp"
#include "wu/cuda/kernels/join.hpp"
#include "wu/cuda/kernels/losses.hpp"
#include "wu/cuda/kernels/modulate.hpp"
#include "wu/cuda/kernels/norm.hpp"
#include "wu/cuda/kernels/optimiser.hpp"
#include "wu/cuda/kernels/path.hpp"
#include "wu/cuda/kernels/plain_attention.hpp"
#include "wu/cuda/kernels/product.hpp"
#include "wu/cuda/kernels/resample.hpp"
#include "wu/cuda/kernels/rope.hpp"
#include "wu/cuda/kernels/rows.hpp"
#include "wu/cuda/kernels/tensor_attention.hpp"
#include "wu/cuda/kernels/time_embedding.hpp"

// NOLINTBEGIN(bugprone-macro-parentheses): no argument is an expression
#define WU_CUDA_BODY(...) template void launch(Stream&, const __VA_ARGS__&, Launch);
#define WU_CUDA_BODIES_OF(T)                                    \
  WU_CUDA_BODY(kernel::PlainProduct<T, T>)                      \
  WU_CUDA_BODY(kernel::AddBias<T>)                              \
  WU_CUDA_BODY(kernel::Add<T>)                                  \
  WU_CUDA_BODY(kernel::Activate<T, kernel::Silu>)               \
  WU_CUDA_BODY(kernel::ActivateBackward<T, kernel::Silu>)       \
  WU_CUDA_BODY(kernel::Activate<T, kernel::Gelu>)               \
  WU_CUDA_BODY(kernel::ActivateBackward<T, kernel::Gelu>)       \
  WU_CUDA_BODY(kernel::NormForward<T, false>)                   \
  WU_CUDA_BODY(kernel::NormForward<T, true>)                    \
  WU_CUDA_BODY(kernel::NormBackward<T, false>)                  \
  WU_CUDA_BODY(kernel::NormBackward<T, true>)                   \
  WU_CUDA_BODY(kernel::StripeSums<kernel::BiasTerms<T>>)        \
  WU_CUDA_BODY(kernel::StripeSums<kernel::NormTerms<T, false>>) \
  WU_CUDA_BODY(kernel::StripeSums<kernel::NormTerms<T, true>>)  \
  WU_CUDA_BODY(kernel::StripeSums<kernel::TapTerms<T>>)         \
  WU_CUDA_BODY(kernel::Broadcast<T>)                            \
  WU_CUDA_BODY(kernel::BroadcastBackward<T, T>)                 \
  WU_CUDA_BODY(kernel::MeanRows<T>)                             \
  WU_CUDA_BODY(kernel::MeanRowsBackward<T>)                     \
  WU_CUDA_BODY(kernel::GridSum<T>)                              \
  WU_CUDA_BODY(kernel::SumRows<T, T>)                           \
  WU_CUDA_BODY(kernel::Embed<T>)                                \
  WU_CUDA_BODY(kernel::EmbedBackward<T, T>)                     \
  WU_CUDA_BODY(kernel::Patches<T>)                              \
  WU_CUDA_BODY(kernel::Turn<T>)                                 \
  WU_CUDA_BODY(kernel::Modulate<T>)                             \
  WU_CUDA_BODY(kernel::GatedAdd<T>)                             \
  WU_CUDA_BODY(kernel::ModulateBackward<T>)                     \
  WU_CUDA_BODY(kernel::GroupSums<T>)                            \
  WU_CUDA_BODY(kernel::DepthwiseForward<T>)                     \
  WU_CUDA_BODY(kernel::DepthwiseBackward<T>)                    \
  WU_CUDA_BODY(kernel::Pool<T>)                                 \
  WU_CUDA_BODY(kernel::Spread<T>)                               \
  WU_CUDA_BODY(kernel::Upsample<T>)                             \
  WU_CUDA_BODY(kernel::UpsampleBackward<T>)                     \
  WU_CUDA_BODY(kernel::SquaredErrors<T>)                        \
  WU_CUDA_BODY(kernel::SquaredErrorsBackward<T>)                \
  WU_CUDA_BODY(kernel::PathPoint<T>)                            \
  WU_CUDA_BODY(kernel::EditVelocity<T>)                         \
  WU_CUDA_BODY(kernel::PathVelocity<T>)                         \
  WU_CUDA_BODY(kernel::PathStep<T>)                             \
  WU_CUDA_BODY(kernel::JoinRows<T>)                             \
  WU_CUDA_BODY(kernel::TimeEmbedding<T>)                        \
  WU_CUDA_BODY(kernel::FindNonFinite<T>)                        \
  WU_CUDA_BODY(kernel::Scale<T>)                                \
  WU_CUDA_BODY(kernel::AdamWUpdate<T>)                          \
  WU_CUDA_BODY(kernel::AttentionDelta<T>)                       \
  WU_CUDA_BODY(kernel::PlainAttention<T>)                       \
  WU_CUDA_BODY(kernel::PlainAttentionBackward<T, true>)         \
  WU_CUDA_BODY(kernel::PlainAttentionBackward<T, false>)
// Those of sums, which are float or double.
#define WU_CUDA_BODIES_OF_SUMS(Sum)        \
  WU_CUDA_BODY(kernel::AddStripes<Sum, 1>) \
  WU_CUDA_BODY(kernel::AddStripes<Sum, 2>) \
  WU_CUDA_BODY(kernel::RotaryTable<Sum>)   \
  WU_CUDA_BODY(kernel::SquaredNorm<Sum>)
// Those of values in bfloat16 whose sums are float.
#define WU_CUDA_BODIES_OF_BOTH(T, Sum)            \
  WU_CUDA_BODY(kernel::PlainProduct<T, Sum>)      \
  WU_CUDA_BODY(kernel::BroadcastBackward<Sum, T>) \
  WU_CUDA_BODY(kernel::SumRows<Sum, T>)           \
  WU_CUDA_BODY(kernel::EmbedBackward<Sum, T>)     \
  WU_CUDA_BODY(kernel::Convert<T, Sum>)           \
  WU_CUDA_BODY(kernel::Convert<Sum, T>)
// Those of products in FP8.
#define WU_CUDA_BODIES_OF_FLOAT8                \
  WU_CUDA_BODY(kernel::QuantiseRows)            \
  WU_CUDA_BODY(kernel::ScaledProduct<bfloat16>) \
  WU_CUDA_BODY(kernel::ScaleSums<bfloat16>)
// Those of the tensor cores, for heads up to this width.
#define WU_CUDA_BODIES_OF_HEADS(Bound)                       \
  WU_CUDA_BODY(kernel::TensorAttention<Bound>)               \
  WU_CUDA_BODY(kernel::TensorAttentionBackward<Bound, true>) \
  WU_CUDA_BODY(kernel::TensorAttentionBackward<Bound, false>)
// NOLINTEND(bugprone-macro-parentheses)

/// All of them, in a file that defines wu::cuda::runtime::launch.
#define WU_CUDA_BODIES                    \
  WU_CUDA_BODIES_OF(float)                \
  WU_CUDA_BODIES_OF(double)               \
  WU_CUDA_BODIES_OF(bfloat16)             \
  WU_CUDA_BODIES_OF_SUMS(float)           \
  WU_CUDA_BODIES_OF_SUMS(double)          \
  WU_CUDA_BODIES_OF_BOTH(bfloat16, float) \
  WU_CUDA_BODIES_OF_FLOAT8                \
  WU_CUDA_BODY(kernel::ClipFactor)        \
  WU_CUDA_BODY(kernel::MoveLse)           \
  WU_CUDA_BODIES_OF_HEADS(32)             \
  WU_CUDA_BODIES_OF_HEADS(64)             \
  WU_CUDA_BODIES_OF_HEADS(128)

// nn: attention with its projections, feed-forward, encoder block. The adapted layer stands in linear.cpp.
#include "wu/benchmark/layers.hpp"

namespace {

using namespace wu;
using namespace wu::bench;

// The counts are those of the modules themselves, which tests compare with what a forward pass does.
static_assert(linear_products(7, 5, 3).forward().operations == Linear<5, 3>::operations(7));
static_assert(lora_linear_products(7, 5, 3, 2).forward().operations == LoRALinear<5, 3, 2>::operations(7));
static_assert(attention_module_products(7, 5, 3, 12).forward().operations == Attention<12, 4>::operations(3 * 7, 3 * 5, 5));
static_assert(feed_forward_products(7, 5, 3).forward().operations == FeedForward<5, 3>::operations(7));
static_assert(encoder_block_products(7, 3, 12, 48).forward().operations == EncoderBlock<12, 4>::operations(3 * 7, 3));

}  // namespace

WU_BENCHMARK_ATTENTION(512, 64, /*queries*/ 768, /*keys*/ 128);
WU_BENCHMARK_FEED_FORWARD(512, 2048, /*rows*/ 768);
WU_BENCHMARK_ENCODER_BLOCK(512, 64, /*length*/ 256);
WU_BENCHMARK_ENCODER_BLOCK(64, 16, /*length*/ 24);

// nn: attention with its projections, feed-forward, encoder block. The adapted layer stands in linear.cpp.
#include "wu/benchmark/layers.hpp"

WU_BENCHMARK_ATTENTION(512, 64, /*queries*/ 768, /*keys*/ 128);
WU_BENCHMARK_FEED_FORWARD(512, 2048, /*rows*/ 768);
WU_BENCHMARK_ENCODER_BLOCK(512, 64, /*length*/ 256);
WU_BENCHMARK_ENCODER_BLOCK(64, 16, /*length*/ 24);

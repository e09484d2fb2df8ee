// Benchmarks for shapes of your own, with Google Benchmark: docs/benchmarks.md. Not part of wu/wu.hpp.
#pragma once

#include "wu/benchmark/generator.hpp"
#include "wu/benchmark/layers.hpp"
#include "wu/benchmark/measure.hpp"

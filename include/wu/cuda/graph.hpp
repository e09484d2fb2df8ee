// A CUDA graph: what a function puts on a context's stream, recorded once and then started with one call.
#pragma once

#include <memory>

#include "wu/cuda/context.hpp"

namespace wu::cuda {

/// Operations on memory that stays where it is, with sizes and host-side arguments that stay what they are:
///     wu::cuda::Recording forward(gpu, [&] { Generator::forward<T>(gpu, ws, tokens, condition, p); });
///     forward.run(gpu);
/// Run the function once before, so that workspace and context have grown. It may not wait for the device. It uses the context's
/// scratch memory: run it on that context's stream, and not longer than the context lives.
class Recording {
 public:
  /// Runs work(), which then does nothing but is recorded. Throws Error where it waits or takes memory.
  Recording(Context& ctx, const std::function<void()>& work) : graph_(runtime::record(ctx.stream(), work)) {}
  /// All of it once more, on the stream of the context that it was recorded on.
  void run(Context& ctx) { runtime::replay(ctx.stream(), *graph_); }

 private:
  struct Forget {
    void operator()(Graph* graph) const noexcept { runtime::forget(graph); }
  };
  std::unique_ptr<Graph, Forget> graph_;
};

}  // namespace wu::cuda

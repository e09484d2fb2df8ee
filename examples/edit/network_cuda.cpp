// The networks on a GPU. Compiled for wu::cuda where that is built; elsewhere the program says that it has none.
#include "edit/network.hpp"

#ifdef WU_EDIT_CUDA
#include "edit/network_on.hpp"
#include "wu/cuda/cuda.hpp"
#endif

namespace edit {

#ifdef WU_EDIT_CUDA

namespace {

class CudaNetwork : public Network {
 public:
  explicit CudaNetwork(int threads) : Network(threads), there_(0, gpu_.memory()) {}

  const wu::MemoryResource* memory() const override { return gpu_.memory(); }
  double memory_loss(const FrozenWeights& frozen, const MemoryWeights::Frozen& memory,
                     const MemoryWeights::Values& gradients, const std::vector<Request>& requests,
                     const LossOptions& options, Index& worst) override {
    return NetworkOn(gpu_, there_).memory_loss(frozen, memory, gradients, requests, options, worst);
  }
  wu::train::StepResult advance(Run& run, const wu::train::Options& rule, const Compute& compute) override {
    return run.advance(gpu_, rule, compute);
  }
  wu::Buffer<float> generate(const MemoryWeights& memory, const std::vector<Request>& requests) override {
    return NetworkOn(gpu_, there_).generate(memory, requests);
  }
  Image sample(const FrozenWeights& frozen, std::span<const float> adapters, std::span<const std::int32_t> pieces,
               const Image& source, const SampleOptions& options) override {
    return NetworkOn(gpu_, there_).sample(frozen, adapters, pieces, source, options);
  }

 private:
  wu::cuda::Context gpu_;
  wu::Workspace there_;
};

}  // namespace

std::unique_ptr<Network> cuda_network(int threads) { return std::make_unique<CudaNetwork>(threads); }

#else

std::unique_ptr<Network> cuda_network(int) {
  throw wu::Error("--device cuda: this wu-edit was built without CUDA; -DWU_CUDA=ON, which needs nvcc, builds one with it");
}

#endif

}  // namespace edit

// wu::cuda_on_host: what wu/cuda/runtime.hpp declares, on the host. Memory is the host's, a launch runs the body's blocks one after
// the other, products are kernels/product.hpp's. Slow and exact: with it the tests run every operation of wu/cuda, kernels included,
// without a GPU.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "wu/core/buffer.hpp"
#include "wu/core/error.hpp"
#include "wu/cuda/instances.hpp"
#include "wu/cuda/runtime.hpp"

namespace wu::cuda {

namespace {
thread_local bool recording_now = false;

class HostMemory : public MemoryResource {
 public:
  void* take(std::size_t bytes) const override {
    if (recording_now) throw Error("cuda: memory was asked for while work is recorded");
    auto* const start = static_cast<std::byte*>(::operator new(alignment + bytes, std::align_val_t{alignment}));
    ::new (start) std::size_t(bytes);  // in front of what is given away, for give_back
    taken += bytes;
    return start + alignment;
  }
  void give_back(void* memory) const noexcept override {
    if (!memory) return;
    std::byte* const start = static_cast<std::byte*>(memory) - alignment;
    taken -= *reinterpret_cast<std::size_t*>(start);
    ::operator delete(start, std::align_val_t{alignment});
  }
  void zero(void* memory, std::size_t bytes) const override {
    if (bytes > 0) std::memset(memory, 0, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) const override {
    if (bytes > 0) std::memmove(to, from, bytes);
  }

  mutable std::atomic<std::size_t> taken = 0;  // bytes
};

constexpr std::size_t total_memory = std::size_t{1} << 34;

const HostMemory& host_memory() {
  static const HostMemory memory;
  return memory;
}

void check_device(int device) {
  if (device != 0) throw Error(message("cuda: expected a device below 1, for the host stands in for a GPU, found ", device));
}
}  // namespace

struct Graph {
  std::vector<std::function<void()>> work;
};

struct Stream {
  std::vector<std::byte> shared;
  Graph* recording = nullptr;
  int note = 0;

  /// At once, or when what is recorded is replayed.
  void run(std::function<void()> work) {
    if (recording) recording->work.push_back(std::move(work));
    else work();
  }
  void expect_no_recording(const char* what) const {
    if (recording) throw Error(message("cuda: ", what, " while work is recorded"));
  }
};

int device_count() noexcept { return 1; }

Device describe_device(int device) {
  check_device(device);
  return {.name = "the host in a GPU's place", .memory = total_memory};
}

MemoryUse memory_use(int device) {
  check_device(device);
  return {.free = total_memory - std::min(total_memory, host_memory().taken.load()), .total = total_memory};
}

const MemoryResource& device_memory(int device) {
  check_device(device);
  return host_memory();
}

namespace runtime {

Stream* open(int device, bool) {
  check_device(device);
  return new Stream;
}
void close(Stream* stream) noexcept { delete stream; }
void zero(Stream& stream, void* memory, std::size_t bytes) {
  stream.run([=] { device_memory(0).zero(memory, bytes); });
}
void copy(Stream& stream, void* to, const void* from, std::size_t bytes) {
  stream.run([=] { device_memory(0).copy(to, from, bytes); });
}
void download(Stream& stream, void* to, const void* from, std::size_t bytes) {
  stream.expect_no_recording("a download");
  device_memory(0).copy(to, from, bytes);
}
void synchronise(Stream& stream) { stream.expect_no_recording("waiting"); }
int* note(Stream& stream) { return &stream.note; }

template <class Body>
void launch(Stream& stream, const Body& body, Launch how) {
  if (how.threads < warp_size || how.threads > most_threads || how.threads % warp_size != 0 || how.blocks < 1)
    throw Error(
        message("cuda: expected blocks of a multiple of 32 threads up to 1024, found ", how.blocks, " of ", how.threads));
  if (how.shared_bytes > 227 * 1024)
    throw Error(message("cuda: expected at most 227 KiB of shared memory, as a block of an H100 has, found ",
                        how.shared_bytes, " bytes"));
  stream.run([&stream, body, how] {
    for (Index block = 0; block < how.blocks; ++block) {
      // All bits set is NaN in every type: a body that reads what no thread of its block has written shows it.
      stream.shared.assign(static_cast<std::size_t>(how.shared_bytes), std::byte{0xff});
      body(Block{block, how.blocks, how.threads, stream.shared.data()});
    }
  });
}

void multiply(Stream& stream, const Product& p) {
  const auto plainly = [&](const auto& body) { launch(stream, body, {.blocks = (body.count() + 255) / 256}); };
  if (p.operands == Scalar::f32 && p.result == Scalar::f32) plainly(kernel::PlainProduct<float, float>(p));
  else if (p.operands == Scalar::f64 && p.result == Scalar::f64) plainly(kernel::PlainProduct<double, double>(p));
  else if (p.operands == Scalar::bf16 && p.result == Scalar::bf16) plainly(kernel::PlainProduct<bfloat16, bfloat16>(p));
  else if (p.operands == Scalar::bf16 && p.result == Scalar::f32) plainly(kernel::PlainProduct<bfloat16, float>(p));
  else if (p.operands == Scalar::f8 && p.result == Scalar::bf16) plainly(kernel::ScaledProduct<bfloat16>(p));
  else
    throw Error(
        "cuda: expected a product of bfloat16 into bfloat16 or float, of FP8 into bfloat16, or within float or double");
}

namespace {
bfloat16* row_of(const AttentionOperand& operand, Index group, Index i, Index head, Index width) {
  return static_cast<bfloat16*>(operand.data) + group * operand.group + i * operand.row + head * width;
}

/// One head of one group, by the formulas in ops/attention.hpp.
void attend_head(const FusedAttention& a, Index group, Index head) {
  const auto dot = [&](const bfloat16* x, const bfloat16* y) {
    float sum = 0;
    for (Index c = 0; c < a.width; ++c) sum += static_cast<float>(x[c]) * static_cast<float>(y[c]);
    return sum;
  };
  const auto at = [&](const AttentionOperand& operand, Index i) { return row_of(operand, group, i, head, a.width); };
  const std::size_t width = static_cast<std::size_t>(a.width);
  std::vector<float> p(static_cast<std::size_t>(a.keys)), dk(width * p.size()), dv(width * p.size());
  for (Index i = 0; i < a.queries; ++i) {
    float& lse = a.lse[(group * a.heads + head) * a.queries + i];
    float largest = -INFINITY, total = 0;
    for (Index j = 0; j < a.keys; ++j)
      largest =
          std::max(largest, p[static_cast<std::size_t>(j)] = dot(at(a.q, i), at(a.k, j)) * static_cast<float>(a.scale));
    if (!a.backward()) {
      for (const float score : p) total += std::exp(score - largest);
      lse = largest + std::log(total);
    }
    std::vector<float> sum(width);  // of out, or of dq
    const float delta = a.backward() ? dot(at(a.dout, i), at(a.out, i)) : 0;
    for (std::size_t j = 0; j < p.size(); ++j) {
      const float share = std::exp(p[j] - lse);
      const bfloat16 *const key = at(a.k, static_cast<Index>(j)), *const value = at(a.v, static_cast<Index>(j));
      const float ds = a.backward() ? share * (dot(at(a.dout, i), value) - delta) * static_cast<float>(a.scale) : 0;
      for (std::size_t c = 0; c < width; ++c) {
        if (!a.backward()) {
          sum[c] += share * static_cast<float>(value[c]);
          continue;
        }
        sum[c] += ds * static_cast<float>(key[c]);
        dk[j * width + c] += ds * static_cast<float>(at(a.q, i)[c]);
        dv[j * width + c] += share * static_cast<float>(at(a.dout, i)[c]);
      }
    }
    for (std::size_t c = 0; c < width; ++c) at(a.backward() ? a.dq : a.out, i)[c] = bfloat16(sum[c]);
  }
  for (std::size_t j = 0; a.backward() && j < p.size(); ++j)
    for (std::size_t c = 0; c < width; ++c) {
      at(a.dk, static_cast<Index>(j))[c] = bfloat16(dk[j * width + c]);
      at(a.dv, static_cast<Index>(j))[c] = bfloat16(dv[j * width + c]);
    }
}
}  // namespace

bool attend(Stream& stream, const FusedAttention& a) {
  stream.run([a] {
    for (Index group = 0; group < a.groups; ++group)
      for (Index head = 0; head < a.heads; ++head) attend_head(a, group, head);
  });
  return true;
}

Graph* record(Stream& stream, const std::function<void()>& work) {
  stream.expect_no_recording("a second recording");
  auto graph = std::make_unique<Graph>();
  stream.recording = graph.get(), recording_now = true;
  try {
    work();
  } catch (...) {
    stream.recording = nullptr, recording_now = false;
    throw;
  }
  stream.recording = nullptr, recording_now = false;
  return graph.release();
}
void replay(Stream&, Graph& graph) {
  for (const auto& work : graph.work) work();
}
void forget(Graph* graph) noexcept { delete graph; }

WU_CUDA_BODIES

}  // namespace runtime

}  // namespace wu::cuda

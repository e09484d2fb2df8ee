// wu::cuda: what wu/cuda/runtime.hpp declares, on a GPU. Products go to cuBLASLt; everything else is a body of
// wu/cuda/kernels, run by one kernel. nvcc sees this file and what it includes, and nothing else of wu.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/cuda/instances.hpp"
#include "wu/cuda/runtime.hpp"
#ifdef WU_CUDNN
#include "cudnn_attention.hpp"
#endif

namespace wu::cuda {

namespace {

/// "a: b on NVIDIA H200, device 0"
[[noreturn]] void fail(const Message& call, std::string_view what) {
  (void)cudaGetLastError();  // else the next launch would find it and be blamed
  int device = 0;
  cudaDeviceProp properties{};
  if (cudaGetDevice(&device) != cudaSuccess || cudaGetDeviceProperties(&properties, device) != cudaSuccess)
    throw Error(message("cuda: ", std::string_view(call), ": ", what));
  throw Error(message("cuda: ", std::string_view(call), ": ", what, ", on device ", device, ", ",
                      static_cast<const char*>(properties.name)));
}
void check(cudaError_t status, auto&&... call) {
  if (status != cudaSuccess) fail(message(call...), cudaGetErrorString(status));
}
void check(cublasStatus_t status, auto&&... call) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(message(call...), cublasLtGetStatusString(status));
}

class DeviceMemory : public MemoryResource {
 public:
  explicit DeviceMemory(int device) : device_(device) {}

  void* take(std::size_t bytes) const override {
    check(cudaSetDevice(device_), "cudaSetDevice");
    void* memory = nullptr;
    if (bytes == 0) return memory;
    const cudaError_t status = cudaMalloc(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      (void)cudaGetLastError();
      std::size_t free = 0, total = 0;
      check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
      constexpr double mib = 1 << 20;
      throw OutOfMemory(
          message("cuda: device ", device_, " has no ", static_cast<double>(bytes) / mib,
                  " MiB: ", static_cast<double>(free) / mib, " of ", static_cast<double>(total) / mib,
                  " MiB are free; a smaller batch, wu::bfloat16, wu::RecomputeBlocks in training or fewer rows in a "
                  "slab of generate_tokens take less"));
    }
    check(status, "cudaMalloc of ", bytes, " bytes");
    return memory;
  }
  void give_back(void* memory) const noexcept override { (void)cudaFree(memory); }
  // The contexts' streams and the one that these two use do not wait for each other: all of the device's work is waited for, before
  // and after.
  void zero(void* memory, std::size_t bytes) const override {
    if (bytes == 0) return;
    wait();
    check(cudaMemset(memory, 0, bytes), "cudaMemset of ", bytes, " bytes");
    wait();
  }
  void copy(void* to, const void* from, std::size_t bytes) const override {
    if (bytes == 0) return;
    wait();
    check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy of ", bytes, " bytes");
    wait();
  }

 private:
  void wait() const {
    check(cudaSetDevice(device_), "cudaSetDevice");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }

  int device_;
};

/// What cuBLASLt's choice of an algorithm depends on.
struct Shape {
  std::array<Index, 10> numbers{};
  std::array<std::uint8_t, 12> kinds{};
  auto operator<=>(const Shape&) const = default;
};

template <auto Destroy>
struct Destroyer {
  void operator()(auto* handle) const { (void)Destroy(handle); }
};
template <class Handle, auto Destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroyer<Destroy>>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

/// A product prepared: all but the pointers.
struct Prepared {
  Operation operation;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};
  bool library = false;    ///< cuBLASLt has an algorithm
  bool adds_bias = false;  ///< and adds the bias with it
  bool scales = false;     ///< and multiplies by the scales of FP8 with it; else they, c0 and the bias come afterwards
};

constexpr std::size_t product_workspace = std::size_t{32} << 20;  // what NVIDIA advises for sm_90

cudaDataType data_type(Scalar scalar) {
  switch (scalar) {
    case Scalar::f64: return CUDA_R_64F;
    case Scalar::bf16: return CUDA_R_16BF;
    case Scalar::f8: return CUDA_R_8F_E4M3;
    default: return CUDA_R_32F;
  }
}

/// As its exponent, of all matrices of a batch that lie `step` bytes apart. At most that of 64 bytes, on which all of a Workspace
/// lies: where in it a matrix is must not choose another algorithm, with other last bits.
std::uint8_t alignment_of(const void* pointer, Index step = 0) {
  const std::uintptr_t both = reinterpret_cast<std::uintptr_t>(pointer) | static_cast<std::uintptr_t>(step);
  return static_cast<std::uint8_t>(std::min(std::countr_zero(both), 6));  // 6 for null, too
}
Index bytes_of(Scalar scalar) {
  switch (scalar) {
    case Scalar::f64: return 8;
    case Scalar::bf16: return 2;
    case Scalar::f8: return 1;
    default: return 4;
  }
}

struct Alignments {
  std::uint8_t a, b, c, added;
  explicit Alignments(const Product& p) {
    const bool batch = p.batch > 1;
    const Index of_operand = batch ? bytes_of(p.operands) : 0, of_result = batch ? bytes_of(p.result) : 0;
    a = alignment_of(p.a, p.step_a * of_operand), b = alignment_of(p.b, p.step_b * of_operand);
    c = alignment_of(p.c, p.step_c * of_result), added = p.added ? alignment_of(p.added, p.step_c * of_result) : c;
  }
};

/// There is no preference for a bias: what cuBLASLt may take for granted it sees by an address. It may read sixteen bytes at a time.
constexpr std::uintptr_t bias_alignment = 16;
bool bias_fits(const Product& p) { return p.bias && reinterpret_cast<std::uintptr_t>(p.bias) % bias_alignment == 0; }

Layout layout(cudaDataType type, Index rows, Index columns, Index leading, Index batch, Index step) {
  cublasLtMatrixLayout_t handle = nullptr;
  check(cublasLtMatrixLayoutCreate(&handle, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                   leading),
        "cublasLtMatrixLayoutCreate");
  Layout made(handle);
  if (batch > 1) {
    const auto count = static_cast<std::int32_t>(batch);
    const auto stride = static_cast<std::int64_t>(step);
    check(cublasLtMatrixLayoutSetAttribute(handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)),
          "cublasLt batch");
    check(cublasLtMatrixLayoutSetAttribute(handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof(stride)),
          "cublasLt batch");
  }
  return made;
}

template <class Body>
constexpr int threads_of() {
  if constexpr (requires { Body::threads; }) return Body::threads;
  else return 256;
}

/// The one kernel: a body on every block of the grid.
template <class Body>
__global__ void __launch_bounds__(threads_of<Body>()) run_body(const __grid_constant__ Body body) {
  extern __shared__ __align__(128) std::byte shared[];
  body(Block{static_cast<Index>(blockIdx.x), static_cast<Index>(gridDim.x), static_cast<int>(blockDim.x), shared});
}

}  // namespace

struct Stream {
  int device = 0;
  bool tf32 = false;
  int most_shared = 0;  ///< bytes that a block may have
  cudaStream_t stream = nullptr;
  cublasLtHandle_t products = nullptr;
  void* workspace = nullptr;
  int* note = nullptr;
  std::map<Shape, Prepared> prepared;
#ifdef WU_CUDNN
  cudnnHandle_t attention = nullptr;
  bool no_attention = false;  ///< cuDNN was asked for a handle, and gave none
  std::map<std::array<Index, 23>, cudnn::Plan> plans;
  std::vector<void*> attention_workspaces;  ///< the last one is used; a Recording may use those before it
  std::int64_t attention_bytes = 0;
#endif

  ~Stream() {
    prepared.clear();
    if (stream) (void)cudaStreamSynchronize(stream);
#ifdef WU_CUDNN
    plans.clear();
    if (attention) (void)cudnnDestroy(attention);
    for (void* const memory : attention_workspaces) (void)cudaFree(memory);
#endif
    (void)cudaFree(workspace);
    (void)cudaFreeHost(note);
    if (products) (void)cublasLtDestroy(products);
    if (stream) (void)cudaStreamDestroy(stream);
  }
};

struct Graph {
  cudaGraphExec_t ready = nullptr;
};

namespace {
/// The CUDA runtime's current device is the calling thread's; launches must find the stream's.
cudaStream_t current(const Stream& stream) {
  check(cudaSetDevice(stream.device), "cudaSetDevice of device ", stream.device);
  return stream.stream;
}

void set_pointer(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const void* pointer) {
  check(cublasLtMatmulDescSetAttribute(operation, attribute, &pointer, sizeof(pointer)), "cublasLtMatmulDescSetAttribute");
}
/// As below, what is our b comes first.
void set_scales(cublasLtMatmulDesc_t operation, const Product& p) {
  set_pointer(operation, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, p.scales_b);
  set_pointer(operation, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, p.scales_a);
}

void prepare(Stream& stream, Prepared& made, const Product& p, bool with_bias, bool with_scales) {
  const cudaDataType type = data_type(p.operands), result = data_type(p.result);
  const bool f64 = p.operands == Scalar::f64;
  const cublasComputeType_t compute = f64                                        ? CUBLAS_COMPUTE_64F
                                      : stream.tf32 && p.operands == Scalar::f32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                                 : CUBLAS_COMPUTE_32F;
  cublasLtMatmulDesc_t operation = nullptr;
  check(cublasLtMatmulDescCreate(&operation, compute, f64 ? CUDA_R_64F : CUDA_R_32F), "cublasLtMatmulDescCreate");
  made.operation.reset(operation);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, auto value) {
    check(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)), "cublasLtMatmulDescSetAttribute");
  };
  // Row-major c = a b is column-major c^T = b^T a^T.
  set(CUBLASLT_MATMUL_DESC_TRANSA, p.transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, p.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (with_bias) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<const void*>(bias_alignment));  // all that is asked of this one
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, result);
  }
  if (p.operands == Scalar::f8) set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, static_cast<std::int8_t>(p.fast_sums));
  if (with_scales) {
#if CUBLAS_VERSION >= 120900
    const auto of_rows = static_cast<std::int32_t>(CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
    set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, of_rows);
    set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, of_rows);
    set_scales(operation, p);
#else
    return;
#endif
  }
  made.a = p.transposed_b ? layout(type, p.k, p.n, p.row_b, p.batch, p.step_b)
                          : layout(type, p.n, p.k, p.row_b, p.batch, p.step_b);
  made.b = p.transposed_a ? layout(type, p.m, p.k, p.row_a, p.batch, p.step_a)
                          : layout(type, p.k, p.m, p.row_a, p.batch, p.step_a);
  made.c = layout(result, p.n, p.m, p.row_c, p.batch, p.step_c);

  cublasLtMatmulPreference_t handle = nullptr;
  check(cublasLtMatmulPreferenceCreate(&handle), "cublasLtMatmulPreferenceCreate");
  const Preference preference(handle);
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(handle, attribute, &value, sizeof(value)),
          "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, product_workspace);
  // Where k is cut in parts, they are added up in float, not in bfloat16.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  const Alignments alignments(p);
  const auto bytes = [](std::uint8_t exponent) { return std::uint32_t{1} << exponent; };
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, bytes(alignments.b));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, bytes(alignments.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, bytes(alignments.added));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, bytes(alignments.c));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(stream.products, operation, made.a.get(), made.b.get(),
                                                               made.c.get(), made.c.get(), handle, 1, &found, &count);
  made.library = status == CUBLAS_STATUS_SUCCESS && count == 1 && found.state == CUBLAS_STATUS_SUCCESS;
  made.adds_bias = made.library && with_bias;
  made.scales = made.library && with_scales;
  made.algorithm = found.algo;
}

Prepared& prepared(Stream& stream, const Product& p) {
  const auto kind = [](auto value) { return static_cast<std::uint8_t>(value); };
  const Alignments alignments(p);
  const Shape shape{
      {p.m, p.n, p.k, p.row_a, p.row_b, p.row_c, p.batch, p.step_a, p.step_b, p.step_c},
      {kind(p.transposed_a), kind(p.transposed_b), kind(p.operands), kind(p.result), kind(bias_fits(p)), kind(p.beta != 0),
       kind(p.added && p.added != p.c), kind(p.fast_sums), alignments.a, alignments.b, alignments.c, alignments.added}};
  if (const auto found = stream.prepared.find(shape); found != stream.prepared.end()) return found->second;
  Prepared made;
  if (p.k > 0) {  // else there is nothing to multiply, and no leading dimension that cuBLASLt takes
    const bool f8 = p.operands == Scalar::f8;
    if (bias_fits(p)) prepare(stream, made, p, true, f8);
    if (!made.library) prepare(stream, made, p, false, f8);
    // A scale for each row is there only from cuBLASLt 12.9 on and only on sm_90; elsewhere the sums of codes lie in c first.
    const bool c_is_free = p.beta == 0 || (p.added && p.added != p.c);
    if (!made.library && f8 && c_is_free) prepare(stream, made, p, false, false);
  }
  return stream.prepared.emplace(shape, std::move(made)).first->second;
}

void run(Stream& stream, const auto& body) { runtime::launch(stream, body, {.blocks = (body.count() + 255) / 256}); }
/// What cuBLASLt has no algorithm for.
template <class T, class R>
void multiply_plainly(Stream& stream, const Product& p) {
  run(stream, kernel::PlainProduct<T, R>(p));
}
template <class R>
void add_bias(Stream& stream, const Product& p) {
  run(stream, kernel::AddBias<R>(p));
}
}  // namespace

int device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  (void)cudaGetLastError();
  return 0;
}

Device describe_device(int device) {
  const int count = device_count();
  if (count == 0)
    throw Error("cuda: expected a CUDA device, found none: there is no NVIDIA GPU, or its driver is missing or too old");
  if (device < 0 || device >= count)
    throw Error(message("cuda: expected a device from 0 to ", count - 1, ", found ", device));
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties of device ", device);
  return {.name = properties.name,
          .capability = 10 * properties.major + properties.minor,
          .multiprocessors = properties.multiProcessorCount,
          .memory = properties.totalGlobalMem};
}

MemoryUse memory_use(int device) {
  describe_device(device);
  check(cudaSetDevice(device), "cudaSetDevice of device ", device);
  MemoryUse use;
  check(cudaMemGetInfo(&use.free, &use.total), "cudaMemGetInfo of device ", device);
  return use;
}

const MemoryResource& device_memory(int device) {
  static std::mutex mutex;
  static std::map<int, DeviceMemory> all;
  const std::lock_guard lock(mutex);
  return all.try_emplace(device, device).first->second;
}

namespace runtime {

Stream* open(int device, bool tf32) {
  check(cudaSetDevice(device), "cudaSetDevice of device ", device);
  auto stream = std::make_unique<Stream>();
  stream->device = device, stream->tf32 = tf32;
  check(cudaStreamCreateWithFlags(&stream->stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  check(cudaDeviceGetAttribute(&stream->most_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "cudaDeviceGetAttribute");
  check(cublasLtCreate(&stream->products), "cublasLtCreate");
  stream->workspace = device_memory(device).take(product_workspace);
  void* note = nullptr;
  check(cudaHostAlloc(&note, sizeof(int), cudaHostAllocMapped), "cudaHostAlloc of ", sizeof(int), " bytes");
  stream->note = ::new (note) int(0);
  return stream.release();
}
void close(Stream* stream) noexcept { delete stream; }

void zero(Stream& stream, void* memory, std::size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(memory, 0, bytes, current(stream)), "cudaMemsetAsync of ", bytes, " bytes");
}
void copy(Stream& stream, void* to, const void* from, std::size_t bytes) {
  if (bytes > 0)
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, current(stream)), "cudaMemcpyAsync of ", bytes,
          " bytes");
}
void download(Stream& stream, void* to, const void* from, std::size_t bytes) {
  if (bytes > 0)
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, current(stream)), "cudaMemcpyAsync of ", bytes, " bytes");
  synchronise(stream);
}
void synchronise(Stream& stream) { check(cudaStreamSynchronize(stream.stream), "cudaStreamSynchronize"); }
int* note(Stream& stream) { return stream.note; }

void multiply(Stream& stream, const Product& p) {
  const cudaStream_t on = current(stream);
  Prepared& made = prepared(stream, p);
  if (!made.library) {
    if (p.operands == Scalar::f32) multiply_plainly<float, float>(stream, p);
    else if (p.operands == Scalar::f64) multiply_plainly<double, double>(stream, p);
    else if (p.operands == Scalar::f8) run(stream, kernel::ScaledProduct<bfloat16>(p));
    else if (p.result == Scalar::bf16) multiply_plainly<bfloat16, bfloat16>(stream, p);
    else multiply_plainly<bfloat16, float>(stream, p);
    return;
  }
  if (made.adds_bias) set_pointer(made.operation.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  if (made.scales) set_scales(made.operation.get(), p);
  const bool scales_later = p.operands == Scalar::f8 && !made.scales;
  const double alpha = scales_later ? 1 : p.alpha, beta = scales_later ? 0 : p.beta;
  const float alpha_f = static_cast<float>(alpha), beta_f = static_cast<float>(beta);
  const bool f64 = p.operands == Scalar::f64;
  const void *const by = f64 ? static_cast<const void*>(&alpha) : &alpha_f, *const keep =
                                                                                f64 ? static_cast<const void*>(&beta)
                                                                                    : &beta_f;
  check(cublasLtMatmul(stream.products, made.operation.get(), by, p.b, made.a.get(), p.a, made.b.get(), keep,
                       p.added && !scales_later ? p.added : p.c, made.c.get(), p.c, made.c.get(), &made.algorithm,
                       stream.workspace, product_workspace, on),
        "cublasLtMatmul of ", p.batch, " products (", p.m, ", ", p.k, ") times (", p.k, ", ", p.n, ")");
  if (scales_later) return run(stream, kernel::ScaleSums<bfloat16>(p));
  if (!p.bias || made.adds_bias) return;
  if (p.result == Scalar::f32) add_bias<float>(stream, p);
  else if (p.result == Scalar::f64) add_bias<double>(stream, p);
  else add_bias<bfloat16>(stream, p);
}

#ifdef WU_CUDNN
namespace {
std::array<Index, 23> numbers_of(const FusedAttention& a) {
  std::array<Index, 23> all{a.groups, a.heads, a.queries, a.keys, a.width};
  std::size_t at = 5;
  for (const AttentionOperand* const operand : {&a.q, &a.k, &a.v, &a.out, &a.dout, &a.dq, &a.dk, &a.dv})
    all[at] = operand->group, all[at + 1] = operand->row, at += 2;
  all[at] = a.backward();
  return all;
}

/// Memory for a plan, or null where there is none left. Twice as much as before, if that is there: what it outgrows is kept.
void* attention_workspace(Stream& stream, std::int64_t bytes) {
  if (bytes <= stream.attention_bytes) return stream.attention_workspaces.back();
  for (const std::int64_t size : {std::max(2 * stream.attention_bytes, bytes), bytes}) try {
      stream.attention_workspaces.push_back(device_memory(stream.device).take(static_cast<std::size_t>(size)));
      stream.attention_bytes = size;
      return stream.attention_workspaces.back();
    } catch (const OutOfMemory&) {  // wu's own kernels need none
    }
  return nullptr;
}
}  // namespace

bool attend(Stream& stream, const FusedAttention& a) {
  const cudaStream_t on = current(stream);
  if (stream.no_attention) return false;
  if (!stream.attention) {
    // An older one than it was compiled with leaves sums as they are that this counts on being zero.
    if (cudnnGetVersion() < 91900 || cudnnCreate(&stream.attention) != CUDNN_STATUS_SUCCESS) {
      stream.attention = nullptr, stream.no_attention = true;
      return false;
    }
    if (cudnnSetStream(stream.attention, on) != CUDNN_STATUS_SUCCESS) fail(message("cudnnSetStream"), "refused");
  }
  const auto numbers = numbers_of(a);
  auto found = stream.plans.find(numbers);
  if (found == stream.plans.end())
    found = stream.plans.emplace(numbers, cudnn::Plan(cudnn::Target(stream.attention), a)).first;
  const cudnn::Plan& plan = found->second;
  if (!plan) {
    if (plan.worth_another_attempt()) stream.plans.erase(found);
    return false;
  }
  void* workspace = nullptr;
  if (plan.workspace() > 0 && !(workspace = attention_workspace(stream, plan.workspace()))) return false;
  try {
    plan.run(stream.attention, a, workspace);
  } catch (const cudnn::Refused& refused) {
    if (refused.not_supported()) return false;
    fail(message(refused.call, " of attention, ", a.groups, " groups of ", a.queries, " queries and ", a.keys, " keys, ",
                 a.heads, " heads of ", a.width),
         std::string_view(
             message(cudnnGetErrorString(refused.status), "; a context made with {.cudnn = false} does not ask cuDNN")));
  }
  return true;
}
#else
bool attend(Stream&, const FusedAttention&) { return false; }
#endif

template <class Body>
void launch(Stream& stream, const Body& body, Launch how) {
  const cudaStream_t on = current(stream);
  if (how.shared_bytes > 48 * 1024)  // each time, for it holds for the current device alone
    check(cudaFuncSetAttribute(run_body<Body>, cudaFuncAttributeMaxDynamicSharedMemorySize, stream.most_shared),
          "cudaFuncSetAttribute for ", how.shared_bytes, " bytes of shared memory");
  run_body<Body><<<static_cast<unsigned>(how.blocks), static_cast<unsigned>(how.threads),
                   static_cast<std::size_t>(how.shared_bytes), on>>>(body);
  check(cudaGetLastError(), "launch of ", how.blocks, " blocks of ", how.threads, " threads with ", how.shared_bytes,
        " bytes of shared memory");
}

Graph* record(Stream& stream, const std::function<void()>& work) {
  check(cudaStreamBeginCapture(current(stream), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    (void)cudaStreamEndCapture(stream.stream, &graph);
    if (graph) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream.stream, &graph), "cudaStreamEndCapture");
  auto made = std::make_unique<Graph>();
  const cudaError_t status = cudaGraphInstantiate(&made->ready, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  return made.release();
}
void replay(Stream& stream, Graph& graph) { check(cudaGraphLaunch(graph.ready, current(stream)), "cudaGraphLaunch"); }
void forget(Graph* graph) noexcept {
  if (graph) (void)cudaGraphExecDestroy(graph->ready);
  delete graph;
}

WU_CUDA_BODIES

}  // namespace runtime

}  // namespace wu::cuda

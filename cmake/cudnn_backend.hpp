// What wu needs of cuDNN's backend interface: descriptors, tensors, and a graph of operations for which cuDNN's heuristics name engines.
#pragma once

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace wu::cuda::cudnn {

/// A call that cuDNN refused.
struct Refused {
  const char* call;
  cudnnStatus_t status;
  /// It takes no such thing.
  bool not_supported() const { return status >= CUDNN_STATUS_NOT_SUPPORTED && status < CUDNN_STATUS_NOT_SUPPORTED + 1000; }
  /// It would perhaps take it at another time.
  bool out_of_memory() const {
    return status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
           status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
  }
};
inline void expect(cudnnStatus_t status, const char* call) {
  if (status != CUDNN_STATUS_SUCCESS) throw Refused{call, status};
}

/// A descriptor of cuDNN's backend.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    expect(cudnnBackendCreateDescriptor(type, &handle_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(Descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Descriptor() {
    if (handle_) (void)cudnnBackendDestroyDescriptor(handle_);
  }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const void* values, std::int64_t count = 1) {
    expect(cudnnBackendSetAttribute(handle_, name, type, count, values), "cudnnBackendSetAttribute");
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &other.handle_);
  }
  void finish() { expect(cudnnBackendFinalize(handle_), "cudnnBackendFinalize"); }
  cudnnBackendDescriptor_t get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
};

/// The device that a graph is for: that of a handle, or one that need not be there, by its properties.
class Target {
 public:
  explicit Target(cudnnHandle_t handle) : handle_(handle) {}
  /// A CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, which must outlive this.
  explicit Target(const Descriptor& properties) : properties_(&properties) {}

  ///@{
  /// Each names it if it is known in that way.
  void name_handle(Descriptor& in, cudnnBackendAttributeName_t as) const {
    if (handle_) in.set(as, CUDNN_TYPE_HANDLE, &handle_);
  }
  void name_properties(Descriptor& in, cudnnBackendAttributeName_t as) const {
    if (properties_) in.set(as, *properties_);
  }
  ///@}

 private:
  cudnnHandle_t handle_ = nullptr;
  const Descriptor* properties_ = nullptr;
};

using Four = std::array<std::int64_t, 4>;  ///< batch, heads, rows, columns

/// A tensor of a graph. What lies in memory lies on 16 bytes.
struct Tensor {
  /// In memory, a number of the host's that travels with the launch, or nowhere: only between two operations.
  enum class Lies : std::uint8_t { in_memory, with_the_launch, nowhere };

  std::int64_t id = 0;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  Four extents{}, strides{};
  Lies lies = Lies::in_memory;

  Descriptor made() const {
    Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const std::int64_t bytes = 16;
    const bool by_value = lies == Lies::with_the_launch, is_virtual = lies == Lies::nowhere;
    made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, &id);
    made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, &type);
    made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, extents.data(), 4);
    made.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides.data(), 4);
    made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, &bytes);
    made.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, &by_value);
    made.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, &is_virtual);
    made.finish();
    return made;
  }
};

/// Operations in the order in which they were added; arithmetic in float.
class OperationGraph {
 public:
  /// y = x mode b
  void pointwise(cudnnPointwiseMode_t mode, const Tensor& x, const Tensor& b, const Tensor& y) {
    add_pointwise(mode, x, &b, y);
  }
  /// y = mode(x)
  void pointwise(cudnnPointwiseMode_t mode, const Tensor& x, const Tensor& y) { add_pointwise(mode, x, nullptr, y); }
  /// y = sums over what y has one of and x several
  void sum(const Tensor& x, const Tensor& y) {
    Descriptor how(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    const cudnnReduceTensorOp_t mode = CUDNN_REDUCE_TENSOR_ADD;
    how.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, &mode);
    how.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, &arithmetic);
    how.finish();
    add(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR,
        {{CUDNN_ATTR_OPERATION_REDUCTION_XDESC, &x}, {CUDNN_ATTR_OPERATION_REDUCTION_YDESC, &y}},
        CUDNN_ATTR_OPERATION_REDUCTION_DESC, &how);
  }
  /// c = a b, of their last two extents
  void product(const Tensor& a, const Tensor& b, const Tensor& c) {
    Descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, &arithmetic);
    how.finish();
    add(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR,
        {{CUDNN_ATTR_OPERATION_MATMUL_ADESC, &a},
         {CUDNN_ATTR_OPERATION_MATMUL_BDESC, &b},
         {CUDNN_ATTR_OPERATION_MATMUL_CDESC, &c}},
        CUDNN_ATTR_OPERATION_MATMUL_DESC, &how);
  }
  /// y = x with other extents, strides or type
  void reshape(const Tensor& x, const Tensor& y) {
    add(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR,
        {{CUDNN_ATTR_OPERATION_RESHAPE_XDESC, &x}, {CUDNN_ATTR_OPERATION_RESHAPE_YDESC, &y}});
  }
  /// Any other operation that is its tensors alone.
  void add(cudnnBackendDescriptorType_t type,
           const std::vector<std::pair<cudnnBackendAttributeName_t, const Tensor*>>& operands) {
    add(type, operands, {}, nullptr);
  }

  /// The configurations of engines that cuDNN's heuristics name for it, the best first; none where it has no engine.
  std::vector<Descriptor> engines(const Target& target) const {
    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    std::vector<cudnnBackendDescriptor_t> operations;
    for (const Descriptor& operation : operations_) operations.push_back(operation.get());
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations.data(),
              static_cast<std::int64_t>(operations.size()));
    target.name_handle(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
    graph.finish();

    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &mode);
    target.name_properties(heuristics, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
    heuristics.finish();
    std::int64_t count = 0;
    const auto results = [&](std::int64_t room, void* to) {
      expect(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, room,
                                      &count, to),
             "cudnnBackendGetAttribute");
    };
    results(0, nullptr);
    std::vector<Descriptor> found;
    std::vector<cudnnBackendDescriptor_t> handles;
    for (std::int64_t i = 0; i < count; ++i) {
      found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      handles.push_back(found.back().get());
    }
    if (!handles.empty()) results(static_cast<std::int64_t>(handles.size()), handles.data());
    found.resize(static_cast<std::size_t>(std::min<std::int64_t>(count, static_cast<std::int64_t>(found.size()))));
    return found;
  }

 private:
  static constexpr cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;

  void add(cudnnBackendDescriptorType_t type,
           const std::vector<std::pair<cudnnBackendAttributeName_t, const Tensor*>>& operands,
           cudnnBackendAttributeName_t name, const Descriptor* how) {
    Descriptor operation(type);
    if (how) operation.set(name, *how);
    for (const auto& [operand, tensor] : operands) operation.set(operand, tensor->made());
    operation.finish();
    operations_.push_back(std::move(operation));
  }
  void add_pointwise(cudnnPointwiseMode_t mode, const Tensor& x, const Tensor* b, const Tensor& y) {
    Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, &mode);
    how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, &arithmetic);
    how.finish();
    std::vector<std::pair<cudnnBackendAttributeName_t, const Tensor*>> operands{{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, &x},
                                                                                {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, &y}};
    if (b) operands.emplace_back(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    add(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, operands, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, &how);
  }

  std::vector<Descriptor> operations_;
};

/// Bytes that a plan needs beside its operands.
inline std::int64_t workspace_of(const Descriptor& plan) {
  std::int64_t values = 0, bytes = 0;
  expect(
      cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &values, &bytes),
      "cudnnBackendGetAttribute");
  return bytes;
}

/// An engine's configuration, ready to run; throws Refused where the device or the driver will not have it.
inline Descriptor plan_of(const Target& target, const Descriptor& engine) {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  target.name_handle(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);
  target.name_properties(plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine);
  plan.finish();
  return plan;
}

}  // namespace wu::cuda::cudnn

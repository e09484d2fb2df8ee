// Attention by cuDNN, for cmake/cuda.cu: a graph of one operation, for which cuDNN's heuristics name an engine. Where there is none that
// takes the sizes, a plan stays empty and wu's own kernel runs.
#pragma once

#include <cudnn.h>

#include <array>
#include <cstdint>
#include <vector>

#include "wu/core/error.hpp"
#include "wu/cuda/fused_attention.hpp"

namespace wu::cuda::cudnn {

/// A call that cuDNN refused.
struct Refused {
  const char* call;
  cudnnStatus_t status;
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

/// The operands' numbers in a graph.
enum Id : std::int64_t { q = 1, k, v, out, lse, scale, dout, dq, dk, dv };

/// Attention of one shape, ready to run; empty where cuDNN has no engine for it.
class Plan {
 public:
  Plan() = default;
  Plan(cudnnHandle_t handle, const FusedAttention& a) {
    try {
      make(handle, a);
    } catch (const Refused&) { plan_ = Descriptor(); }
  }
  explicit operator bool() const { return static_cast<bool>(plan_); }
  std::int64_t workspace() const { return workspace_; }

  /// Throws Refused.
  void run(cudnnHandle_t handle, const FusedAttention& a, void* workspace) const {
    std::vector<std::int64_t> ids{q, k, v, out, lse, scale};
    float factor = static_cast<float>(a.scale);
    std::vector<void*> data{a.q.data, a.k.data, a.v.data, a.out.data, a.lse, &factor};
    if (a.backward()) {
      ids.insert(ids.end(), {dout, dq, dk, dv});
      data.insert(data.end(), {a.dout.data, a.dq.data, a.dk.data, a.dv.data});
    }
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids.data(), static_cast<std::int64_t>(ids.size()));
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, data.data(),
             static_cast<std::int64_t>(data.size()));
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &workspace);
    pack.finish();
    expect(cudnnBackendExecute(handle, plan_.get(), pack.get()), "cudnnBackendExecute");
  }

 private:
  using Four = std::array<std::int64_t, 4>;  // batch, heads, rows, channels

  static Descriptor tensor(Id id, cudnnDataType_t type, const Four& extents, const Four& strides, bool by_value = false) {
    Descriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const std::int64_t number = id, bytes = type == CUDNN_DATA_BFLOAT16 ? 16 : 4;
    made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, &number);
    made.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, &type);
    made.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, extents.data(), 4);
    made.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides.data(), 4);
    made.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, &bytes);
    made.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, &by_value);
    made.finish();
    return made;
  }

  void make(cudnnHandle_t handle, const FusedAttention& a) {
    const auto of_rows = [&](Id id, const AttentionOperand& operand, Index rows) {
      return tensor(id, CUDNN_DATA_BFLOAT16, {a.groups, a.heads, rows, a.width}, {operand.group, a.width, operand.row, 1});
    };
    std::vector<std::pair<cudnnBackendAttributeName_t, Descriptor>> operands;
    const auto add = [&](cudnnBackendAttributeName_t forward, cudnnBackendAttributeName_t backward, Descriptor made) {
      operands.emplace_back(a.backward() ? backward : forward, std::move(made));
    };
    add(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_QDESC, of_rows(q, a.q, a.queries));
    add(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_KDESC, of_rows(k, a.k, a.keys));
    add(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_VDESC, of_rows(v, a.v, a.keys));
    add(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, CUDNN_ATTR_OPERATION_SDPA_BWD_ODESC, of_rows(out, a.out, a.queries));
    add(CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_STATSDESC,
        tensor(lse, CUDNN_DATA_FLOAT, {a.groups, a.heads, a.queries, 1}, {a.heads * a.queries, a.queries, 1, 1}));
    add(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, CUDNN_ATTR_OPERATION_SDPA_BWD_SCALEDESC,
        tensor(scale, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, true));
    if (a.backward()) {
      operands.emplace_back(CUDNN_ATTR_OPERATION_SDPA_BWD_DODDESC, of_rows(dout, a.dout, a.queries));
      operands.emplace_back(CUDNN_ATTR_OPERATION_SDPA_BWD_DQDESC, of_rows(dq, a.dq, a.queries));
      operands.emplace_back(CUDNN_ATTR_OPERATION_SDPA_BWD_DKDESC, of_rows(dk, a.dk, a.keys));
      operands.emplace_back(CUDNN_ATTR_OPERATION_SDPA_BWD_DVDESC, of_rows(dv, a.dv, a.keys));
    }
    Descriptor operation(a.backward() ? CUDNN_BACKEND_OPERATION_SDPA_BWD_DESCRIPTOR
                                      : CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    for (const auto& [name, made] : operands) operation.set(name, made);
    operation.finish();

    Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, &handle);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    graph.finish();

    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &mode);
    heuristics.finish();
    std::int64_t count = 0;
    const auto results = [&](std::int64_t room, void* to) {
      expect(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, room,
                                      &count, to),
             "cudnnBackendGetAttribute");
    };
    results(0, nullptr);
    std::vector<Descriptor> engines;
    std::vector<cudnnBackendDescriptor_t> handles;
    for (std::int64_t i = 0; i < count; ++i) {
      engines.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      handles.push_back(engines.back().get());
    }
    if (!handles.empty()) results(static_cast<std::int64_t>(handles.size()), handles.data());
    for (std::int64_t i = 0; i < count && i < static_cast<std::int64_t>(engines.size()); ++i) try {
        Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &handle);
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engines[static_cast<std::size_t>(i)]);
        plan.finish();
        std::int64_t values = 0;
        expect(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &values,
                                        &workspace_),
               "cudnnBackendGetAttribute");
        plan_ = std::move(plan);
        return;
      } catch (const Refused&) {  // the next one may take it
      }
  }

  Descriptor plan_;
  std::int64_t workspace_ = 0;
};

}  // namespace wu::cuda::cudnn

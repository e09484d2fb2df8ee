// Attention by cuDNN, for cmake/cuda.cu: one operation forward, and backward a graph of products and what lies between them, which cuDNN
// has as one kernel. Where it has no engine that takes the sizes, a plan stays empty and wu's own kernel runs.
#pragma once

#include "cudnn_backend.hpp"
#include "wu/cuda/fused_attention.hpp"

namespace wu::cuda::cudnn {

/// The graph of attention of one shape; formulas in ops/attention.hpp.
class AttentionGraph {
 public:
  /// The tensors that lie in memory or travel with the launch; those between operations have the numbers after them.
  enum Id : std::int64_t { q = 1, k, v, out, lse, scale, dout, dq, dk, dv, one, delta, dq_sums, between };

  explicit AttentionGraph(const FusedAttention& a) : a_(a) {
    if (a.backward()) add_backward();
    else add_forward();
  }
  const OperationGraph& operations() const { return graph_; }

  ///@{
  /// Bytes of what the gradients' kernel keeps in memory beside its operands: delta (groups, heads, queries) and the sums of dq
  /// (groups, heads, queries, width), in float.
  static std::int64_t delta_bytes(const FusedAttention& a) {
    return a.backward() ? a.groups * a.heads * a.queries * std::int64_t{sizeof(float)} : 0;
  }
  static std::int64_t dq_sums_bytes(const FusedAttention& a) { return delta_bytes(a) * a.width; }
  ///@}

 private:
  using Lies = Tensor::Lies;

  Tensor rows(Id id, const AttentionOperand& operand, Index count) const {
    return {id, CUDNN_DATA_BFLOAT16, {a_.groups, a_.heads, count, a_.width}, {operand.group, a_.width, operand.row, 1}};
  }
  static Tensor transposed(Tensor tensor) {
    std::swap(tensor.extents[2], tensor.extents[3]), std::swap(tensor.strides[2], tensor.strides[3]);
    return tensor;
  }
  /// (groups, heads, count, width) without gaps, in float
  Tensor packed(std::int64_t id, Index count, Index width, Lies lies) const {
    return {id,
            CUDNN_DATA_FLOAT,
            {a_.groups, a_.heads, count, width},
            {a_.heads * count * width, count * width, width, 1},
            lies};
  }
  Tensor between_operations(Index count, Index width) { return packed(next_++, count, width, Lies::nowhere); }
  Tensor of_queries(Id id) const { return packed(id, a_.queries, 1, Lies::in_memory); }
  static Tensor number(Id id) { return {id, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, Lies::with_the_launch}; }

  void add_forward() {
    const Tensor q_rows = rows(q, a_.q, a_.queries), k_rows = rows(k, a_.k, a_.keys), v_rows = rows(v, a_.v, a_.keys),
                 out_rows = rows(out, a_.out, a_.queries), lse_rows = of_queries(lse), by = number(scale);
    graph_.add(CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR, {{CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, &q_rows},
                                                             {CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, &k_rows},
                                                             {CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, &v_rows},
                                                             {CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, &out_rows},
                                                             {CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, &lse_rows},
                                                             {CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, &by}});
  }

  // There is an operation for the gradients too, but no engine for it on sm_90. cuDNN finds its kernel by this graph, whole: without
  // the multiplication by one, where dropout would be, it takes another that keeps the scores in memory.
  void add_backward() {
    const Index queries = a_.queries, keys = a_.keys;
    const Tensor q_rows = rows(q, a_.q, queries), out_rows = rows(out, a_.out, queries),
                 dout_rows = rows(dout, a_.dout, queries), k_columns = transposed(rows(k, a_.k, keys)),
                 v_columns = transposed(rows(v, a_.v, keys));
    const auto scores = [&] { return between_operations(queries, keys); };
    const auto turned = [&](const Tensor& from) {  // to be multiplied from the left, which the tensor cores do in bfloat16
      Tensor to = transposed(from);
      to.id = next_++, to.type = CUDNN_DATA_BFLOAT16;
      graph_.reshape(from, to);
      return to;
    };

    const Tensor products = between_operations(queries, a_.width), sums = between_operations(queries, 1),
                 row_sums = of_queries(delta);
    graph_.pointwise(CUDNN_POINTWISE_MUL, dout_rows, out_rows, products);
    graph_.sum(products, sums);
    graph_.pointwise(CUDNN_POINTWISE_MUL, sums, number(one), row_sums);

    const Tensor qk = scores(), scaled = scores(), shifted = scores(), p = scores();
    graph_.product(q_rows, k_columns, qk);
    graph_.pointwise(CUDNN_POINTWISE_MUL, qk, number(scale), scaled);
    graph_.pointwise(CUDNN_POINTWISE_SUB, scaled, of_queries(lse), shifted);
    graph_.pointwise(CUDNN_POINTWISE_EXP, shifted, p);
    graph_.product(turned(p), dout_rows, rows(dv, a_.dv, keys));

    const Tensor dp = scores(), centred = scores(), weighted = scores(), ds = scores();
    graph_.product(dout_rows, v_columns, dp);
    graph_.pointwise(CUDNN_POINTWISE_SUB, dp, row_sums, centred);
    graph_.pointwise(CUDNN_POINTWISE_MUL, centred, p, weighted);
    graph_.pointwise(CUDNN_POINTWISE_MUL, weighted, number(scale), ds);
    graph_.product(turned(ds), q_rows, rows(dk, a_.dk, keys));

    Tensor k_rows = transposed(k_columns);
    k_rows.id = next_++, k_rows.type = CUDNN_DATA_FLOAT, k_rows.lies = Lies::nowhere;
    graph_.reshape(k_columns, k_rows);
    const Tensor of_dq = packed(dq_sums, queries, a_.width, Lies::in_memory);
    graph_.product(ds, k_rows, of_dq);
    graph_.pointwise(CUDNN_POINTWISE_IDENTITY, of_dq, rows(dq, a_.dq, queries));
  }

  FusedAttention a_;
  OperationGraph graph_;
  std::int64_t next_ = between;
};

/// Attention of one shape, ready to run; empty where cuDNN has no engine for it.
class Plan {
 public:
  /// An engine that keeps more than this beside its operands, in bytes, keeps scores there, or the sums of dq once more: it is not taken.
  static constexpr std::int64_t most_of_an_engine = std::int64_t{64} << 20;

  Plan() = default;
  Plan(const Target& target, const FusedAttention& a) {
    try {
      const AttentionGraph graph(a);
      for (const Descriptor& engine : graph.operations().engines(target)) take(target, engine, a);
    } catch (const Refused& refused) { out_of_memory_ |= refused.out_of_memory(); }
  }
  explicit operator bool() const { return static_cast<bool>(plan_); }
  /// Whether it is empty for want of memory: at another time it may not be.
  bool worth_another_attempt() const { return !plan_ && out_of_memory_; }
  /// Bytes that run() needs.
  std::int64_t workspace() const { return workspace_; }

  /// workspace: on 256 bytes, as cudaMalloc's are. Throws Refused.
  void run(cudnnHandle_t handle, const FusedAttention& a, void* workspace) const {
    using Graph = AttentionGraph;
    std::vector<std::int64_t> ids{Graph::q, Graph::k, Graph::v, Graph::out, Graph::lse, Graph::scale};
    float factor = static_cast<float>(a.scale), one = 1;
    std::vector<void*> data{a.q.data, a.k.data, a.v.data, a.out.data, a.lse, &factor};
    if (a.backward()) {
      std::byte* const bytes = static_cast<std::byte*>(workspace);
      ids.insert(ids.end(), {Graph::dout, Graph::dq, Graph::dk, Graph::dv, Graph::one, Graph::delta, Graph::dq_sums});
      data.insert(data.end(), {a.dout.data, a.dq.data, a.dk.data, a.dv.data, &one, bytes + delta_, bytes + dq_sums_});
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
  static std::int64_t rounded(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }

  /// Unless there is a plan already, or this engine is none for it.
  void take(const Target& target, const Descriptor& engine, const FusedAttention& a) {
    if (plan_) return;
    try {
      Descriptor plan = plan_of(target, engine);
      const std::int64_t own = workspace_of(plan);
      if (own > most_of_an_engine) return;
      plan_ = std::move(plan);
      delta_ = rounded(own), dq_sums_ = delta_ + rounded(AttentionGraph::delta_bytes(a));
      workspace_ = dq_sums_ + AttentionGraph::dq_sums_bytes(a);
    } catch (const Refused& refused) { out_of_memory_ |= refused.out_of_memory(); }
  }

  Descriptor plan_;
  bool out_of_memory_ = false;
  std::int64_t delta_ = 0, dq_sums_ = 0, workspace_ = 0;
};

}  // namespace wu::cuda::cudnn

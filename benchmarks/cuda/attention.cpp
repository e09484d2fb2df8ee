// Attention alone, in the shape that the released generator has within its layers: 32 groups of 5516 positions, 32 heads of 128.
#include "wu/ops/attention.hpp"
#include "work.hpp"

namespace gpu_works {

namespace {
template <class T, Index C, Index D>
struct Operands {
  AttentionRows rows;
  View<const T, dyn, C> q, k, v;
  View<T, dyn, C> out;
  View<accumulator_t<T>, dyn, C / D> lse;

  Operands(Setup& s, Index groups, Index length) {
    const Index count = groups * length;
    rows.query_group.push({groups, length}), rows.query.push({length, 1});
    rows.key_group = rows.query_group, rows.key = rows.query;
    q = s.input<T, dyn, C>("q", count), k = s.input<T, dyn, C>("k", count), v = s.input<T, dyn, C>("v", count);
    out = s.output<T, dyn, C>("out", count);
    lse = s.array<accumulator_t<T>, dyn, C / D>(count);
  }
  void forward(Setup& s) const { attention_forward<D>(s.ctx, s.ws, out, lse, q, k, v, rows); }
};

/// While it is there, attention does not go to cuDNN.
struct OwnKernels {
  cuda::Context& ctx;
  bool before = ctx.cudnn();
  explicit OwnKernels(cuda::Context& context) : ctx(context) { ctx.cudnn(false); }
  ~OwnKernels() { ctx.cudnn(before); }
};

template <class T, Index C, Index D>
void add(std::vector<Work>& works, Index groups, Index length, bool own) {
  const double operations = 4.0 * static_cast<double>(groups * length) * static_cast<double>(length * C);
  const char* const by = own ? "/own" : "";
  works.push_back({message("attention/", scalar_name<T>, "/forward", by), operations, [=](Setup& s) {
                     if (own) s.keep(std::make_shared<OwnKernels>(s.ctx));
                     const Operands<T, C, D> o(s, groups, length);
                     s.step = [=, &s] { o.forward(s); };
                   }});
  // Five products for forward's two, whose scores are computed again.
  works.push_back(
      {message("attention/", scalar_name<T>, "/backward", by), 2.5 * operations, [=](Setup& s) {
         if (own) s.keep(std::make_shared<OwnKernels>(s.ctx));
         const Operands<T, C, D> o(s, groups, length);
         const auto dout = s.input<T, dyn, C>("cotangent", o.q.rows());
         const auto dq = s.output<T, dyn, C>("grad.q", o.q.rows()), dk = s.output<T, dyn, C>("grad.k", o.q.rows()),
                    dv = s.output<T, dyn, C>("grad.v", o.q.rows());
         o.forward(s);
         s.step = [=, &s] {
           attention_backward<D>(s.ctx, s.ws, dq, dk, dv, dout, as_const(o.out), as_const(o.lse), o.q, o.k, o.v, o.rows);
         };
       }});
}
}  // namespace

void add_attention(std::vector<Work>& works, bool tiny) {
  if (tiny) add<float, 32, 16>(works, 3, 37, false);
  for (const bool own : {false, true})
    if (tiny) add<bfloat16, 32, 16>(works, 3, 37, own);
    else add<bfloat16, 32 * 128, 128>(works, 32, 5516, own);
}

}  // namespace gpu_works

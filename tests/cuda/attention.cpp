// cuda/attention.hpp: groups that are whole, strided and scattered; head widths that fill the kernels' bounds and that do not.
#include "support.hpp"

#include <initializer_list>

namespace {
using wu::AttentionRows, wu::Columns, wu::Index, wu::RowMap, wu::View, wu::dyn, wu::test::check;

RowMap map(std::initializer_list<RowMap::Axis> axes) {
  RowMap made;
  for (const RowMap::Axis& axis : axes) made.push(axis);
  return made;
}
AttentionRows self(RowMap group, RowMap inside) { return {group, inside, group, inside}; }

/// Forward and backward on these rows, for check() and its like. between: is given the context after forward.
template <Index D, Index Heads>
auto attention_on(const AttentionRows& rows, auto between) {
  return [rows, between](auto zero, auto& on) {
    using T = decltype(zero);
    using Sum = wu::accumulator_t<T>;
    constexpr Index C = D * Heads;
    const Index n = rows.groups() * rows.query.size(), m = rows.groups() * rows.key.size();
    // k and v are columns of one matrix, as are their gradients.
    T *const kv = on.template input_and_output<T>("kv", m * 2 * C), *const dkv = on.template output<T>("dkv", m * 2 * C);
    const Columns<const T, C> k(kv, m, 2 * C), v(kv + C, m, 2 * C);
    const View<const T, dyn, C> q(on.template input<T>("q", n * C), n), dout(on.template input<T>("dout", n * C), n);
    const View<T, dyn, C> out(on.template output<T>("out", n * C), n), dq(on.template output<T>("dq", n * C), n);
    const View<Sum, dyn, Heads> lse(on.template output<Sum>("lse", n * Heads), n);
    attention_forward<D>(on.ctx, on.ws, out, lse, q, k, v, rows);
    between(on.ctx);
    attention_backward<D>(on.ctx, on.ws, dq, Columns<T, C>(dkv, m, 2 * C), Columns<T, C>(dkv + C, m, 2 * C), dout,
                          as_const(out), as_const(lse), q, k, v, rows);
  };
}
constexpr wu::test::Tolerances tolerances{.of_float = 2e-5, .of_bfloat16 = 2e-2};

template <Index D, Index Heads>
void attend(const AttentionRows& rows) {
  check(attention_on<D, Heads>(rows, [](const auto&) {}), tolerances);
}

/// In bfloat16 on a context that asks cuDNN, against the reference. Whether rows lie evenly; and there is more than one query and key.
template <Index D, Index Heads>
void attend_by_cudnn(const AttentionRows& rows, bool evenly, bool several = true) {
  std::string forward;
  const auto operation = attention_on<D, Heads>(rows, [&](const auto& ctx) {
    if constexpr (requires { ctx.attention(); }) forward = ctx.attention();
  });
  wu::reference slow;
  wu::cuda::Context context;
  const auto expected = wu::test::results<double>(slow, operation),
             found = wu::test::results<wu::bfloat16>(context, operation);
  for (const auto& [name, values] : expected)
    BOOST_CHECK_MESSAGE(wu::test::relative_error(found.at(name), values) <= tolerances.of_bfloat16,
                        context.attention() << ": " << name << " is off");
  const std::string backward = context.attention();
  BOOST_TEST_MESSAGE("attention with heads of " << D << " ran on: " << forward << ", " << backward);
  const bool on_host = context.about().capability == 0;  // where all that lies evenly is taken
  if (on_host || !evenly) BOOST_CHECK_EQUAL(forward == "cuDNN", evenly);
  if (on_host || !evenly || !several) BOOST_CHECK_EQUAL(backward == "cuDNN", evenly && several);
  if (context.about().capability == 90 && forward == "cuDNN" && several) BOOST_CHECK_EQUAL(backward, "cuDNN");
}
}  // namespace

BOOST_AUTO_TEST_CASE(attention_within_groups) {
  attend<6, 2>(self(map({{3, 5}}), map({{5, 1}})));
  attend<8, 2>(self(map({{2, 21}, {3, 1}}), map({{7, 3}})));
  attend<16, 3>(self(map({{2, 30}, {3, 5}}), map({{2, 15}, {5, 1}})));
  attend<24, 1>(self(map({{2, 131}}), map({{131, 1}})));
}

BOOST_AUTO_TEST_CASE(attention_to_others) {
  attend<64, 1>({map({{2, 7}}), map({{7, 1}}), map({{2, 3}}), map({{3, 1}})});
  attend<40, 2>({map({{1, 1}}), map({{70, 1}}), map({{1, 1}}), map({{145, 1}})});
  attend<5, 1>({map({{1, 1}}), map({{1, 1}}), map({{1, 1}}), map({{1, 1}})});
  attend<128, 1>({map({{1, 1}}), map({{33, 1}}), map({{1, 1}}), map({{67, 1}})});
  attend<136, 1>({map({{1, 1}}), map({{17, 1}}), map({{1, 1}}), map({{35, 1}})});
}

BOOST_AUTO_TEST_CASE(attention_by_cudnn) {
  attend_by_cudnn<8, 2>(self(map({{3, 5}}), map({{5, 1}})), true);
  attend_by_cudnn<64, 2>({map({{2, 7}}), map({{7, 1}}), map({{2, 3}}), map({{3, 1}})}, true);
  attend_by_cudnn<128, 1>(self(map({{2, 1}}), map({{70, 2}})), true);
  attend_by_cudnn<16, 1>({map({{1, 1}}), map({{5, 1}}), map({{1, 1}}), map({{1, 1}})}, true);
  attend_by_cudnn<16, 1>(self(map({{3, 1}}), map({{1, 1}})), true, false);
  attend_by_cudnn<8, 2>(self(map({{2, 21}, {3, 1}}), map({{7, 3}})), false);
}

BOOST_AUTO_TEST_CASE(attention_by_cudnn_recorded) {
  constexpr Index groups = 3, length = 37, D = 16, heads = 2, C = D * heads, n = groups * length;
  const AttentionRows rows = self(map({{groups, length}}), map({{length, 1}}));
  wu::cuda::Context context;
  wu::test::On on(context);
  using Rows = View<wu::bfloat16, dyn, C>;
  using wu::bfloat16, wu::as_const;
  const auto input = [&](const char* name) { return View<const bfloat16, dyn, C>(on.input<bfloat16>(name, n * C), n); };
  const auto q = input("q"), k = input("k"), v = input("v"), dout = input("dout");
  struct Results {
    Rows out, dq, dk, dv;
    View<float, dyn, heads> lse;
  };
  const auto results = [&](const std::string& name) {
    const auto output = [&](const char* of) { return Rows(on.output<bfloat16>(name + of, n * C), n); };
    return Results{output("out"), output("dq"), output("dk"), output("dv"),
                   View<float, dyn, heads>(on.output<float>(name + "lse", n * heads), n)};
  };
  const auto attend = [&](const Results& to) {
    attention_forward<D>(context, on.ws, to.out, to.lse, q, k, v, rows);
    attention_backward<D>(context, on.ws, to.dq, to.dk, to.dv, dout, as_const(to.out), as_const(to.lse), q, k, v, rows);
  };
  const Results direct = results("direct "), recorded = results("recorded ");
  attend(direct);
  wu::cuda::Recording recording(context, [&] { attend(recorded); });
  recording.run(context);
  recording.run(context);
  const auto all = on.results();
  for (const char* const name : {"out", "dq", "dk", "dv", "lse"})  // cuDNN adds up dq in no fixed order
    BOOST_CHECK_LE(wu::test::relative_error(all.at(std::string("recorded ") + name), all.at(std::string("direct ") + name)),
                   1e-2);
}

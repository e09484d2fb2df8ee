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

/// Forward and backward on these rows, for check() and its like.
template <Index D, Index Heads>
auto attention_on(const AttentionRows& rows) {
  return [rows](auto zero, auto& on) {
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
    attention_backward<D>(on.ctx, on.ws, dq, Columns<T, C>(dkv, m, 2 * C), Columns<T, C>(dkv + C, m, 2 * C), dout,
                          as_const(out), as_const(lse), q, k, v, rows);
  };
}
constexpr wu::test::Tolerances tolerances{.of_float = 2e-5, .of_bfloat16 = 2e-2};

template <Index D, Index Heads>
void attend(const AttentionRows& rows) {
  check(attention_on<D, Heads>(rows), tolerances);
}

/// In bfloat16 on a context that asks cuDNN, against the reference.
template <Index D, Index Heads>
void attend_by_cudnn(const AttentionRows& rows, bool evenly) {
  const auto operation = attention_on<D, Heads>(rows);
  wu::reference slow;
  wu::cuda::Context context;
  const auto expected = wu::test::results<double>(slow, operation),
             found = wu::test::results<wu::bfloat16>(context, operation);
  for (const auto& [name, values] : expected)
    BOOST_CHECK_MESSAGE(wu::test::relative_error(found.at(name), values) <= tolerances.of_bfloat16,
                        context.attention() << ": " << name << " is off");
  BOOST_TEST_MESSAGE("attention with heads of " << D << " ran on: " << context.attention());
  const bool on_host = context.about().capability == 0;  // where all that lies evenly is taken
  if (on_host || !evenly) BOOST_CHECK_EQUAL(context.attention() == std::string("cuDNN"), evenly);
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
  attend_by_cudnn<8, 2>(self(map({{2, 21}, {3, 1}}), map({{7, 3}})), false);
}

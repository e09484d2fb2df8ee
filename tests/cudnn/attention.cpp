// cuDNN makes plans for a device from its properties alone. What it says of a graph, whether it has an engine for it and how much memory
// that takes, is so known without a GPU; what the engine computes is not. driver/ stands in for the driver, which loads the engine.
#include "cudnn_attention.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <string>

namespace {
using wu::cuda::FusedAttention, wu::cuda::Index;
namespace cudnn = wu::cuda::cudnn;

/// What cuDNN knows of an H100; empty where this cuDNN does not read it.
const cudnn::Descriptor& h100() {
  static const cudnn::Descriptor made = [] {
    std::ifstream file(WU_TEST_H100);
    const std::string json(std::istreambuf_iterator<char>(file), {});
    BOOST_REQUIRE_MESSAGE(!json.empty(), "no " WU_TEST_H100);
    try {
      cudnn::Descriptor properties(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
      properties.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, json.data(),
                     static_cast<std::int64_t>(json.size()));
      properties.finish();
      return properties;
    } catch (const cudnn::Refused&) { return cudnn::Descriptor(); }
  }();
  return made;
}
boost::test_tools::assertion_result reads_properties(boost::unit_test::test_unit_id) {
  boost::test_tools::assertion_result answer(static_cast<bool>(h100()));
  answer.message() << "cuDNN " << cudnnGetVersion() << " does not read the properties of a device as 9.19 writes them";
  return answer;
}

/// step: from one row to the next, in rows of one operand. 3: q, k and v are columns of one matrix.
FusedAttention attention(Index groups, Index heads, Index queries, Index keys, Index width, Index step, bool backward) {
  static std::byte some;  // is not read
  const auto operand = [&](Index rows, Index columns) {
    return wu::cuda::AttentionOperand{&some, rows * heads * width * columns, heads * width * columns};
  };
  FusedAttention a{.groups = groups,
                   .heads = heads,
                   .queries = queries,
                   .keys = keys,
                   .width = width,
                   .scale = 0.5,
                   .q = operand(queries, step),
                   .k = operand(keys, step),
                   .v = operand(keys, step),
                   .out = operand(queries, 1),
                   .lse = nullptr,
                   .dout = {},
                   .dq = {},
                   .dk = {},
                   .dv = {}};
  if (backward)
    a.dout = operand(queries, 1), a.dq = operand(queries, step), a.dk = operand(keys, step), a.dv = operand(keys, step);
  return a;
}

/// There is a kernel, and it keeps no scores in memory.
void has_a_kernel(const FusedAttention& a) {
  const cudnn::Plan plan(cudnn::Target(h100()), a);
  BOOST_TEST_CONTEXT(a.groups << " groups, " << a.heads << " heads of " << a.width << ", " << a.queries << " queries, "
                              << a.keys << " keys, " << (a.backward() ? "backward" : "forward")) {
    BOOST_REQUIRE(plan);
    const Index beside = plan.workspace() - cudnn::AttentionGraph::delta_bytes(a) - cudnn::AttentionGraph::dq_sums_bytes(a);
    BOOST_CHECK_LE(beside, 4096);
  }
}
}  // namespace

BOOST_AUTO_TEST_CASE(has_kernels_for_attention, *boost::unit_test::precondition(reads_properties)) {
  for (const bool backward : {false, true}) {
    has_a_kernel(attention(32, 32, 5516, 5516, 128, 1, backward));  // within layers of the released generator
    has_a_kernel(attention(5516, 32, 32, 32, 128, 3, backward));    // between them
    has_a_kernel(attention(1, 32, 5516 * 8, 1024, 128, 1, backward));
    has_a_kernel(attention(32, 16, 768, 768, 128, 3, backward));
    for (const Index width : {8, 40, 64, 72}) has_a_kernel(attention(3, 2, 137, 219, width, 3, backward));
  }
}

BOOST_AUTO_TEST_CASE(has_none_for_rows_that_do_not_lie_on_sixteen_bytes, *boost::unit_test::precondition(reads_properties)) {
  const cudnn::Plan none(cudnn::Target(h100()), attention(3, 2, 137, 219, 12, 1, true));
  BOOST_CHECK(!none && !none.worth_another_attempt());
}

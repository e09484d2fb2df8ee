// The demonstration's networks, at their real sizes.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>

#include "edit/network.hpp"
#include "edit/synthetic.hpp"
#include "edit/tasks.hpp"

namespace {

using namespace edit;

Request request(Task task, std::uint64_t index) {
  wu::Random random(3, "request", index);
  const Pair pair = make_pair(task, draw_dead_leaves(3, index, 64), random);
  Request r;
  describe_request(r, pair.source, training_phrase(task, random));
  r.tiles.side = 16;
  r.tiles.add(pair.source, pair.target, 10, 20);
  return r;
}

/// New networks and two requests of one tile each, for a step on the bridge.
struct TwoRequests {
  FrozenWeights frozen;
  MemoryWeights memory, gradients;
  Network network{1};
  std::vector<Request> requests{request(Task::blur, 0), request(Task::age, 1)};
  const std::vector<double> t{0, 0};
  wu::Index worst = -1;

  TwoRequests() {
    initialise(frozen, 1);
    initialise(memory, 1);
  }
  double loss() {
    return network.memory_loss(frozen, memory.frozen(), gradients.view(), requests, {.t = t, .noise_seed = 1}, worst);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_new_generator_leaves_the_frozen_backbone_alone) {
  FrozenWeights frozen;
  MemoryWeights memory;
  initialise(frozen, 1);
  initialise(memory, 1);
  Network network(2);
  const Image picture = crop(draw_dead_leaves(3, 9, 80), 0, 0, 71, 37);
  const Request r = request(Task::blur, 0);
  const auto adapters = network.generate(memory, {r});
  const Image base = network.sample(frozen, {}, r.pieces, picture, {});
  const Image edited = network.sample(frozen, adapters.span(), r.pieces, picture, {});
  BOOST_CHECK_EQUAL(base.width, 71);
  BOOST_CHECK_EQUAL(base.height, 37);
  BOOST_CHECK(base == edited);
}

BOOST_AUTO_TEST_CASE(training_moves_the_memory_downhill_and_never_the_backbone) {
  FrozenWeights frozen;
  MemoryWeights memory, gradients;
  initialise(frozen, 1);
  initialise(memory, 1);
  const std::uint64_t before = hash(frozen);
  Network network(2);
  std::vector<Request> requests;
  for (std::uint64_t k = 0; k < 3; ++k) requests.push_back(request(tasks[k + 2], k));
  const std::vector<double> t(requests.size(), 0);
  wu::Index worst = 0;
  const double loss =
      network.memory_loss(frozen, memory.frozen(), gradients.view(), requests, {.t = t, .noise_seed = 1}, worst);
  BOOST_CHECK_EQUAL(worst, -1);
  double square = 0;
  for (const float g : gradients.flat()) square += static_cast<double>(g) * static_cast<double>(g);
  BOOST_REQUIRE_GT(square, 0);
  constexpr double step = 1e-3;
  auto values = memory.flat();
  for (std::size_t k = 0; k < values.size(); ++k)
    values[k] -= static_cast<float>(step / std::sqrt(square)) * gradients.flat()[k];
  MemoryWeights unused;
  const double after =
      network.memory_loss(frozen, memory.frozen(), unused.view(), requests, {.t = t, .noise_seed = 1}, worst);
  BOOST_CHECK_CLOSE(after - loss, -step * std::sqrt(square), 10);
  BOOST_CHECK_EQUAL(hash(frozen), before);
}

BOOST_AUTO_TEST_CASE(a_request_that_is_not_finite_is_named) {
  TwoRequests step;
  step.requests[1].tiles.target[5] = std::nanf("");
  BOOST_CHECK(!std::isfinite(step.loss()));
  BOOST_CHECK_EQUAL(step.worst, 1);
}

BOOST_AUTO_TEST_CASE(adapters_that_are_not_finite_name_their_request) {
  TwoRequests step;
  step.requests[1].view[7] = std::nanf("");
  BOOST_CHECK(std::isnan(step.loss()));
  BOOST_CHECK_EQUAL(step.worst, 1);
  BOOST_CHECK(std::ranges::all_of(step.gradients.flat(), [](float g) { return g == 0; }));
}

BOOST_AUTO_TEST_CASE(short_instructions_are_repeated_and_bad_ones_refused) {
  const auto pieces = pieces_of("blur");
  for (const auto p : pieces) BOOST_CHECK_EQUAL(p, pieces[0]);
  BOOST_CHECK_THROW(pieces_of(""), wu::Error);
  BOOST_CHECK_THROW(pieces_of("\xff"), wu::Error);
}

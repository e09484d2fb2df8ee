// The demonstration on another device: the networks as wu-edit runs them on a GPU, here on wu::cuda_on_host, against the CPU.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>

#include "edit/network.hpp"
#include "edit/synthetic.hpp"
#include "edit/tasks.hpp"

namespace {

using namespace edit;

std::vector<Request> two_requests() {
  std::vector<Request> requests(2);
  for (std::uint64_t k = 0; k < 2; ++k) {
    wu::Random random(3, "request", k);
    const Pair pair = make_pair(tasks[k], draw_dead_leaves(3, k, 64), random);
    describe_request(requests[k], pair.source, training_phrase(tasks[k], random));
    requests[k].tiles.side = 16;
    requests[k].tiles.add(pair.source, pair.target, 10, 20);
  }
  return requests;
}

struct Outcome {
  std::vector<double> losses, norms;
  std::vector<float> adapters;
  Image edited;
};

/// Two steps on the path from noise, then a picture edited with what was learned.
Outcome train_and_edit(Network& network) {
  const auto requests = two_requests();
  FrozenWeights here;
  initialise(here, 1);
  const FrozenWeights frozen = here.in(network.memory());
  Network::Run run;
  initialise(run.weights(), 1);
  run = run.in(network.memory());
  const std::vector<double> t{0.3, 0.98};
  Outcome outcome;
  for (int step = 0; step < 2; ++step) {
    const auto result =
        network.advance(run, {.schedule = {.peak = 3e-3}}, [&](const auto& values, const auto& gradients, Index, Index) {
          Index worst = 0;
          const double loss =
              network.memory_loss(frozen, values, gradients, requests, {.path = Path::flow, .t = t, .noise_seed = 1}, worst);
          BOOST_CHECK_EQUAL(worst, -1);
          return loss;
        });
    outcome.losses.push_back(result.loss);
    outcome.norms.push_back(result.gradient_norm);
  }
  const auto adapters = network.generate(run.weights(), requests);
  outcome.edited = network.sample(frozen, adapters.span().first(static_cast<std::size_t>(Tokens::values)),
                                  requests[0].pieces, draw_dead_leaves(3, 9, 24), {.path = Path::flow, .steps = 2});
  const auto back = adapters.in(nullptr);
  outcome.adapters.assign(back.span().begin(), back.span().end());
  return outcome;
}

double largest(const auto& values) {
  double most = 0;
  for (const float v : values) most = std::max(most, std::fabs(static_cast<double>(v)));
  return most;
}
/// The largest difference, as a share of the largest value.
double difference(const auto& a, const auto& b) {
  BOOST_REQUIRE_EQUAL(std::ranges::size(a), std::ranges::size(b));
  double most = 0;
  for (std::size_t k = 0; k < std::ranges::size(a); ++k) most = std::max(most, std::fabs(static_cast<double>(a[k]) - b[k]));
  return most / largest(b);
}

}  // namespace

BOOST_AUTO_TEST_CASE(another_device_trains_and_edits_as_the_cpu_does) {
  Network cpu(2);
  const auto gpu = cuda_network(2);
  BOOST_CHECK(gpu->memory() != nullptr);
  const Outcome expected = train_and_edit(cpu), found = train_and_edit(*gpu);
  for (std::size_t step = 0; step < 2; ++step) {
    BOOST_CHECK_CLOSE_FRACTION(found.losses[step], expected.losses[step], 1e-5);
    BOOST_CHECK_CLOSE_FRACTION(found.norms[step], expected.norms[step], 1e-3);
  }
  BOOST_CHECK_NE(expected.losses[1], expected.losses[0]);
  BOOST_CHECK_GT(largest(expected.adapters), 0);
  // Adam's first steps go by a gradient's sign, and so are large even where rounding decides it.
  BOOST_CHECK_LE(difference(found.adapters, expected.adapters), 0.05);
  BOOST_CHECK_LE(difference(found.edited.rgb, expected.edited.rgb), 1e-2);
}

BOOST_AUTO_TEST_CASE(another_device_names_the_request_that_is_not_finite) {
  const auto gpu = cuda_network(1);
  auto requests = two_requests();
  requests[1].view[7] = std::nanf("");
  FrozenWeights frozen;
  MemoryWeights memory, gradients;
  initialise(frozen, 1);
  initialise(memory, 1);
  const auto there = memory.in(gpu->memory());
  auto sums = gradients.in(gpu->memory());
  const std::vector<double> t{0, 0};
  Index worst = -1;
  BOOST_CHECK(std::isnan(gpu->memory_loss(frozen.in(gpu->memory()), there.view(), sums.view(), requests, {.t = t}, worst)));
  BOOST_CHECK_EQUAL(worst, 1);
}

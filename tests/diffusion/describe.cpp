// What a diffusion step says about itself.
#include <boost/test/unit_test.hpp>

#include "wu/core/describe.hpp"
#include "wu/diffusion/diffusion.hpp"

namespace described {

/// A user's path that says nothing about itself: its name stands for it.
struct Silent : wu::diffusion::RectifiedFlow {
  static std::string describe() = delete;
};

}  // namespace described

BOOST_AUTO_TEST_CASE(diffusion_steps_describe_themselves) {
  using namespace wu;
  using namespace wu::diffusion;
  BOOST_CHECK_EQUAL(
      describe<DiffusionStep<>>(),
      "DiffusionStep: x_t = (1 - t) x_0 + t x_1, rectified flow, from noise; the network predicts the velocity; "
      "loss: mean squared error");
  BOOST_CHECK_EQUAL(
      (describe<DiffusionStep<SourceBridge, Predicts::edit, LogMeanSquared>>()),
      "DiffusionStep: x_t = (1 - t) x_0 + t x_1, bridge, from the source picture; the network predicts the edit; "
      "loss: logarithm of the mean squared error");
  BOOST_CHECK_EQUAL(describe<described::Silent>(), "described::Silent");
}

// What the modules of nn/ say about themselves.
#include <boost/test/unit_test.hpp>

#include "wu/core/describe.hpp"
#include "wu/nn/nn.hpp"

BOOST_AUTO_TEST_CASE(modules_describe_themselves) {
  using namespace wu;
  BOOST_CHECK_EQUAL((describe<Linear<256, 768>>()), "Linear 256 → 768: 197 376 parameters");
  static_assert(parameter_count<Linear<256, 768>::Parameters<float>>() == 197'376);
  BOOST_CHECK_EQUAL((describe<LoRALinear<256, 768, 8>>()),
                    "LoRALinear 256 → 768: 197 376 parameters; an adapter of rank 8 has 8192 values");
  static_assert(LoRALinear<256, 768, 8>::adapter_values == 8192);
  BOOST_CHECK_EQUAL(describe<RMSNorm<6>>(), "RMSNorm over 6 channels: 6 parameters");
  BOOST_CHECK_EQUAL((describe<Attention<6, 2>>()), "Attention of width 6, 3 heads × 2: 168 parameters");
  BOOST_CHECK_EQUAL((describe<FeedForward<6, 5>>()), "FeedForward 6 → 5 → 6, SiLU: 71 parameters");
  BOOST_CHECK_EQUAL((describe<EncoderBlock<6, 6, 5>>()),
                    "EncoderBlock of width 6, 1 head × 6, feed-forward 6 → 5 → 6: 251 parameters\n"
                    "  norm1           6\n"
                    "  attention     168\n"
                    "  norm2           6\n"
                    "  feed_forward   71");
}

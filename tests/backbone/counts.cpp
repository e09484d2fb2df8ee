// The bytes and the floating-point operations that the edit transformer says a forward pass takes, against what it took.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <vector>

#include "support/counting.hpp"
#include "support/gradient_check.hpp"
#include "wu/backbone/backbone.hpp"
#include "wu/core/parameters.hpp"

BOOST_AUTO_TEST_CASE(edit_transformer_takes_what_it_says) {
  using namespace wu;
  using Net = backbone::EditTransformer</*layers*/ 2, /*token width*/ 8, /*pixel width*/ 6, /*head width*/ 4,
                                        /*instruction width*/ 5, /*rank*/ 2, /*adapter token width*/ 3>;
  Weights<Net, double> weights;
  std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
  for (const auto& [batch, height, width] : {std::array<Index, 3>{1, 8, 8}, std::array<Index, 3>{3, 16, 24}})
    for (const bool adapted : {true, false}) {
      const Tensor<double, dyn, dyn, dyn, 3> picture(batch, height, width);
      Tensor<double, dyn, dyn, dyn, 3> edit(batch, height, width);
      const Tensor<double, dyn, 5> instruction(batch);
      const std::vector<double> t(static_cast<std::size_t>(batch), 0.5);
      const std::vector<Index> which(static_cast<std::size_t>(batch), 0);
      const auto tokens = test::random_values(Net::Tokens::values, "tokens");
      Net::Adapters<double> adapters;
      if (adapted) adapters = {Net::Tokens::Tokens<const double>(tokens.data(), 1), which, 1};
      test::Counting ctx;
      Workspace ws;
      Net::forward<double>(ctx, ws, edit, picture, picture, t, instruction, weights.frozen(), adapters);
      BOOST_CHECK_EQUAL(ctx.operations, Net::operations(batch, height, width, adapted));
      BOOST_CHECK_EQUAL(ws.taken_bytes(), Net::saved_bytes<double>(batch, height, width, adapted));
    }
}

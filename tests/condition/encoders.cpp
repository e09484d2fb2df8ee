// condition/image_encoder.hpp, text_encoder.hpp and hybrid.hpp.
#include <boost/test/unit_test.hpp>

#include "support/gradient_check.hpp"
#include "wu/condition/hybrid.hpp"
#include "wu/core/parameters.hpp"
#include "wu/cpu/cpu.hpp"

namespace {

using namespace wu;
constexpr Index batch = 2, C = 6, head = 2;
using Image = condition::ImageEncoder</*size*/ 9, /*patch*/ 3, C, head, /*blocks*/ 1>;
using Text = condition::TextEncoder</*vocabulary*/ 7, /*length*/ 5, C, head, /*blocks*/ 2>;
using Both = condition::Hybrid<Image, Text>;

/// One word stands in both texts and twice in the first; row 6 of the table is never asked for.
const std::vector<std::int32_t> pieces{3, 1, 3, 0, 0, 5, 4, 3, 2, 0};
const std::vector<double> pictures = test::random_values(batch * Image::size * Image::size * 3, "pictures");
View<const double, dyn, dyn, dyn, 3> pictures_view(Index height = Image::size, Index width = Image::size) {
  return {pictures.data(), batch, height, width};
}

/// Every weight of Module by its name, on the device of ctx; forward(y, p) keeps what backward(dp, dy, saved, p) needs.
template <class Module>
void check_on(auto& ctx, Index values, const std::string& what, auto&& forward, auto&& backward) {
  BOOST_TEST_CONTEXT(what) {
    Weights<Module, double> weights, gradients;
    std::ranges::copy(test::random_values(weights.extent, "weights"), weights.flat().begin());
    const auto dy = test::random_values(values, "dy");
    auto y = test::poisoned(values), consumed = dy;
    Workspace ws;
    auto loss = [&] {
      const Workspace::Scope scope(ws);
      forward(ctx, ws, y.data(), weights.frozen());
      return test::dot(y, dy);
    };
    const auto saved = forward(ctx, ws, y.data(), weights.frozen());
    backward(ctx, ws, gradients.view(), consumed.data(), saved, weights.frozen());
    auto p = weights.view();
    for_each_parameter(p, [&](std::string_view name, auto& view) {
      const auto at = static_cast<std::size_t>(view.data - weights.flat().data()), n = static_cast<std::size_t>(view.size());
      const auto gradient = gradients.flat().subspan(at, n);
      if (name.ends_with("W_k.bias")) {
        // It adds the same number to all scores of a query, which the softmax does not see.
        for (const double g : gradient) BOOST_CHECK_SMALL(g, 1e-13);
      } else test::check_gradient(name, {view.data, n}, gradient, loss, 1e-7, 40);
    });
  }
}

/// On both devices.
template <class Module>
void check(Index values, const std::string& what, auto&& forward, auto&& backward) {
  reference slow;
  check_on<Module>(slow, values, what, forward, backward);
  cpu::Context fast({.threads = 2});
  check_on<Module>(fast, values, what + " on the CPU", forward, backward);
}

template <class Module>
Weights<Module, double> initialised(std::uint64_t seed) {
  Weights<Module, double> weights;
  Module::template initialise<double>(weights.view(), seed);
  return weights;
}

auto says(std::string sentence) {
  return [sentence = std::move(sentence)](const ShapeError& e) {
    if (sentence != e.what()) BOOST_TEST_MESSAGE("found: " << e.what());
    return sentence == e.what();
  };
}

std::vector<double> hybrid_features(const Weights<Both, double>& weights, Index samples, std::span<const double> images,
                                    std::span<const std::int32_t> words) {
  std::vector<double> u = test::poisoned(samples * Both::length * C);
  Workspace ws;
  reference ctx;
  Both::forward<double>(ctx, ws, {u.data(), samples, Both::length}, {images.data(), samples, Image::size, Image::size},
                        words, weights.frozen());
  return u;
}

}  // namespace

BOOST_AUTO_TEST_CASE(image_encoder_gradients) {
  constexpr Index rows = batch * Image::length;
  check<Image>(
      rows * C, "image encoder",
      [](auto& ctx, auto& ws, double* y, const auto& p) {
        return Image::forward<double>(ctx, ws, {y, rows}, pictures_view(), p);
      },
      [](auto& ctx, auto& ws, const auto& dp, double* dy, const auto& saved, const auto& p) {
        Image::backward<double>(ctx, ws, dp, {dy, rows}, saved, p);
      });
}

BOOST_AUTO_TEST_CASE(text_encoder_gradients) {
  constexpr Index rows = batch * Text::length;
  check<Text>(
      rows * C, "text encoder",
      [](auto& ctx, auto& ws, double* y, const auto& p) { return Text::forward<double>(ctx, ws, {y, rows}, pieces, p); },
      [](auto& ctx, auto& ws, const auto& dp, double* dy, const auto& saved, const auto& p) {
        Text::backward<double>(ctx, ws, dp, {dy, rows}, saved, p);
      });
}

BOOST_AUTO_TEST_CASE(encoders_without_blocks_have_gradients_too) {
  using Patches = condition::ImageEncoder<9, 3, C, head, 0>;
  using Words = condition::TextEncoder<7, 5, C, head, 0>;
  constexpr Index image_rows = batch * Patches::length, text_rows = batch * Words::length;
  check<Patches>(
      image_rows * C, "patches",
      [](auto& ctx, auto& ws, double* y, const auto& p) {
        return Patches::forward<double>(ctx, ws, {y, image_rows}, pictures_view(), p);
      },
      [](auto& ctx, auto& ws, const auto& dp, double* dy, const auto& saved, const auto& p) {
        Patches::backward<double>(ctx, ws, dp, {dy, image_rows}, saved, p);
      });
  check<Words>(
      text_rows * C, "words",
      [](auto& ctx, auto& ws, double* y, const auto& p) {
        return Words::forward<double>(ctx, ws, {y, text_rows}, pieces, p);
      },
      [](auto& ctx, auto& ws, const auto& dp, double* dy, const auto& saved, const auto& p) {
        Words::backward<double>(ctx, ws, dp, {dy, text_rows}, saved, p);
      });
}

BOOST_AUTO_TEST_CASE(hybrid_gradients) {
  check<Both>(
      batch * Both::length * C, "hybrid",
      [](auto& ctx, auto& ws, double* y, const auto& p) {
        return Both::forward<double>(ctx, ws, {y, batch, Both::length}, pictures_view(), pieces, p);
      },
      [](auto& ctx, auto& ws, const auto& dp, double* dy, const auto& saved, const auto& p) {
        Both::backward<double>(ctx, ws, dp, View<const double, dyn, dyn, C>(dy, batch, Both::length), saved, p);
      });
}

BOOST_AUTO_TEST_CASE(recomputed_blocks_give_the_same_gradients_and_keep_less) {
  const auto run = []<class Keep>(Keep) {
    cpu::Context ctx({.threads = 2});
    const auto weights = initialised<Both>(test::seed);
    auto gradients = Weights<Both, double>();
    auto u = test::poisoned(batch * Both::length * C);
    const auto du = test::random_values(batch * Both::length * C, "du");
    Workspace ws;
    const auto saved = Both::forward<double, Keep>(ctx, ws, View<double, dyn, dyn, C>(u.data(), batch, Both::length),
                                                   pictures_view(), pieces, weights.frozen());
    BOOST_CHECK_EQUAL(ws.taken_bytes(), (Both::saved_bytes<double, Keep>(batch)));
    Both::backward<double>(ctx, ws, gradients.view(), View<const double, dyn, dyn, C>(du.data(), batch, Both::length), saved,
                           weights.frozen());
    return gradients;
  };
  const auto saved = run(SaveBlocks{}), again = run(RecomputeBlocks{});
  BOOST_CHECK(std::ranges::equal(again.flat(), saved.flat()));
  static_assert(Both::saved_bytes<double, RecomputeBlocks>(batch) < Both::saved_bytes<double>(batch));
}

BOOST_AUTO_TEST_CASE(hybrid_puts_image_before_text_for_every_sample) {
  static_assert(Both::length == 9 + 5 && Both::width == C);
  const auto weights = initialised<Both>(test::seed);
  const auto u = hybrid_features(weights, batch, pictures, pieces);
  std::vector<double> image(static_cast<std::size_t>(batch * Image::length * C)),
      text(static_cast<std::size_t>(batch * Text::length * C));
  Workspace ws;
  reference ctx;
  const auto p = weights.frozen();
  Image::forward<double>(ctx, ws, {image.data(), batch * Image::length}, pictures_view(), p.image);
  Text::forward<double>(ctx, ws, {text.data(), batch * Text::length}, pieces, p.text);
  auto at = u.begin();
  for (std::size_t s = 0; s < batch; ++s)
    for (const auto* part : {&image, &text})
      for (std::size_t k = s * part->size() / batch; k < (s + 1) * part->size() / batch; ++k)
        BOOST_CHECK_EQUAL(*at++, (*part)[k]);
  BOOST_CHECK(at == u.end());
}

BOOST_AUTO_TEST_CASE(a_sample_does_not_see_the_rest_of_its_batch) {
  const auto weights = initialised<Both>(test::seed);
  const auto u = hybrid_features(weights, batch, pictures, pieces);
  const auto alone = hybrid_features(weights, 1, std::span(pictures).last(pictures.size() / batch),
                                     std::span(pieces).last(pieces.size() / batch));
  BOOST_CHECK_LT(test::relative_error(std::span(u).last(alone.size()), alone), 1e-14);
}

BOOST_AUTO_TEST_CASE(encoders_start_from_their_seed) {
  const auto first = initialised<Both>(1), again = initialised<Both>(1), other = initialised<Both>(2);
  BOOST_CHECK(std::ranges::equal(first.flat(), again.flat()));
  BOOST_CHECK(!std::ranges::equal(first.flat(), other.flat()));
  // No two words and no two places start alike, and none as nothing.
  const auto differ = [](auto view) {
    for (Index r = 0; r < view.rows(); ++r)
      for (Index k = 0; k < r; ++k)
        if (std::equal(view.row(r), view.row(r) + C, view.row(k))) return false;
    return std::ranges::none_of(view, [](double v) { return v == 0; });
  };
  BOOST_CHECK(differ(first.view().text.table));
  BOOST_CHECK(differ(first.view().text.position));
  BOOST_CHECK(differ(first.view().image.position));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused_before_anything_is_written) {
  const auto weights = initialised<Both>(1);
  const auto p = weights.frozen();
  Workspace ws;
  reference ctx;
  std::vector<double> u(static_cast<std::size_t>(batch * Both::length * C), 7);
  const View<double, dyn, dyn, C> out(u.data(), batch, Both::length);
  BOOST_CHECK_EXCEPTION(Both::forward<double>(ctx, ws, out, pictures_view(6, 9), pieces, p), ShapeError,
                        says("image encoder: expected 9 x 9 pixels, found 6 x 9"));
  BOOST_CHECK_EXCEPTION(Both::forward<double>(ctx, ws, out, pictures_view(9, 3), pieces, p), ShapeError,
                        says("image encoder: expected 9 x 9 pixels, found 9 x 3"));
  BOOST_CHECK_EXCEPTION(Both::forward<double>(ctx, ws, out, pictures_view(), std::span(pieces).first(5), p), ShapeError,
                        says("hybrid condition: expected 10 word pieces for 2 images, found 5"));
  const std::vector<std::int32_t> outside{3, 1, 3, 0, 0, 5, 7, 3, 2, 0};
  BOOST_CHECK_EXCEPTION(Both::forward<double>(ctx, ws, out, pictures_view(), outside, p), ShapeError,
                        says("embedding: expected an id from 0 to 6 at position 6, found 7"));
  BOOST_CHECK_EXCEPTION(Both::forward<double>(ctx, ws, {u.data(), batch, Image::length}, pictures_view(), pieces, p),
                        ShapeError,
                        says("hybrid condition: expected 14 rows of features for each of 2 images, found 9 for 2"));
  BOOST_CHECK_EXCEPTION(Both::forward<double>(ctx, ws, {u.data(), 1, Both::length}, pictures_view(), pieces, p), ShapeError,
                        says("hybrid condition: expected 14 rows of features for each of 2 images, found 14 for 1"));
  BOOST_CHECK(std::ranges::all_of(u, [](double v) { return v == 7; }));

  std::vector<double> features(static_cast<std::size_t>(batch * Text::length * C));
  BOOST_CHECK_EXCEPTION(
      Text::forward<double>(ctx, ws, {features.data(), batch * Text::length}, std::span(pieces).first(9), p.text),
      ShapeError, says("embedding: expected 5 ids, found 9"));
}

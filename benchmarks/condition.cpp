// condition: the encoders, and both together. Their backward turns the gradient of the features into that of the input in
// place, so each call first copies it there; that is measured too.
#include "networks_work.hpp"

namespace {

using namespace wu;
using namespace networks;
using T = float;
constexpr Index batch = 8, size = ImageEncoder::size;

void add_image_encoder() {
  using E = ImageEncoder;
  const std::string shape = join("image_encoder/side:", size, "/length:", E::length, "/", E::width, "/images:", batch);
  const Products work = image_encoder_products<E>(batch, 2);
  add<T>(shape, "forward", work.forward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, E::width>(batch * E::length);
    const auto x = f.input<T, dyn, dyn, dyn, 3>(batch, size, size);
    const auto& p = f.weights<E, T>();
    return [=, &f, &p] { E::forward<T>(f.ctx, f.ws, y, x, p.frozen()); };
  });
  add<T>(shape, "backward", work.backward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, E::width>(batch * E::length), d = f.output<T, dyn, E::width>(batch * E::length);
    const auto dy = f.input<T, dyn, E::width>(batch * E::length);
    const auto x = f.input<T, dyn, dyn, dyn, 3>(batch, size, size);
    const auto& p = f.weights<E, T>();
    const auto dp = f.weights<E, T>().view();
    const auto saved = std::make_shared<E::Saved<T>>(E::forward<T>(f.ctx, f.ws, y, x, p.frozen()));
    return [=, &f, &p] {
      copy(f.ctx, d, dy);
      E::backward<T>(f.ctx, f.ws, dp, d, *saved, p.frozen());
    };
  });
}

void add_text_encoder() {
  using E = TextEncoder;
  const std::string shape = join("text_encoder/length:", E::length, "/", E::width, "/texts:", batch);
  const Products work = text_encoder_products<E>(batch, 1);
  add<T>(shape, "forward", work.forward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, E::width>(batch * E::length);
    const auto pieces = f.ids(batch * E::length, E::vocabulary);
    const auto& p = f.weights<E, T>();
    return [=, &f, &p] { E::forward<T>(f.ctx, f.ws, y, pieces, p.frozen()); };
  });
  add<T>(shape, "backward", work.backward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, E::width>(batch * E::length), d = f.output<T, dyn, E::width>(batch * E::length);
    const auto dy = f.input<T, dyn, E::width>(batch * E::length);
    const auto pieces = f.ids(batch * E::length, E::vocabulary);
    const auto& p = f.weights<E, T>();
    const auto dp = f.weights<E, T>().view();
    const auto saved = std::make_shared<E::Saved<T>>(E::forward<T>(f.ctx, f.ws, y, pieces, p.frozen()));
    return [=, &f, &p] {
      copy(f.ctx, d, dy);
      E::backward<T>(f.ctx, f.ws, dp, d, *saved, p.frozen());
    };
  });
}

void add_hybrid() {
  using E = Condition;
  const std::string shape = join("hybrid_condition/length:", E::length, "/", E::width, "/requests:", batch);
  const Products work = condition_products(batch);
  add<T>(shape, "forward", work.forward(), [](Fixture& f) {
    const auto u = f.output<T, dyn, dyn, E::width>(batch, E::length);
    const auto x = f.input<T, dyn, dyn, dyn, 3>(batch, size, size);
    const auto pieces = f.ids(batch * TextEncoder::length, TextEncoder::vocabulary);
    const auto& p = f.weights<E, T>();
    return [=, &f, &p] { E::forward<T>(f.ctx, f.ws, u, x, pieces, p.frozen()); };
  });
  add<T>(shape, "backward", work.backward(), [](Fixture& f) {
    const auto u = f.output<T, dyn, dyn, E::width>(batch, E::length);
    const auto du = f.input<T, dyn, dyn, E::width>(batch, E::length);
    const auto x = f.input<T, dyn, dyn, dyn, 3>(batch, size, size);
    const auto pieces = f.ids(batch * TextEncoder::length, TextEncoder::vocabulary);
    const auto& p = f.weights<E, T>();
    const auto dp = f.weights<E, T>().view();
    const auto saved = std::make_shared<E::Saved<T>>(E::forward<T>(f.ctx, f.ws, u, x, pieces, p.frozen()));
    return [=, &f, &p] { E::backward<T>(f.ctx, f.ws, dp, du, *saved, p.frozen()); };
  });
}

WU_BENCHMARK(add_image_encoder());
WU_BENCHMARK(add_text_encoder());
WU_BENCHMARK(add_hybrid());

}  // namespace

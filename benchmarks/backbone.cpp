// backbone: the two streams of a layer and the whole network, frozen, with an adapter of its own for every picture. Backward
// gives the gradients of the adapters and of the activations, as training the generator needs them.
#include "networks_work.hpp"

namespace {

using namespace wu;
using namespace networks;
using Net = Backbone;
using Tokens = Net::Tokens;
template <class T>
using Pictures = View<const T, dyn, dyn, dyn, 3>;
constexpr Index b = 4, side = 64, pixels = side / 2, cells = side / Net::token_pixels, W = Net::W, P = Net::P,
                R = Tokens::rank;
constexpr std::array<Index, b> which{0, 1, 2, 3};

template <class T>
Tokens::Tokens<T> tokens_of(Fixture& f) {
  return {f.output<T, dyn, 1>(b * Tokens::values).data, b};
}
template <class T>
Net::Adapters<T> adapters_of(Fixture& f) {
  return {tokens_of<T>(f), which, 1.0 / R};
}

template <class T>
void add_token_block() {
  using Block = Net::TokenStream;
  const std::string shape = join("token_block/", W, "/pictures:", b, "/tokens:", cells * cells);
  const Products work = token_block_products(b, cells * cells, W, Net::token_hidden, R);
  constexpr Index n = b * cells * cells;
  static constexpr std::array<Index, 2> grid{cells, cells};
  add<T>(shape, "forward", work.forward() + token_block_modulation(b, W), [](Fixture& f) {
    const auto y = f.output<T, dyn, W>(n);
    const auto x = f.input<T, dyn, W>(n), c = f.input<T, dyn, W>(b);
    const auto& p = f.weights<Block, T>();
    const auto adapters = adapters_of<T>(f);
    return [=, &f, &p] { Block::forward<T>(f.ctx, f.ws, y, x, c, p.frozen(), adapters, 0, grid); };
  });
  add<T>(shape, "backward", work.backward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, W>(n), dx = f.output<T, dyn, W>(n);
    const auto dy = f.input<T, dyn, W>(n), x = f.input<T, dyn, W>(n), c = f.input<T, dyn, W>(b);
    const auto& p = f.weights<Block, T>();
    const auto adapters = adapters_of<T>(f);
    const auto dtokens = tokens_of<T>(f);
    const auto saved =
        std::make_shared<Block::Saved<T>>(Block::forward<T>(f.ctx, f.ws, y, x, c, p.frozen(), adapters, 0, grid));
    return [=, &f, &p] {  // dx: from the gradient of y to that of x, in place
      copy(f.ctx, dx, dy);
      Block::backward<T>(f.ctx, f.ws, dx, View<T, dyn, W>(), Block::Parameters<accumulator_t<T>>{}, dtokens, *saved,
                         p.frozen(), adapters, 0, grid);
    };
  });
}

template <class T>
void add_pixel_block() {
  using Block = Net::PixelStream;
  const std::string shape = join("pixel_block/", P, "/pictures:", b, "/side:", pixels);
  const Products work = pixel_block_products(b * pixels * pixels, b * cells * cells, W, P, Net::pixel_hidden, R);
  add<T>(shape, "forward", work.forward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, dyn, dyn, P>(b, pixels, pixels);
    const auto x = f.input<T, dyn, dyn, dyn, P>(b, pixels, pixels);
    const auto tokens = f.input<T, dyn, dyn, dyn, W>(b, cells, cells);
    const auto& p = f.weights<Block, T>();
    const auto adapters = adapters_of<T>(f);
    return [=, &f, &p] { Block::forward<T>(f.ctx, f.ws, y, x, tokens, p.frozen(), adapters, 0); };
  });
  add<T>(shape, "backward", work.backward(), [](Fixture& f) {
    const auto y = f.output<T, dyn, dyn, dyn, P>(b, pixels, pixels), dx = f.output<T, dyn, dyn, dyn, P>(b, pixels, pixels);
    const auto dy = f.input<T, dyn, dyn, dyn, P>(b, pixels, pixels), x = f.input<T, dyn, dyn, dyn, P>(b, pixels, pixels);
    const auto tokens = f.input<T, dyn, dyn, dyn, W>(b, cells, cells);
    const auto dstream = f.output<T, dyn, dyn, dyn, W>(b, cells, cells);
    const auto& p = f.weights<Block, T>();
    const auto adapters = adapters_of<T>(f);
    const auto dtokens = tokens_of<T>(f);
    const auto saved =
        std::make_shared<Block::Saved<T>>(Block::forward<T>(f.ctx, f.ws, y, x, tokens, p.frozen(), adapters, 0));
    return [=, &f, &p] {  // dx: from the gradient of y to that of x, in place
      copy(f.ctx, dx.flat(), dy.flat());
      Block::backward<T>(f.ctx, f.ws, dx, dstream, Block::Parameters<accumulator_t<T>>{}, dtokens, *saved, p.frozen(),
                         adapters, 0);
    };
  });
}

template <class T>
void add_edit_transformer() {
  const std::string shape = join("edit_transformer/", W, "+", P, "/layers:", Net::layers, "/pictures:", b, "/side:", side);
  const auto work = backbone_work<Net>(b, side);
  static const std::vector<double> t{0.1, 0.4, 0.6, 0.9};
  add<T>(shape, "forward", work.forward, [](Fixture& f) {
    const auto edit = f.output<T, dyn, dyn, dyn, 3>(b, side, side);
    const Pictures<T> x_t = f.input<T, dyn, dyn, dyn, 3>(b, side, side),
                      source = f.input<T, dyn, dyn, dyn, 3>(b, side, side);
    const auto instruction = f.input<T, dyn, Net::instruction_width>(b);
    const auto& p = f.weights<Net, T>();
    const auto adapters = adapters_of<T>(f);
    return [=, &f, &p] { Net::forward<T>(f.ctx, f.ws, edit, x_t, source, t, instruction, p.frozen(), adapters); };
  });
  add<T>(shape, "backward", work.backward, [](Fixture& f) {
    const auto edit = f.output<T, dyn, dyn, dyn, 3>(b, side, side);
    const Pictures<T> x_t = f.input<T, dyn, dyn, dyn, 3>(b, side, side),
                      source = f.input<T, dyn, dyn, dyn, 3>(b, side, side);
    const Pictures<T> dedit = f.input<T, dyn, dyn, dyn, 3>(b, side, side);
    const auto instruction = f.input<T, dyn, Net::instruction_width>(b);
    const auto& p = f.weights<Net, T>();
    const auto adapters = adapters_of<T>(f);
    const auto dtokens = tokens_of<T>(f);
    const auto saved = std::make_shared<Net::Saved<T>>(
        Net::forward<T>(f.ctx, f.ws, edit, x_t, source, t, instruction, p.frozen(), adapters));
    return [=, &f, &p] {
      Net::backward<T>(f.ctx, f.ws, dtokens, Net::Parameters<accumulator_t<T>>{}, {}, dedit, *saved, p.frozen(), adapters);
    };
  });
}

WU_BENCHMARK(add_token_block<float>());
WU_BENCHMARK(add_token_block<bfloat16>());
WU_BENCHMARK(add_pixel_block<float>());
WU_BENCHMARK(add_pixel_block<bfloat16>());
WU_BENCHMARK(add_edit_transformer<float>());
WU_BENCHMARK(add_edit_transformer<bfloat16>());

}  // namespace

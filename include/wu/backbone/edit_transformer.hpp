// A diffusion transformer for image editing with two streams: tokens of 8 x 8 pixels that see the whole picture, and pixels at
// half resolution that see detail. Noisy picture x_t, source picture, instruction and time in; an edit of the source out.
//     c = SiLU(time(t) + instruction(text))                              e = 2 x 2 pixels of x_t and source, 24 values
//     layer l:  x += pixel.in(e)          tokens += token.in(pool(x))          tokens = TokenBlock(tokens, c)
//               x = PixelBlock(x, tokens)                    edit += pixel.out(x)
// Every layer reads the input and writes to the output itself, so that all linear layers on pictures and tokens stand in equal
// layers and each takes an adapter; those that see only time and instruction (time, instruction, modulation) take none.
// Pictures: (b, H, W, 3), H and W multiples of 8, values in about [-1, 1]. The edit is a residual: 0 leaves the picture alone;
// DiffusionStep makes the velocity from it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "wu/backbone/adapters.hpp"
#include "wu/backbone/pixel_block.hpp"
#include "wu/backbone/token_block.hpp"
#include "wu/nn/initialise.hpp"
#include "wu/nn/recompute.hpp"
#include "wu/ops/patches.hpp"
#include "wu/ops/time_embedding.hpp"

namespace wu::backbone {

/// Widths: of the token stream, of the pixel stream, of a head, of the instruction's features. Rank and AdapterTokenWidth:
/// those of the adapters' tokens. The formulas stand at the top of the file.
template <Index Layers, Index TokenWidth, Index PixelWidth, Index HeadWidth, Index InstructionWidth, Index Rank,
          Index AdapterTokenWidth>
struct EditTransformer {
  /// Layers, token width, pixel width, width of the instruction's features.
  static constexpr Index layers = Layers, W = TokenWidth, P = PixelWidth, instruction_width = InstructionWidth;
  /// Inner widths of both streams, values of a half-resolution pixel in and out, values that tell the time.
  static constexpr Index token_hidden = 2 * W, pixel_hidden = 2 * P, inputs = 24, outputs = 12, time_width = 64;
  static constexpr Index token_pixels = 8, coarse = 4;  // pixels along a token's side; half-resolution pixels likewise

  /// The adapted modules of every layer.
  using Shape =
      AdaptedLayers<Layers, Adapted<"attn.qkv", W, 3 * W>, Adapted<"attn.out", W, W>, Adapted<"mlp.up", W, token_hidden>,
                    Adapted<"mlp.down", token_hidden, W>, Adapted<"token.in", P, W>, Adapted<"token.out", W, 2 * P>,
                    Adapted<"pixel.in", inputs, P>, Adapted<"pixel.up", P, pixel_hidden>,
                    Adapted<"pixel.down", pixel_hidden, P>, Adapted<"pixel.out", P, outputs>>;
  /// Where the adapters lie.
  using Tokens = typename Tokenizer<Rank, AdapterTokenWidth>::template of<Shape>;
  /// What forward and backward take.
  template <class T>
  using Adapters = backbone::Adapters<Tokens, T>;

  /// pixel.in
  using In = LoRALinear<inputs, P, Rank>;
  /// token.in
  using TokenIn = LoRALinear<P, W, Rank>;
  /// The layer's part on tokens.
  using TokenStream = TokenBlock<W, HeadWidth, token_hidden, Rank>;
  /// The layer's part on pixels.
  using PixelStream = PixelBlock<W, P, pixel_hidden, Rank>;
  /// pixel.out
  using Out = LoRALinear<P, outputs, Rank>;

  /// One layer's weights.
  template <class T>
  struct LayerParameters {
    typename In::template Parameters<T> pixel_in;
    typename TokenIn::template Parameters<T> token_in;
    typename TokenStream::template Parameters<T> tokens;
    typename PixelStream::template Parameters<T> pixels;
    typename Out::template Parameters<T> pixel_out;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) {
      at("pixel.in", pixel_in), at("token.in", token_in);
      tokens.visit(at);
      pixels.visit(at);
      at("pixel.out", pixel_out);
    }
  };

  /// Views of the weights. T const: frozen.
  template <class T>
  struct Parameters {
    typename Linear<time_width, W>::template Parameters<T> time;
    typename Linear<InstructionWidth, W>::template Parameters<T> instruction;
    std::array<LayerParameters<T>, static_cast<std::size_t>(Layers)> layers;
    /// Calls at(name, member) in the order of the checkpoint.
    constexpr void visit(auto&& at) { at("time", time), at("instruction", instruction), at("layers", layers); }
  };
  /// How many numbers the backbone has.
  static constexpr Index parameter_count = wu::parameter_count<Parameters<float>>();

  /// What one layer's backward needs.
  template <class T, class Keep = SaveBlocks>
  struct LayerSaved {
    View<T, dyn, dyn, dyn, P> x;          // after pixel.in
    View<T, dyn, dyn, dyn, P> pooled, y;  // coarse; the pixel stream's output
    View<T, dyn, Rank> xa_in, xa_token_in, xa_out;
    typename Keep::template of<TokenStream>::template Saved<T> tokens;
    typename Keep::template of<PixelStream>::template Saved<T> pixels;
  };
  /// What backward needs, in the workspace until the caller's scope ends. Keep: SaveBlocks or RecomputeBlocks.
  template <class T, class Keep = SaveBlocks>
  struct Saved {
    View<T, dyn, dyn, dyn, inputs> e;
    View<T, dyn, time_width> waves;
    View<const T, dyn, InstructionWidth> instruction;
    View<T, dyn, W> sum, c;
    std::array<LayerSaved<T, Keep>, static_cast<std::size_t>(Layers)> layers;
  };
  /// What forward takes from the workspace and keeps, for `batch` pictures of height x width pixels, with adapters or not.
  template <class T, class Keep = SaveBlocks>
  static constexpr std::size_t saved_bytes(Index batch, Index height, Index width, bool adapted = true) {
    const Index pixels = batch * (height / 2) * (width / 2);
    const std::array<Index, 2> grid{height / token_pixels, width / token_pixels};
    const Index cells = batch * grid[0] * grid[1];
    const auto bytes = [](Index count) { return Workspace::bytes_of<T>(count); };
    const std::size_t layer =
        2 * bytes(pixels * P) + bytes(cells * P) + 2 * bytes(cells * W) + In::template saved_bytes<T>(pixels, adapted) +
        TokenIn::template saved_bytes<T>(cells, adapted) + Out::template saved_bytes<T>(pixels, adapted) +
        Keep::template of<TokenStream>::template saved_bytes<T>(batch, grid, adapted) +
        Keep::template of<PixelStream>::template saved_bytes<T>(pixels, cells, adapted);
    return bytes(pixels * inputs) + bytes(batch * time_width) + 3 * bytes(batch * W) + bytes(cells * W) +
           2 * bytes(pixels * outputs) + static_cast<std::size_t>(Layers) * layer;
  }
  /// Floating-point operations of forward in products.
  static constexpr double operations(Index batch, Index height, Index width, bool adapted = true) {
    const Index pixels = batch * (height / 2) * (width / 2);
    const std::array<Index, 2> grid{height / token_pixels, width / token_pixels};
    const Index cells = batch * grid[0] * grid[1];
    return Linear<time_width, W>::operations(batch) + Linear<InstructionWidth, W>::operations(batch) +
           static_cast<double>(Layers) *
               (In::operations(pixels, adapted) + TokenIn::operations(cells, adapted) + Out::operations(pixels, adapted) +
                TokenStream::operations(batch, grid, adapted) + PixelStream::operations(pixels, cells, adapted));
  }

  /// What the backbone is, and what a forward pass with adapters takes for `batch` pictures of height x width pixels.
  static std::string describe(Index batch = 1, Index height = 256, Index width = 256) {
    using text::grouped, text::counted;
    const std::vector<std::vector<std::string>> facts{
        {"layers", grouped(Layers)},
        {"tokens", "of " + grouped(token_pixels) + " × " + grouped(token_pixels) + " pixels: width " + grouped(W) + ", " +
                       counted(TokenStream::heads, "head") + " × " + grouped(HeadWidth) + ", hidden " +
                       grouped(token_hidden)},
        {"pixels", "at half resolution: width " + grouped(P) + ", hidden " + grouped(pixel_hidden)},
        {"adapters", counted(static_cast<Index>(Shape::module_count), "module") + " in a layer, rank " + grouped(Rank) +
                         ": " + counted(Tokens::adapter_values, "value") + " for a request"}};
    return "EditTransformer: x_t and source " + text::shape<dyn, dyn, dyn, 3>() + ", instruction " +
           text::shape<dyn, InstructionWidth>() + " → edit " + text::shape<dyn, dyn, dyn, 3>() + text::table(facts, 2) +
           "\n" + text::weights<EditTransformer>() + text::parts<EditTransformer>() + "\n" +
           text::forward(
               "batch " + grouped(batch) + ", " + grouped(height) + " × " + grouped(width) + " pixels, with adapters",
               saved_bytes<float>(batch, height, width), operations(batch, height, width));
  }

  /// Normal with variance 1 / fan_in, but: the modulation and what writes to the output start near zero (the edit starts as
  /// "leave it alone"), and each channel's filter starts as a point near the middle of its window.
  template <class T>
  static void initialise(Parameters<T> p, std::uint64_t seed) {
    wu::initialise(p, seed, "edit transformer");
    for (std::size_t l = 0; l < p.layers.size(); ++l) {
      auto& layer = p.layers[l];
      const auto at = [l](const char* part) { return message("edit transformer.layers.", l, part); };
      fill(layer.tokens.modulation.weight, 0);
      for (Index k = 0; k < W; ++k)
        layer.tokens.modulation.bias[2 * W + k] = layer.tokens.modulation.bias[5 * W + k] = T(0.3f);
      fill_normal(layer.pixels.steer.weight, seed, at(".token.out"), 0.02);
      fill_normal(layer.pixels.down.weight, seed, at(".pixel.down"), 0.3 / std::sqrt(static_cast<double>(pixel_hidden)));
      fill_normal(layer.pixel_out.weight, seed, at(".pixel.out"), 0.1 / std::sqrt(static_cast<double>(P * Layers)));
      fill_normal(layer.pixel_in.weight, seed, at(".pixel.in"), 1 / std::sqrt(static_cast<double>(inputs * Layers)));
      fill_normal(layer.pixels.filters, seed, at(".filters"), 0.05);
      Random random(seed, at(".points"));
      for (Index c = 0; c < P; ++c) {
        const Index row = 1 + random.below(3), column = 1 + random.below(3);
        layer.pixels.filters[(row * 5 + column) * P + c] += T(0.8f);
      }
    }
  }

  /// edit (b, H, W, 3) for pictures x_t and source at times t, with the instruction's features (b, InstructionWidth).
  /// Throws ShapeError on pictures of different size or not in multiples of 8 pixels; NonFiniteError on a NaN in an adapter, on a GPU
  /// at the context's next call that waits.
  template <class T, class Keep = SaveBlocks>
  static Saved<T, Keep> forward(auto& ctx, Workspace& ws, View<T, dyn, dyn, dyn, 3> edit,
                                View<const T, dyn, dyn, dyn, 3> x_t, View<const T, dyn, dyn, dyn, 3> source,
                                std::span<const double> t, View<const T, dyn, InstructionWidth> instruction,
                                const Parameters<const T>& p, const Adapters<T>& adapters) {
    const Index b = x_t.extent(0), H = x_t.extent(1) / 2, V = x_t.extent(2) / 2;
    if (x_t.dynamic != source.dynamic || x_t.dynamic != edit.dynamic || x_t.extent(1) % token_pixels ||
        x_t.extent(2) % token_pixels || b < 1 || static_cast<Index>(t.size()) != b || instruction.rows() != b)
      throw ShapeError(
          message("edit transformer: expected equal pictures in multiples of 8 pixels, with one time and one instruction "
                  "each; found edit ",
                  edit.extent(0), " x ", edit.extent(1), " x ", edit.extent(2), ", x_t ", b, " x ", x_t.extent(1), " x ",
                  x_t.extent(2), ", source ", source.extent(0), " x ", source.extent(1), " x ", source.extent(2), ", ",
                  t.size(), " times, ", instruction.rows(), " instructions"));
    backbone::check(ctx, adapters, b);
    Saved<T, Keep> s;
    s.instruction = instruction;
    s.e = ws.take<T, dyn, dyn, dyn, inputs>(b, H, V);
    patches_forward(ctx, columns<0, outputs>(s.e), x_t);  // side by side in channels
    patches_forward(ctx, columns<outputs, outputs>(s.e), source);
    s.waves = ws.take<T, dyn, time_width>(b);
    time_embedding_forward(ctx, s.waves, t);
    s.sum = ws.take<T, dyn, W>(b), s.c = ws.take<T, dyn, W>(b);
    const auto part = ws.take<T, dyn, W>(b);
    linear_forward(ctx, s.sum, as_const(s.waves), p.time.weight, p.time.bias);
    linear_forward(ctx, part, instruction, p.instruction.weight, p.instruction.bias);
    add(ctx, s.sum, as_const(part));
    silu_forward(ctx, s.c, as_const(s.sum));

    const Index gh = H / coarse, gv = V / coarse;
    auto tokens = ws.take<T, dyn, dyn, dyn, W>(b, gh, gv);
    zero(ctx, tokens.flat());
    const auto out = ws.take<T, dyn, dyn, dyn, outputs>(b, H, V), piece = ws.take<T, dyn, dyn, dyn, outputs>(b, H, V);
    View<T, dyn, dyn, dyn, P> before;
    for (Index l = 0; l < Layers; ++l) {
      const auto& q = p.layers[static_cast<std::size_t>(l)];
      auto& z = s.layers[static_cast<std::size_t>(l)];
      z.x = ws.take<T, dyn, dyn, dyn, P>(b, H, V);
      z.xa_in = In::template forward<T>(ctx, ws, z.x.flat(), as_const(s.e).flat(), q.pixel_in,
                                        adapters.template of<"pixel.in">(l), adapters.which, adapters.scale);
      if (l > 0) add(ctx, z.x.flat(), as_const(before).flat());
      z.pooled = ws.take<T, dyn, dyn, dyn, P>(b, gh, gv);
      pool_forward(ctx, z.pooled, as_const(z.x));
      const auto fed = ws.take<T, dyn, dyn, dyn, W>(b, gh, gv), next = ws.take<T, dyn, dyn, dyn, W>(b, gh, gv);
      z.xa_token_in = TokenIn::template forward<T>(ctx, ws, fed.flat(), as_const(z.pooled).flat(), q.token_in,
                                                   adapters.template of<"token.in">(l), adapters.which, adapters.scale);
      add(ctx, fed.flat(), as_const(tokens).flat());
      z.tokens = Keep::template of<TokenStream>::template forward<T>(ctx, ws, next.flat(), as_const(fed).flat(), s.c,
                                                                     q.tokens, adapters, l, std::array{gh, gv});
      z.y = ws.take<T, dyn, dyn, dyn, P>(b, H, V);
      z.pixels = Keep::template of<PixelStream>::template forward<T>(ctx, ws, z.y, z.x, next, q.pixels, adapters, l);
      const auto into = l == 0 ? out : piece;
      z.xa_out = Out::template forward<T>(ctx, ws, into.flat(), as_const(z.y).flat(), q.pixel_out,
                                          adapters.template of<"pixel.out">(l), adapters.which, adapters.scale);
      if (l > 0) add(ctx, out.flat(), as_const(piece).flat());
      tokens = next, before = z.y;
    }
    patches_backward(ctx, edit, as_const(out).flat());
    return s;
  }

  /// Gradients of the adapters (added; null: not wanted), of the backbone's own weights (added; null views: frozen) and of the
  /// instruction's features (overwritten; null: not wanted) from that of the edit.
  template <class T, class Keep>
  static void backward(auto& ctx, Workspace& ws, typename Tokens::template Tokens<T> dadapters /* += */,
                       const Parameters<accumulator_t<T>>& dp /* += */, View<T, dyn, InstructionWidth> dinstruction /* = */,
                       View<const T, dyn, dyn, dyn, 3> dedit, const Saved<T, Keep>& s, const Parameters<const T>& p,
                       const Adapters<T>& adapters) {
    const Workspace::Scope scope(ws);
    const Index b = s.e.extent(0), H = s.e.extent(1), V = s.e.extent(2), gh = H / coarse, gv = V / coarse;
    if (dadapters.data && adapters.tokens.data && dadapters.extent(0) != adapters.tokens.extent(0))
      throw ShapeError(message("edit transformer: expected gradients of ", adapters.tokens.extent(0),
                               " requests' adapters, found ", dadapters.extent(0)));
    const bool training_self = dp.time.weight.data != nullptr;
    using A = Adapters<T>;
    const auto dout = ws.take<T, dyn, dyn, dyn, outputs>(b, H, V);
    patches_forward(ctx, dout.flat(), dedit);
    const auto dx = ws.take<T, dyn, dyn, dyn, P>(b, H, V), part = ws.take<T, dyn, dyn, dyn, P>(b, H, V);
    const auto dtokens = ws.take<T, dyn, dyn, dyn, W>(b, gh, gv);
    const auto dpooled = ws.take<T, dyn, dyn, dyn, P>(b, gh, gv);
    const auto dc = training_self || dinstruction.data ? ws.take<T, dyn, W>(b) : View<T, dyn, W>();
    zero(ctx, dx.flat()), zero(ctx, dtokens.flat());
    if (dc.data) zero(ctx, dc);
    for (Index l = Layers; l-- > 0;) {
      const auto& q = p.layers[static_cast<std::size_t>(l)];
      const auto& dq = dp.layers[static_cast<std::size_t>(l)];
      const auto& z = s.layers[static_cast<std::size_t>(l)];
      Out::template backward<T>(ctx, ws, part.flat(), dq.pixel_out, A::template gradient<"pixel.out">(dadapters, l),
                                as_const(dout).flat(), as_const(z.y).flat(), z.xa_out, q.pixel_out,
                                adapters.template of<"pixel.out">(l), adapters.which, adapters.scale);
      add(ctx, dx.flat(), as_const(part).flat());
      Keep::template of<PixelStream>::template backward<T>(ctx, ws, dx, dtokens, dq.pixels, dadapters, z.pixels, q.pixels,
                                                           adapters, l);
      Keep::template of<TokenStream>::template backward<T>(ctx, ws, dtokens.flat(), dc, dq.tokens, dadapters, z.tokens,
                                                           q.tokens, adapters, l, std::array{gh, gv});
      TokenIn::template backward<T>(ctx, ws, dpooled.flat(), dq.token_in, A::template gradient<"token.in">(dadapters, l),
                                    as_const(dtokens).flat(), as_const(z.pooled).flat(), z.xa_token_in, q.token_in,
                                    adapters.template of<"token.in">(l), adapters.which, adapters.scale);
      pool_backward(ctx, part, as_const(dpooled));
      add(ctx, dx.flat(), as_const(part).flat());
      In::template backward<T>(ctx, ws, View<T, dyn, inputs>(), dq.pixel_in, A::template gradient<"pixel.in">(dadapters, l),
                               as_const(dx).flat(), as_const(s.e).flat(), z.xa_in, q.pixel_in,
                               adapters.template of<"pixel.in">(l), adapters.which, adapters.scale);
    }
    if (!dc.data) return;
    const auto dsum = ws.take<T, dyn, W>(b);
    silu_backward(ctx, dsum, as_const(dc), as_const(s.sum));
    linear_backward(ctx, View<T, dyn, time_width>(), dp.time.weight, dp.time.bias, as_const(dsum), as_const(s.waves),
                    p.time.weight);
    linear_backward(ctx, dinstruction, dp.instruction.weight, dp.instruction.bias, as_const(dsum), s.instruction,
                    p.instruction.weight);
  }
};

}  // namespace wu::backbone

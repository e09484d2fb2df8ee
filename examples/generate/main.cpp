// wu-generate: from a published generator and a condition to a model's low-rank adapters in files. Compiled for one shape:
// WU_GENERATE_HEADER and WU_GENERATE_SHAPE name the header and the struct that state it (wu/generator/shapes.hpp shows one).
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include WU_GENERATE_HEADER

#include "command_line.hpp"
#include "files.hpp"
#include "progress.hpp"
#include "wu/core/text.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/stream.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/generated.hpp"
#include "wu/io/generator_config.hpp"
#include "wu/io/mapped_parameters.hpp"
#include "wu/io/safetensors.hpp"

namespace {

using namespace wu;
using Shape = WU_GENERATE_SHAPE;
using Network = Shape::Generator;
using generate::Options;

/// The shape's tokens in another layout. Their number is the same where the token width divides every adapted width.
template <Layout L>
using TokensIn = typename Tokenizer<Network::r, Network::d, L>::template of<Shape::Layers>;
constexpr bool has_rank_anchored = Shape::Layers::gcd_width % Network::d == 0;

constexpr io::GeneratorVariant variant =
    Shape::Tokens::layout == Layout::flat ? io::GeneratorVariant::released : io::GeneratorVariant::paper;

io::GeneratorConfig read_config(const std::string& checkpoint) {
  const std::string path = checkpoint + "/config.json";
  io::ReadGeneratorConfig read = io::read_generator_config(path, variant);
  for (const std::string& text : read.notes) generate::note(text);
  io::check_config<Network>(read.config, path);
  return std::move(read.config);
}

/// The adapters of one request, as `layout` says.
template <class T>
io::Adapters<T> adapters_in(generate::Layout layout, Network::Tokens::Tokens<const T> tokens, Index sample,
                            const io::GeneratorConfig& config) {
  if (layout == generate::Layout::of_the_shape)
    return io::adapters_of<Network::Tokens, T>(tokens, sample, config.prefix, config.alpha);
  if constexpr (has_rank_anchored)
    if (layout == generate::Layout::rank_anchored)
      return io::adapters_of<TokensIn<Layout::rank_anchored>, T>(tokens, sample, config.prefix, config.alpha);
  return io::adapters_of<TokensIn<Layout::flat>, T>(tokens, sample, config.prefix, config.alpha);
}

template <class T>
void generate_as(const Options& options, const io::GeneratorConfig& config, io::Checkpoint checkpoint,
                 const generate::Condition& read) {
  const Index b = read.batch(), L = read.length();
  const std::vector<T> condition = read.values<T>();
  const auto weights = io::map_parameters<Network::Parameters<const T>>(std::move(checkpoint));
  const std::vector<std::string> outputs = generate::outputs(options, b);
  generate::check_writable(options, outputs);

  std::vector<T> tokens(static_cast<std::size_t>(b * Network::Tokens::values));
  {
    cpu::Context ctx({.threads = options.threads});
    Workspace ws(stream_plan<Network, T>(b, L).workspace() +
                 cpu::stream_scratch<Network, T>(L, ctx.threads()).attention);  // all that it takes, at once
    examples::Progress progress("generating", examples::FirstLine::later);
    generate_tokens<Network, T>(ctx, ws, Network::Tokens::Tokens<T>(tokens.data(), b),
                                View<const T, dyn, dyn, Network::input>(condition.data(), b, L), weights.view(),
                                [&](double done) { progress.show(done); });
  }
  generate::check_finite(tokens);

  if (!options.tokens.empty())
    io::save_safetensors(options.tokens,
                         {io::tensor_to_save("tokens", {b, Network::n, Network::h, Network::r, Network::d}, tokens)});
  for (Index s = 0; s < b; ++s) {
    const std::string& path = outputs[static_cast<std::size_t>(s)];
    generate::save(path, options.format, adapters_in<T>(options.layout, {tokens.data(), b}, s, config), config);
    std::printf("%s\n", path.c_str());
  }
}

/// What a run takes, from the types and the number of threads alone: a column for each type.
void print_plan(Index batch, Index length, const Options& options) {
  const int threads = cpu::Context({.threads = options.threads}).threads();
  std::vector<std::vector<std::string>> rows{{""},
                                             {"weights, read where they lie in the checkpoint"},
                                             {"tokens of the batch"},
                                             {"activations between blocks"},
                                             {"the largest slab of work, with what it needs beside it"},
                                             {"workspace: activations and slab"},
                                             {message("scratch of ", threads, threads == 1 ? " thread" : " threads")},
                                             {"floating-point operations in products"}};
  const auto column = [&](const char* name, const StreamPlan& plan, const cpu::StreamScratch& scratch) {
    const std::vector<std::string> cells{name,
                                         text::bytes(plan.weights),
                                         text::bytes(plan.tokens),
                                         text::bytes(plan.activations),
                                         text::bytes(plan.slabs),
                                         text::bytes(plan.workspace()),
                                         text::bytes(scratch.attention + scratch.linear),
                                         text::operations(plan.operations)};
    for (std::size_t k = 0; k < rows.size(); ++k) rows[k].push_back(cells[k]);
  };
  if (options.type != generate::Type::float32)
    column("bfloat16", stream_plan<Network, bfloat16>(batch, length),
           cpu::stream_scratch<Network, bfloat16>(length, threads));
  if (options.type != generate::Type::bfloat16)
    column("float32", stream_plan<Network, float>(batch, length), cpu::stream_scratch<Network, float>(length, threads));
  std::printf("%s parameters; batch %s, condition length %s: %s values in the tokens%s\n",
              text::grouped(Network::parameter_count).c_str(), text::grouped(batch).c_str(), text::grouped(length).c_str(),
              text::grouped(batch * Network::Tokens::values).c_str(), text::table(rows, 1).c_str());
}

int run(const Options& options) {
  if (options.layout == generate::Layout::rank_anchored && !has_rank_anchored)
    throw Error(message("--layout rank-anchored: expected a token width that divides every adapted width, so a divisor of ",
                        Shape::Layers::gcd_width, ", found ", Network::d, "; --layout flat fits every width"));
  if (options.plan) {
    Index batch = 1, length = 1024;
    if (!options.condition.empty()) {
      const generate::Condition condition(options.condition, Network::input);
      batch = condition.batch(), length = condition.length();
    }
    print_plan(batch, length, options);
    return 0;
  }
  const io::GeneratorConfig config = read_config(options.checkpoint);
  const generate::Condition condition(options.condition, Network::input);
  io::Checkpoint checkpoint = io::Checkpoint::open(options.checkpoint);
  if (generate::type_for(options, checkpoint) == generate::Type::bfloat16)
    generate_as<bfloat16>(options, config, std::move(checkpoint), condition);
  else generate_as<float>(options, config, std::move(checkpoint), condition);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string shape = message("a generator of ", text::grouped(Network::parameter_count), " parameters, ", Network::h,
                                    " tokens of ", Network::r, " x ", Network::d, " for each of ", Network::n, " layers");
  return generate::main(argc, argv, shape, run);
}

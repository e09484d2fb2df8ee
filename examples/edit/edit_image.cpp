// One picture edited as an instruction says.
#include <iostream>

#include "edit/checkpoint.hpp"
#include "edit/commands.hpp"
#include "edit/folder.hpp"
#include "edit/network.hpp"
#include "edit/progress.hpp"

namespace edit {

int edit_image(const EditOptions& options, Network& network) {
  // What can go wrong early goes wrong first: the words, the picture, the name of the result, the model.
  Request request;
  const Image source = load_image(options.image);
  describe_request(request, source, options.instruction);
  const std::string extension = lower_extension(options.out);
  if (extension != ".png" && extension != ".jpg" && extension != ".jpeg")
    throw wu::FileError(wu::message(options.out.string(), ": expected a name that ends in .png, .jpg or .jpeg"));
  FrozenWeights frozen;
  const Facts backbone = load_weights(options.model / "backbone.safetensors", frozen);
  wu::Buffer<float> adapters;
  if (!options.base) {
    MemoryWeights memory;
    load_memory(options.model / "generator.safetensors", memory, frozen);
    adapters = network.generate(memory.in(network.memory()), {request});
  }
  Progress progress("tiles");
  Network::SampleOptions how;
  how.path = backbone.contains("path") && backbone.at("path") == "flow" ? Path::flow : Path::bridge;
  how.steps = how.path == Path::flow ? 6 : 1;
  how.seed = options.seed;
  how.progress = [&](double done) { progress.show(static_cast<long>(done * 100), 100, "percent"); };
  const Image result = network.sample(frozen.in(network.memory()), adapters.span(), request.pieces, source, how);
  save_image(options.out, result);
  std::cout << options.out.string() << ": " << result.width << " x " << result.height << " pixels, " << progress.seconds()
            << " s\n";
  return 0;
}

}  // namespace edit

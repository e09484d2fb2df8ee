// Benchmarks of a generator of your own, and of any module's parameters on their way to a file and back: one line each.
//     WU_BENCHMARK_GENERATOR(MyGenerator, /*condition length*/ 128);
//     WU_BENCHMARK_FILE(MyGenerator);
#pragma once

#include <unistd.h>  // getpid

#include <filesystem>

#include "wu/benchmark/measure.hpp"
#include "wu/cpu/cpu.hpp"
#include "wu/generator/generator.hpp"
#include "wu/io/parameters.hpp"

namespace wu::bench {

/// Counts as Generator::operations() does: linear layers, self attentions and the cross attention of every block.
template <class Model>
constexpr Products generator_products(Index batch, Index condition_length) {
  const auto o = Model::operations(batch, condition_length);
  return {{}, {o.linear}, {o.self_attention + o.cross_attention}};
}

/// One condition. Backward gives the gradients of every weight and of the condition.
template <class T, class Model>
void add_generator(const std::string& name, Index condition_length) {
  const std::string shape = join("generator/", name, "/condition:", condition_length);
  const Products work = generator_products<Model>(1, condition_length);
  using Condition = View<const T, dyn, dyn, Model::input>;
  using Tokens = typename Model::Tokens::template Tokens<T>;
  add<T>(shape, "forward", work.forward(), [=](Fixture& f) {
    const Tokens tokens(f.output<T, dyn, 1>(Model::Tokens::values).data, 1);
    const Condition u = f.input<T, dyn, dyn, Model::input>(1, condition_length);
    const auto& p = f.weights<Model, T>();
    return [=, &f, &p] { Model::template forward<T>(f.ctx, f.ws, tokens, u, p.frozen()); };
  });
  add<T>(shape, "backward", work.backward(), [=](Fixture& f) {
    const Tokens tokens(f.output<T, dyn, 1>(Model::Tokens::values).data, 1);
    const Tokens dtokens(f.output<T, dyn, 1>(Model::Tokens::values).data, 1);
    const Condition u = f.input<T, dyn, dyn, Model::input>(1, condition_length);
    const auto du = f.output<T, dyn, dyn, Model::input>(1, condition_length);
    const auto& p = f.weights<Model, T>();
    const auto dp = f.weights<Model, accumulator_t<T>>().view();
    const auto saved =
        std::make_shared<typename Model::template Saved<T>>(Model::template forward<T>(f.ctx, f.ws, tokens, u, p.frozen()));
    return [=, &f, &p] { Model::template backward<T>(f.ctx, f.ws, du, dp, dtokens, *saved, p.frozen()); };
  });
}

/// A file in the system's folder for temporary ones, which goes when this does.
struct TemporaryFile {
  std::filesystem::path path;
  TemporaryFile() : path(std::filesystem::temp_directory_path() / join("wu-benchmark-", getpid(), ".safetensors")) {}
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
};

/// A module's parameters to a safetensors file and back.      every value read once, written once: 2 values of T for each
template <class T, class Module>
void add_file(const std::string& name) {
  const std::string shape = join("file/", name);
  const Work work = moved<T>(2 * Weights<Module, T>::count);
  add<T>(shape, "save", work, [](Fixture& f) {
    const auto& p = f.weights<Module, T>();
    const auto file = std::make_shared<TemporaryFile>();
    return [file, &p] { io::save_safetensors(file->path.string(), io::to_tensors(p.view())); };
  });
  add<T>(shape, "load", work, [](Fixture& f) {
    auto& p = f.weights<Module, T>();
    const auto file = std::make_shared<TemporaryFile>();
    io::save_safetensors(file->path.string(), io::to_tensors(p.frozen()));
    return [file, &p] { io::load_parameters(io::SafeTensors::open(file->path.string()), p.view()); };
  });
}

}  // namespace wu::bench

#define WU_BENCHMARK_GENERATOR(Model, condition_length) \
  WU_BENCHMARK(wu::bench::add_generator<float, Model>(#Model, condition_length))
#define WU_BENCHMARK_FILE(Module) WU_BENCHMARK(wu::bench::add_file<float, Module>(#Module))

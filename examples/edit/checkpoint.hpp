// Files of the demonstration: weights with what is needed to use them, and checkpoints with all that is needed to go on. Each
// is written beside the old one and renamed over it: a save that is cut short leaves the old file readable.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>

#include "edit/network.hpp"
#include "edit/numbers.hpp"
#include "wu/io/parameters.hpp"
#include "wu/train/training.hpp"

namespace edit {

using Facts = std::map<std::string, std::string>;

/// The entry `key` of a file's metadata. Throws wu::FileError that names both if it is missing.
inline std::string fact(const std::filesystem::path& file, const Facts& facts, const std::string& key) {
  const auto found = facts.find(key);
  if (found == facts.end())
    throw wu::FileError(wu::message(file.string(), ": expected the metadata entry '", key,
                                    "', found none; was this file written by wu-edit?"));
  return found->second;
}

/// The same as a number.
template <class T>
T number(const std::filesystem::path& file, const Facts& facts, const std::string& key, T at_least = 0) {
  const std::string text = fact(file, facts, key);
  const auto value = parse_number<T>(text);
  if (value && *value >= at_least) return *value;
  throw wu::FileError(wu::message(file.string(), ": expected a number of at least ", at_least, " in the metadata entry '",
                                  key, "', found '", text, "'"));
}

template <class Module>
void save_weights(const std::filesystem::path& path, wu::Weights<Module, float>& weights, const Facts& facts) {
  auto p = weights.view();
  wu::io::save_safetensors(path.string(), wu::io::to_tensors(p), {facts.begin(), facts.end()});
}

/// Returns the file's metadata.
template <class Module>
Facts load_weights(const std::filesystem::path& path, wu::Weights<Module, float>& weights) {
  const auto file = wu::io::SafeTensors::open(path.string());
  auto p = weights.view();
  wu::io::load_parameters(file, p);
  return {file.metadata().begin(), file.metadata().end()};
}

/// The memory that was trained on `frozen`; on another backbone its adapters would mean nothing. Returns the file's metadata.
inline Facts load_memory(const std::filesystem::path& path, MemoryWeights& memory, const FrozenWeights& frozen) {
  Facts facts = load_weights(path, memory);
  if (facts["backbone hash"] != std::to_string(hash(frozen)))
    throw wu::FileError(wu::message(path.string(), ": was trained on another backbone than the one beside it"));
  return facts;
}

/// Weights, both moments, the average if there is one, the number of steps done, and the run's facts.
template <class Module>
void save_checkpoint(const std::filesystem::path& path, wu::train::Training<Module, float>& run, Facts facts) {
  facts["steps done"] = std::to_string(run.step);
  std::vector<wu::io::TensorToSave> tensors;
  run.visit([&](const std::string& what, auto& weights) {
    for (auto& tensor : wu::io::to_tensors(weights.view(), what + ".")) tensors.push_back(std::move(tensor));
  });
  wu::io::save_safetensors(path.string(), std::move(tensors), {facts.begin(), facts.end()});
}

template <class Module>
Facts load_checkpoint(const std::filesystem::path& path, wu::train::Training<Module, float>& run) {
  const auto file = wu::io::SafeTensors::open(path.string());
  wu::train::Training<Module, float> loaded;
  if (std::ranges::any_of(file.names(), [](const std::string& name) { return name.starts_with("average."); }))
    loaded.average.emplace();
  std::vector<std::string> prefixes;
  loaded.visit([&](const std::string& what, auto& weights) {
    prefixes.push_back(what + ".");
    wu::io::load_parameters(file, weights.view(), prefixes.back());
  });
  for (const std::string& name : file.names())
    if (std::ranges::none_of(prefixes, [&](const std::string& prefix) { return name.starts_with(prefix); }))
      throw wu::FileError(wu::message(file.file(), ": expected the tensors of a checkpoint, found '", name, "' too"));
  const Facts facts{file.metadata().begin(), file.metadata().end()};
  loaded.step = number<wu::Index>(path, facts, "steps done");
  run = std::move(loaded);
  return facts;
}

/// For a run that begins anew: the checkpoint of one that was stopped, if there is any, is renamed and not written over.
inline void put_aside(const std::filesystem::path& checkpoint) {
  if (!std::filesystem::exists(checkpoint)) return;
  const std::filesystem::path aside = checkpoint.string() + ".old";
  std::filesystem::rename(checkpoint, aside);
  std::cerr << "a training that was stopped is kept in " << aside.string()
            << "; rename it back and use --resume to go on with it\n";
}

/// Says that a run ended before its last step and how to go on. `why`: empty if somebody asked for it. Returns the exit code.
inline int stopped_early(const std::string& why, wu::Index step, wu::Index steps, const std::filesystem::path& checkpoint) {
  std::cerr << "wu-edit: " << (why.empty() ? "stopped" : why) << "; the weights after step " << step << " of " << steps
            << " are kept in " << checkpoint.string() << "; the same command with --resume goes on from there\n";
  return why.empty() ? 130 : 1;
}

}  // namespace edit

// What is done with the bytes of a hostile file. A wu::Error is an answer; anything else that is thrown, and all that a sanitizer
// reports, is a mistake of the library's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "wu/core/dtype.hpp"
#include "wu/core/error.hpp"
#include "wu/io/checkpoint.hpp"
#include "wu/io/generator_config.hpp"
#include "wu/io/json.hpp"
#include "wu/io/load_adapters.hpp"
#include "wu/io/safetensors.hpp"

namespace wu::fuzz {

inline void expect(bool so, const char* what) {
  if (!so) throw std::logic_error(what);
}

/// Whether text does nothing to a terminal.
inline bool is_harmless(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  return io::first_ill_formed(text) == text.size();
}

/// f(), or a refusal in words that can be printed.
template <class F>
void answer(F&& f) {
  try {
    f();
  } catch (const Error& error) { expect(is_harmless(error.what()), "a message that is not safe to print"); }
}

// ---- safetensors ----------------------------------------------------------------------------------------------------

template <class T>
void read_as(const io::StoredTensor& tensor) {
  answer([&] {
    std::vector<T> values(static_cast<std::size_t>(tensor.count()));
    io::read_into(tensor, values);
  });
}

/// Opens the bytes as a file. What is accepted keeps the rules, can be read to the last value, and can be written down again.
inline void read_file(std::string_view bytes) {
  answer([&] {
    const auto file = io::SafeTensors::from_bytes(std::as_bytes(std::span(bytes)), "x.safetensors");
    std::size_t total = 8;
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), 8);
    total += header_size;
    std::vector<io::HeaderEntry> entries;
    for (const io::StoredTensor& tensor : file.tensors()) {
      expect(io::byte_count(tensor.dtype, tensor.shape) == tensor.bytes.size(), "bytes that are not those of the shape");
      expect(tensor.bytes.empty() || reinterpret_cast<const char*>(tensor.bytes.data()) == bytes.data() + total, "a hole");
      expect(file.find(tensor.name) == &tensor, "a name that is not found, or twice");
      expect(is_harmless(io::printable(tensor.name)), "a name that is not safe to print");
      const std::uint64_t begin = total - 8 - header_size;
      entries.push_back({tensor.name, tensor.dtype, tensor.shape, begin, begin + tensor.bytes.size()});
      total += tensor.bytes.size();
      read_as<double>(tensor);
      read_as<float>(tensor);
      read_as<bfloat16>(tensor);
      read_as<std::int16_t>(tensor);
    }
    expect(total == bytes.size(), "bytes that belong to nothing");
    const std::string again = io::format_header(entries, file.metadata());
    const io::Header header = io::parse_header(again, total - 8 - header_size, "again");
    expect(header.metadata == file.metadata() && header.entries.size() == entries.size(), "another header when read again");
  });
}

/// Opens the bytes as adapters, with every rule and with fewer. What is accepted fits together.
inline void read_adapters(std::string_view bytes) {
  for (const bool strict : {true, false})
    answer([&] {
      const auto loaded = io::read_adapters<float>(std::as_bytes(std::span(bytes)), "x.safetensors",
                                                   {.allow_non_finite = !strict, .allow_unused = !strict});
      io::check_adapters(loaded.adapters);
      for (const std::string& note : loaded.notes) expect(is_harmless(note), "a note that is not safe to print");
    });
}

/// The bytes as they are; and with the length of the header put right, for nobody would guess it: up to the last brace.
inline void safetensors(std::string_view bytes) {
  read_file(bytes);
  read_adapters(bytes);
  if (bytes.size() < 8) return;
  const std::size_t brace = bytes.substr(8).rfind('}');
  if (brace == std::string_view::npos) return;
  std::string whole(bytes);
  const std::uint64_t length = brace + 1;
  std::memcpy(whole.data(), &length, 8);
  read_file(whole);
  read_adapters(whole);
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

inline std::string text_of(const io::Json& json) {
  std::string text;
  switch (json.kind) {
    case io::Json::Kind::null: return "null";
    case io::Json::Kind::boolean: return json.boolean ? "true" : "false";
    case io::Json::Kind::number: return json.text;
    case io::Json::Kind::string: return io::json_string(json.text);
    case io::Json::Kind::array:
      for (const io::Json& element : json.elements) text += (text.empty() ? "" : ",") + text_of(element);
      return "[" + text + "]";
    case io::Json::Kind::object:
      for (const io::JsonMember& member : json.members)
        text += (text.empty() ? "" : ",") + io::json_string(member.name) + ":" + text_of(member.value);
      return "{" + text + "}";
  }
  return text;
}

/// Any JSON text, also as the index of a checkpoint. What is accepted means the same when it is written down again.
inline void json(std::string_view text) {
  answer([&] {
    const io::Json tree = io::parse_json(text, "x.json");
    const std::string again = text_of(tree);
    expect(text_of(io::parse_json(again, "again")) == again, "another value when read again");
    expect(is_harmless(tree.describe()), "a description that is not safe to print");
    if (const auto whole = tree.whole()) expect(std::to_string(*whole) == tree.text || tree.text == "-0", "another number");
  });
  answer([&] {
    const io::ShardIndex index = io::parse_shard_index(text, "x.safetensors.index.json");
    for (const auto& place : index.places) expect(place.file < index.files.size(), "a tensor of no file");
    for (const std::string& file : index.files)
      expect(file.find_first_of(std::string_view("/\\:\0", 4)) == file.npos && file.ends_with(".safetensors"),
             "a file that is not in the folder");
  });
}

// ---- a generator's configuration --------------------------------------------------------------------------------------

/// A config.json, for both variants. What is accepted has sizes that fit together and names that can stand in a C++ program.
inline void config(std::string_view text) {
  for (const auto variant : {io::GeneratorVariant::released, io::GeneratorVariant::paper})
    answer([&] {
      const auto [c, sizes, notes] = io::parse_generator_config(text, "config.json", variant);
      for (const std::string& note : notes) expect(is_harmless(note), "a note that is not safe to print");
      expect(c.token_dim == c.output_dim && c.rank % c.dim_accumulation == 0 && c.d_model % c.dim_accumulation == 0,
             "sizes at odds");
      expect(c.d_model % c.head_dim == 0 && c.head_dim % 4 == 0 && c.alpha > 0, "a head width or alpha that is none");
      expect(sizes.tokens_A > 0 && sizes.tokens_B > 0 && sizes.values > 0 && sizes.parameters > 0, "counts that overflowed");
      expect(sizes.values / c.num_base_model_layers / c.rank / c.token_dim == sizes.tokens_A + sizes.tokens_B,
             "another count of tokens");
      const auto plain = [](std::string_view name) {
        for (const char letter : name) expect(io::printable({&letter, 1}).size() == 3 && letter > ' ', "a letter to escape");
      };
      plain(c.prefix);
      std::size_t modules = 0;
      for (const io::GeneratorEntry& entry : c.pg_mapping) {
        plain(entry.name);
        expect(!entry.name.empty() && entry.experts > 0 && !entry.modules.empty(), "an entry of nothing");
        for (const io::GeneratorModule& module : entry.modules) {
          plain(module.name);
          expect(module.in % sizes.gcd_width == 0 && module.out % sizes.gcd_width == 0,
                 "a width that gcd_width does not divide");
          ++modules;
        }
      }
      expect(modules > 0 && modules <= static_cast<std::size_t>(io::generator_module_limit), "too many modules");
    });
}

}  // namespace wu::fuzz

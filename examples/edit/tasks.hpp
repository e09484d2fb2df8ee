// The six tasks of the demonstration, three opposing pairs. Each takes a clean photograph and makes a source and a target.
//   blur      source: the photograph            target: Gaussian blur of 1.5 pixels
//   deblur    source: the same blur             target: the photograph
//   age       source: the photograph            target: faded, warm, half its colour gone, a little soft: always the same way
//   restore   source: a damaged print           target: the photograph. How far a print has faded and which cast it has taken
//                                                       differ from picture to picture; stains, scratches and noise lie on top
//   darken    source: the photograph            target: about two and a half times darker
//   brighten  source: the same darkening        target: the photograph
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "edit/filters.hpp"

namespace edit {

enum class Task { blur, deblur, age, restore, darken, brighten };
inline constexpr std::array<Task, 6> tasks{Task::blur, Task::deblur, Task::age, Task::restore, Task::darken, Task::brighten};
std::string_view name(Task task);

struct Pair {
  Image source, target;
};

/// Both rounded to 8 bits, as files would hold them. Only restore draws random numbers.
Pair make_pair(Task task, const Image& photograph, wu::Random& random);

/// What to say for a task: `english` and `chinese` phrasings; the last two of each are held out of training.
struct Phrasings {
  std::vector<std::string_view> english, chinese;
};
const Phrasings& phrasings(Task task);
inline constexpr std::size_t held_out_phrasings = 2;

/// A phrasing for training: any that is not held out, English two times out of three, its words for "picture" exchanged at
/// random ("photo", "image", ...) and sometimes said more politely, so that what names the task is what the phrases share.
std::string training_phrase(Task task, wu::Random& random);

/// A task for training. Restoring and deblurring are harder than the rest and come four times as often.
Task training_task(wu::Random& random);
/// The held-out phrasings, English ones first.
std::vector<std::string_view> held_out_phrases(Task task);

}  // namespace edit

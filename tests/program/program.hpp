// wu-edit as a user meets it: started with arguments, watched, interrupted, and judged by its exit code, by what it says and by
// the files that it leaves.
#pragma once

#include <sys/resource.h>  // RLIM_INFINITY
#include <sys/types.h>     // pid_t

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/scratch.hpp"
#include "wu/io/safetensors.hpp"

namespace fs = std::filesystem;

using Arguments = std::vector<std::string>;

/// The frozen backbone of the repository.
inline const fs::path backbone_file = WU_EDIT_BACKBONE;

// ---- running ----------------------------------------------------------------------------------------------------------

/// How a program ended. code: its exit code, or minus the number of the signal that ended it.
struct Ended {
  int code = 0;
  std::string out, err;
};

/// wu-edit while it runs. Nothing is to be read on its standard input.
class Program {
 public:
  /// Its files cannot grow beyond `largest_file` bytes: a disk that fills up.
  explicit Program(const Arguments& arguments, rlim_t largest_file = RLIM_INFINITY);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();  ///< kills it if it still runs

  /// Waits for `text` on the standard error stream; false when the program closes the stream first.
  bool says(std::string_view text);
  /// Ctrl-C.
  void interrupt() const;
  /// Waits for the end. Once only.
  Ended end();

 private:
  bool read_more();

  // Far beyond what any of these runs takes, on a slow machine and with sanitizers: only a program that hangs gets there.
  std::chrono::steady_clock::time_point last_moment_ = std::chrono::steady_clock::now() + std::chrono::minutes(10);
  pid_t child_ = -1;
  int out_ = -1, err_ = -1;
  Ended so_far_;
};

inline Ended wu_edit(const Arguments& arguments, rlim_t largest_file = RLIM_INFINITY) {
  return Program(arguments, largest_file).end();
}

// ---- judging ----------------------------------------------------------------------------------------------------------

/// The program refused before it began to work: nothing on the standard output, and on the error stream one line, which begins
/// with "wu-edit: " and holds all the parts.
void check_refused(const Ended& ended, std::initializer_list<std::string_view> parts, int code = 1);

/// The program gave up while it worked: the same, but lines about its progress may come before.
void check_gave_up(const Ended& ended, std::initializer_list<std::string_view> parts, int code = 1);

/// The program did what it was asked for, and no line of it is a complaint.
void check_done(const Ended& ended);

/// The bytes of every file below a folder, by its path from there; folders are in it with a slash at the end. Two of these
/// being equal says that nothing was changed, removed or left behind.
std::map<std::string, std::string> contents(const fs::path& folder);

std::string bytes_of(const fs::path& file);
void write(const fs::path& file, std::string_view bytes);

/// Both files hold the same tensors, to the last bit. Their metadata may differ.
void check_same_tensors(const fs::path& a, const fs::path& b);

/// Writes `to` as a copy of the safetensors file `from` after `change`.
void save_changed(const fs::path& from, const fs::path& to,
                  const std::function<void(std::vector<wu::io::TensorToSave>&, wu::io::Metadata&)>& change);
/// With one tensor's rows and columns exchanged, whose name comes back. `prefix` says how the name begins.
std::string save_of_another_shape(const fs::path& from, const fs::path& to, std::string_view prefix = "");
/// With one bit of one value flipped.
void save_with_another_value(const fs::path& from, const fs::path& to);

// ---- what all tests use and none changes --------------------------------------------------------------------------------

/// Pictures. Made once, when first asked for, like all that follows.
struct Pictures {
  Scratch scratch;
  fs::path photos = scratch / "photos";      ///< three, to train on two
  fs::path held_out = scratch / "held out";  ///< two others; the space is there because names of folders have some
  fs::path one = scratch / "one.png";        ///< of 40 x 40 pixels

  static const Pictures& get();

 private:
  Pictures();
};

/// A model after a training that nothing disturbed.
struct Trained {
  Scratch scratch;
  fs::path model = scratch / "model";
  Ended training;

  static const Trained& get();

 private:
  Trained();
};

/// A training that was ended by Ctrl-C, in a folder that held an older model.
struct Stopped {
  static constexpr std::string_view older_generator = "an older generator", older_backbone = "its backbone";
  Scratch scratch;
  fs::path model = scratch / "model";
  Ended training;

  static const Stopped& get();

 private:
  Stopped();
};

/// `wu-edit train` on these pictures, in `model`.
inline constexpr int training_steps = 8;
Arguments train_arguments(const fs::path& model);
/// The same with --resume and without the settings: a run that goes on has to find them in the checkpoint.
Arguments resume_arguments(const fs::path& model);
/// `wu-edit edit` of the one picture.
Arguments edit_arguments(const fs::path& out);
/// `wu-edit report` on the held-out pictures, as short as it can be.
Arguments report_arguments(const fs::path& out);

/// The arguments with another value for an option that is among them.
Arguments with(Arguments arguments, std::string_view option, const std::string& value);

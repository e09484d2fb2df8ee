#include "program.hpp"

#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <ios>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "edit/image.hpp"
#include "edit/synthetic.hpp"

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

constexpr std::string_view name = "wu-edit: ";

}  // namespace

// ---- running ----------------------------------------------------------------------------------------------------------

Program::Program(const Arguments& arguments, rlim_t largest_file) {
  // All that needs memory comes before fork: afterwards the child may only call what is safe in a signal handler.
  std::vector<std::string> texts{WU_EDIT};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  std::array<int, 2> out{}, err{};
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing < 0 || ::pipe(out.data()) != 0 || ::pipe(err.data()) != 0) fail("pipe");
  for (const int end : {nothing, out[0], out[1], err[0], err[1]}) ::fcntl(end, F_SETFD, FD_CLOEXEC);

  child_ = ::fork();
  if (child_ < 0) fail("fork");
  if (child_ == 0) {
    // A program in a terminal takes signals, whatever these tests were started with. Only the one about large files is
    // ignored, so that a write beyond the limit is an error, as on a full disk, and no end.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGXFSZ, SIG_IGN);
#ifdef __linux__
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // whoever stops the tests stops the program too
#endif
    const rlimit limit{largest_file, largest_file};
    const bool ready = ::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(out[1], STDOUT_FILENO) >= 0 &&
                       ::dup2(err[1], STDERR_FILENO) >= 0 &&
                       (largest_file == RLIM_INFINITY || ::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    if (ready) ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  for (const int mine : {nothing, out[1], err[1]}) ::close(mine);
  out_ = out[0];
  err_ = err[0];
}

Program::~Program() {
  for (const int open : {out_, err_})
    if (open >= 0) ::close(open);
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

// Some more of either stream; false when both are closed.
bool Program::read_more() {
  std::array<pollfd, 2> streams{pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
  if (out_ < 0 && err_ < 0) return false;
  using std::chrono::milliseconds;
  const auto left = std::chrono::duration_cast<milliseconds>(last_moment_ - std::chrono::steady_clock::now());
  const int ready = ::poll(streams.data(), streams.size(), std::max(static_cast<int>(left.count()), 0));
  if (ready < 0 && errno != EINTR) fail("poll");
  if (ready == 0) throw std::runtime_error("wu-edit does not come to an end; so far it said: " + so_far_.err);
  for (const pollfd& stream : streams) {
    if (ready < 0 || stream.fd < 0 || stream.revents == 0) continue;
    std::array<char, 4096> part{};
    const ssize_t n = ::read(stream.fd, part.data(), part.size());
    if (n < 0 && errno != EINTR) fail("read");
    if (n > 0) (stream.fd == out_ ? so_far_.out : so_far_.err).append(part.data(), static_cast<std::size_t>(n));
    if (n == 0) {
      ::close(stream.fd);
      (stream.fd == out_ ? out_ : err_) = -1;
    }
  }
  return true;
}

bool Program::says(std::string_view text) {
  while (so_far_.err.find(text) == std::string::npos)
    if (err_ < 0 || !read_more()) return false;
  return true;
}

void Program::interrupt() const { ::kill(child_, SIGINT); }

Ended Program::end() {
  while (read_more()) {}
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  child_ = -1;
  so_far_.code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return std::move(so_far_);
}

// ---- judging ----------------------------------------------------------------------------------------------------------

void check_gave_up(const Ended& ended, std::initializer_list<std::string_view> parts, int code) {
  BOOST_TEST_CONTEXT("it said: " << ended.err) {
    BOOST_TEST(ended.code == code);
    BOOST_TEST(ended.out == "");
    const auto lines = lines_of(ended.err);
    BOOST_TEST(std::count_if(lines.begin(), lines.end(), [](auto line) { return line.starts_with(name); }) == 1);
    BOOST_TEST_REQUIRE(!lines.empty());
    BOOST_TEST(lines.back().starts_with(name));
    for (const std::string_view part : parts)
      BOOST_TEST((lines.back().find(part) != std::string_view::npos), "expected \"" << part << "\" in the last line");
  }
}

void check_refused(const Ended& ended, std::initializer_list<std::string_view> parts, int code) {
  check_gave_up(ended, parts, code);
  BOOST_TEST(lines_of(ended.err).size() == 1u, "expected one line, found: " << ended.err);
}

void check_done(const Ended& ended) {
  BOOST_TEST(ended.code == 0, "expected exit code 0, found " << ended.code << ": " << ended.err);
  BOOST_TEST((ended.err.find(name) == std::string::npos), "expected no complaint, found: " << ended.err);
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  BOOST_TEST_REQUIRE(in.is_open(), file << " cannot be opened");
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  BOOST_TEST_REQUIRE(out.flush().good(), file << " cannot be written");
}

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = fs::relative(entry.path(), folder).string();
    if (entry.is_directory()) all[path + "/"];
    else all[path] = bytes_of(entry.path());
  }
  return all;
}

void check_same_tensors(const fs::path& a, const fs::path& b) {
  const auto one = wu::io::SafeTensors::open(a.string()), other = wu::io::SafeTensors::open(b.string());
  BOOST_TEST(!one.tensors().empty());
  BOOST_TEST(one.names() == other.names(), boost::test_tools::per_element());
  for (const auto& tensor : one.tensors()) {
    const auto* same = other.find(tensor.name);
    if (same == nullptr) continue;  // its name was missed above
    BOOST_TEST((tensor.dtype == same->dtype), tensor.name);
    BOOST_TEST((tensor.shape == same->shape), tensor.name);
    BOOST_TEST(std::equal(tensor.bytes.begin(), tensor.bytes.end(), same->bytes.begin(), same->bytes.end()),
               tensor.name << " differs");
  }
}

void save_changed(const fs::path& from, const fs::path& to,
                  const std::function<void(std::vector<wu::io::TensorToSave>&, wu::io::Metadata&)>& change) {
  const auto file = wu::io::SafeTensors::open(from.string());
  std::vector<wu::io::TensorToSave> tensors;
  for (const auto& tensor : file.tensors()) tensors.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  wu::io::Metadata metadata = file.metadata();
  change(tensors, metadata);
  wu::io::save_safetensors(to.string(), std::move(tensors), std::move(metadata));
}

std::string save_of_another_shape(const fs::path& from, const fs::path& to, std::string_view prefix) {
  std::string changed;
  save_changed(from, to, [&](auto& tensors, auto&) {
    const auto tensor = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) {
      return t.name.starts_with(prefix) && t.shape.size() == 2 && t.shape[0] != t.shape[1];
    });
    BOOST_REQUIRE(tensor != tensors.end());
    std::swap(tensor->shape[0], tensor->shape[1]);
    changed = tensor->name;
  });
  return changed;
}

void save_with_another_value(const fs::path& from, const fs::path& to) {
  save_changed(from, to, [&](auto& tensors, auto&) {
    auto& tensor = tensors.front();
    auto bytes = std::make_shared<std::vector<std::byte>>(tensor.bytes.begin(), tensor.bytes.end());
    bytes->front() ^= std::byte{1};  // the last bit of the first value's fraction
    tensor.bytes = *bytes;
    tensor.owned = bytes;
  });
}

// ---- what all tests use and none changes --------------------------------------------------------------------------------

Pictures::Pictures() {
  fs::create_directory(photos);
  fs::create_directory(held_out);
  // 192 pixels along a side: what the program would make of smaller ones.
  for (std::uint64_t k = 0; k < 3; ++k)
    edit::save_image(photos / wu::message(k, ".png").view(), edit::draw_dead_leaves(3, k, 192));
  for (std::uint64_t k = 3; k < 5; ++k)
    edit::save_image(held_out / wu::message(k, ".png").view(), edit::draw_dead_leaves(3, k, 192));
  edit::save_image(one, edit::draw_dead_leaves(3, 5, 40));
}

const Pictures& Pictures::get() {
  static const Pictures pictures;
  return pictures;
}

Trained::Trained() : training(wu_edit(train_arguments(model))) {}

const Trained& Trained::get() {
  static const Trained trained;
  return trained;
}

Stopped::Stopped() {
  // The signal may come too late, when the last step is done: that is no fault, but nothing to test either.
  for (int attempt = 0; attempt < 10 && training.code == 0; ++attempt) {
    fs::remove_all(model);
    fs::create_directory(model);
    write(model / "generator.safetensors", older_generator);
    write(model / "backbone.safetensors", older_backbone);
    Program program(train_arguments(model));
    if (program.says("step 1/")) program.interrupt();
    training = program.end();
  }
}

const Stopped& Stopped::get() {
  static const Stopped stopped;
  return stopped;
}

namespace {

Arguments joined(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Arguments start_of_training(const fs::path& model) {
  return {"train", "--photos", Pictures::get().photos, "--backbone", backbone_file, "--model", model, "--threads", "2"};
}

}  // namespace

Arguments train_arguments(const fs::path& model) {
  // Seed and rate need all of their digits: a checkpoint that rounds them is found out.
  return joined(start_of_training(model), {"--steps", std::to_string(training_steps), "--requests", "2", "--seed",
                                           "18446744073709551557", "--rate", "0.0023456789012345"});
}

Arguments resume_arguments(const fs::path& model) { return joined(start_of_training(model), {"--resume"}); }

Arguments edit_arguments(const fs::path& out) {
  return joined({"edit", "--model", Trained::get().model, "--out", out, "--threads", "1"},
                {"--image", Pictures::get().one, "--instruction", "make it blurry"});
}

Arguments report_arguments(const fs::path& out) {
  return joined({"report", "--model", Trained::get().model, "--out", out, "--threads", "2"},
                {"--held-out", Pictures::get().held_out, "--side", "64", "--examples", "1"});
}

Arguments with(Arguments arguments, std::string_view option, const std::string& value) {
  const auto at = std::find(arguments.begin(), arguments.end(), option);
  BOOST_REQUIRE(at != arguments.end() && at + 1 != arguments.end());
  *(at + 1) = value;
  return arguments;
}

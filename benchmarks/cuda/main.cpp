// wu's side of the comparison on a GPU: sets up a work, runs it when told to, and is idle in between. Exits with 77 where there
// is no GPU.
//     wu-bench-cuda [--tiny]        reads commands from standard input and answers each with one line of JSON:
//     list             the device, the names of all works and how many operations a step has in products
//     open WORK        weights and inputs are made; what was open before is gone
//     save FOLDER      what the step is given and, after it, what it has computed: given.safetensors, computed.safetensors
//     run SECONDS      the seconds of a step, several times, as often as fits, at least once, after one that is not counted
//     memory           bytes of the device that the open work takes after two steps, and how many of them are its weights; of a
//                      work that computes another one's result less exactly, how far it was off
//     wu-bench-cuda [--tiny] --all  opens every work once and says whether all that it computed is finite
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iostream>
#include <optional>

#include "work.hpp"

namespace {

using namespace gpu_works;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<Work> all_works(bool tiny) {
  std::vector<Work> works;
  add_products(works, tiny);
  add_adapted_linear(works, tiny);
  add_generation(works, tiny);
  add_attention(works, tiny);
  add_training(works, tiny);
  return works;
}

/// The work that is open.
struct Open {
  explicit Open(cuda::Context& ctx) : free_before(cuda::memory_use(0).free), setup(ctx) {}
  std::size_t free_before;
  Setup setup;
  bool warm = false;  ///< has run
};

/// So many steps, put on the stream one after the other.
void steps(Setup& s, int count) {
  for (int k = 0; k < count; ++k) {
    const Workspace::Scope scope(s.ws);
    s.step();
  }
  s.ctx.synchronise();
}

std::vector<io::TensorToSave> fetch(const std::vector<Setup::Download>& all) {
  std::vector<io::TensorToSave> tensors;
  for (const auto& one : all) tensors.push_back(one());
  return tensors;
}

void list(const cuda::Context& ctx, const std::vector<Work>& works) {
  std::cout << "{\"device\": \"" << ctx.about().name << "\", \"works\": [";
  const char* before = "";
  for (const Work& work : works) {
    std::cout << before << "{\"name\": \"" << work.name << "\", \"operations\": " << work.operations << "}";
    before = ", ";
  }
  std::cout << "]}";
}

void save(Setup& s, const std::string& folder) {
  io::save_safetensors(folder + "/given.safetensors", fetch(s.given));
  steps(s, s.checked_steps);
  io::save_safetensors(folder + "/computed.safetensors", fetch(s.computed));
  std::cout << "{}";
}

/// A short step is done several times before the device is waited for, so that waiting is a small part of what is timed.
void run(Open& open, double seconds) {
  Setup& s = open.setup;
  if (!open.warm) steps(s, 1);
  open.warm = true;
  const auto begin = Clock::now();
  steps(s, 1);
  const double first = since(begin);
  const int count = static_cast<int>(std::clamp(std::ceil(0.02 / first), 1.0, 1000.0));
  bool any = first >= 0.02;
  std::cout << "{\"seconds\": [";
  if (any) std::cout << first;
  while (!any || since(begin) < seconds) {
    const auto start = Clock::now();
    steps(s, count);
    std::cout << (any ? ", " : "") << since(start) / count;
    any = true;
  }
  std::cout << "]}";
}

void memory(Open& open) {
  steps(open.setup, 2);
  open.warm = true;
  const std::size_t free = cuda::memory_use(0).free;
  std::cout << "{\"used\": " << open.free_before - std::min(open.free_before, free)
            << ", \"weights\": " << open.setup.weight_bytes;
  if (const std::string kernel = open.setup.ctx.attention(); kernel != "none")
    std::cout << ", \"attention\": \"" << kernel << "\"";
  if (open.setup.error) {
    const double error = open.setup.error();
    std::cout << ", \"relative_error\": " << (std::isfinite(error) ? error : 1e308);  // JSON has no NaN
  }
  std::cout << "}";
}

void answer(cuda::Context& ctx, const std::vector<Work>& works, std::optional<Open>& now, const std::string& line) {
  const auto space = line.find(' ');
  const std::string command = line.substr(0, space), argument = space == std::string::npos ? "" : line.substr(space + 1);
  if (command == "list") return list(ctx, works);
  if (command == "open") {
    const auto work = std::ranges::find(works, argument, &Work::name);
    if (work == works.end()) throw Error(message("expected the name of a work, found ", argument));
    now.reset();
    ctx.attention("none");
    now.emplace(ctx);
    work->set_up(now->setup);
    ctx.synchronise();
    std::cout << "{}";
    return;
  }
  if (!now) throw Error(message("expected list, or open first, found ", line));
  if (command == "save") save(now->setup, argument);
  else if (command == "run") run(*now, std::stod(argument));
  else if (command == "memory") memory(*now);
  else throw Error(message("expected list, open, save, run or memory, found ", command));
}

std::string in_json(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted;
}

bool finite(const io::TensorToSave& tensor) {
  const auto all = [&]<class T>(std::type_identity<T>) {
    for (std::size_t at = 0; at < tensor.bytes.size(); at += sizeof(T)) {
      T value;
      std::memcpy(&value, tensor.bytes.data() + at, sizeof(T));
      if (!std::isfinite(static_cast<float>(value))) return false;
    }
    return !tensor.bytes.empty();
  };
  return tensor.dtype == io::DType::F32 ? all(std::type_identity<float>()) : all(std::type_identity<bfloat16>());
}

bool try_all(cuda::Context& ctx, const std::vector<Work>& works) {
  bool good = true;
  for (const Work& work : works) {
    Open open(ctx);
    work.set_up(open.setup);
    steps(open.setup, open.setup.checked_steps);
    const auto computed = fetch(open.setup.computed);
    const bool fine = !computed.empty() && std::ranges::all_of(computed, finite);
    std::cout << work.name << (fine ? ": finite" : ": not finite") << std::endl;
    good = good && fine;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  bool tiny = false, all = false, wrong = false;
  for (int k = 1; k < argc; ++k) {
    const std::string_view option = argv[k];
    if (option == "--tiny") tiny = true;
    else if (option == "--all") all = true;
    else wrong = true;
  }
  if (wrong) {
    std::cerr << "usage: wu-bench-cuda [--tiny] [--all]; scripts/gpu-check.sh starts it\n";
    return 2;
  }
  if (!cuda::available()) {
    std::cerr << "wu-bench-cuda: skipped: no CUDA device\n";
    return 77;
  }
  try {
    cuda::Context ctx;
    const auto works = all_works(tiny);
    if (all) return try_all(ctx, works) ? 0 : 1;
    std::optional<Open> now;
    std::cout.precision(9);
    for (std::string line; std::getline(std::cin, line); std::cout << std::endl) {
      try {
        answer(ctx, works, now, line);
      } catch (const std::exception& e) {  // a side that asks is told; after an error of the device nothing else works
        std::cout << "{\"error\": \"" << in_json(e.what()) << "\"}" << std::endl;
        return 1;
      }
    }
  } catch (const std::exception& e) {
    std::cerr << "wu-bench-cuda: " << e.what() << "\n";
    return 1;
  }
}

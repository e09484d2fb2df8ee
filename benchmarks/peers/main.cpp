// One side of the comparison with PyTorch: sets up a work, runs it when told to, and is idle in between.
//     wu-bench-peers THREADS        reads commands from standard input and answers each with one line of JSON:
//     list             the names of all works and how many operations a step has in products
//     open WORK        weights and inputs are made; what was open before is gone
//     save FOLDER      what the step is given and, after it, what it has computed: given.safetensors, computed.safetensors
//     run SECONDS      the seconds of each of so many steps as fit, at least one, after one that is not timed
//     memory           bytes in memory before the first step and at most during it, and those kept between steps
#include <charconv>
#include <chrono>
#include <fstream>
#include <iostream>

#include "work.hpp"

namespace {

using namespace peers;

/// A line "VmRSS:  1234 kB" of the system's account of this process, in bytes; 0 where there is none.
double memory_of(std::string_view field) {
  std::ifstream status("/proc/self/status");
  std::string name, unit;
  for (double kilobytes = 0; status >> name; std::getline(status, unit))
    if (name == field && status >> kilobytes) return kilobytes * 1024;
  return 0;
}

void list(const std::vector<Work>& works) {
  std::cout << "{\"works\": [";
  const char* before = "";
  for (const Work& work : works) {
    std::cout << before << "{\"name\": \"" << work.name << "\", \"operations\": " << work.operations << "}";
    before = ", ";
  }
  std::cout << "]}";
}

void once(Setup& s) {
  const Workspace::Scope scope(s.ws);
  s.step();
}

void save(Setup& s, const std::string& folder) {
  io::save_safetensors(folder + "/given.safetensors", s.given);
  for (int k = 0; k < s.checked_steps; ++k) once(s);
  io::save_safetensors(folder + "/computed.safetensors", s.computed);
  std::cout << "{}";
}

void run(Setup& s, double seconds) {
  using Clock = std::chrono::steady_clock;
  once(s);
  const auto since = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const auto begin = Clock::now();
  std::cout << "{\"seconds\": [";
  for (int k = 0; k == 0 || since(begin) < seconds; ++k) {
    const auto start = Clock::now();
    once(s);
    std::cout << (k > 0 ? ", " : "") << since(start);
  }
  std::cout << "]}";
}

void memory(Setup& s) {
  const double before = memory_of("VmRSS:");
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak counts from here on
  once(s), once(s);
  std::cout << "{\"before\": " << before << ", \"peak\": " << memory_of("VmHWM:") << ", \"kept\": " << s.kept_bytes << "}";
}

void answer(const std::vector<Work>& works, std::unique_ptr<Setup>& now, int threads, const std::string& line) {
  const auto space = line.find(' ');
  const std::string command = line.substr(0, space), argument = space == std::string::npos ? "" : line.substr(space + 1);
  if (command == "list") return list(works);
  if (command == "open") {
    for (const Work& work : works) {
      if (work.name != argument) continue;
      now.reset();
      now = std::make_unique<Setup>(threads);
      work.set_up(*now);
      std::cout << "{}";
      return;
    }
    throw Error(message("expected the name of a work, found ", argument));
  }
  if (now == nullptr) throw Error(message("expected list, or open first, found ", line));
  if (command == "save") save(*now, argument);
  else if (command == "run") run(*now, std::stod(argument));
  else if (command == "memory") memory(*now);
  else throw Error(message("expected list, open, save, run or memory, found ", command));
}

}  // namespace

std::vector<peers::Work> peers::all_works() {
  std::vector<Work> works;
  add_products(works);
  add_generators(works);
  add_adapted_linear(works);
  add_training_steps(works);
  return works;
}

int main(int argc, char** argv) {
  const std::string_view text = argc == 2 ? argv[1] : "";
  int threads = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), threads).ec != std::errc() || threads < 1) {
    std::cerr << "usage: wu-bench-peers THREADS; scripts/bench.sh --peers starts it\n";
    return 2;
  }
  try {
    const auto works = peers::all_works();
    std::unique_ptr<Setup> now;
    std::cout.precision(9);
    for (std::string line; std::getline(std::cin, line); std::cout << std::endl) answer(works, now, threads, line);
  } catch (const std::exception& e) {
    std::cerr << "wu-bench-peers: " << e.what() << "\n";
    return 1;
  }
}

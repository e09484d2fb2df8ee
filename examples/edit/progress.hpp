// How a long piece of work tells that it is alive: one line that is rewritten on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace edit {

class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `all`; `detail` is shown beside it. Cheap: prints a few times a second on a terminal, every 15 s elsewhere.
  void show(long done, long all, const std::string& detail);
  /// What is printed next begins a line of its own.
  void end_line();
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  std::string what_;
  bool terminal_, shown_ = false;
  Clock::time_point start_ = Clock::now(), last_ = start_ - std::chrono::hours(1);
};

/// From now on Ctrl-C and a polite kill only raise a flag; interrupted() reads it. A second Ctrl-C ends the program at once.
void catch_interrupts();
bool interrupted();

}  // namespace edit

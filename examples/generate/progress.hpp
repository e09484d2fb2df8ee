// How a long piece of work tells that it is alive: one line that is rewritten on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <string>

namespace examples {

/// When the first line comes.
enum class FirstLine {
  at_once,
  later,  ///< after as long as between two lines: quick work says nothing
};

class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Progress(std::string what, FirstLine first = FirstLine::at_once);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `all`; `detail` is shown beside it. Cheap: prints a few times a second on a terminal, every 15 s elsewhere, and
  /// when all is done.
  void show(long done, long all, const std::string& detail);
  /// The share that is done, 0 to 1. As often.
  void show(double done);
  /// What is printed next begins a line of its own.
  void end_line();
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  bool due();
  void line(const std::string& text, double share);

  std::string what_;
  bool terminal_, shown_ = false;
  Clock::time_point start_ = Clock::now(), last_;
};

}  // namespace examples

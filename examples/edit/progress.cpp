#include "edit/progress.hpp"

#include <unistd.h>  // isatty

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <utility>

namespace edit {

namespace {
volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int signal) {
  if (stop_asked) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  stop_asked = 1;
}

std::string clock_text(double seconds) {
  const int s = static_cast<int>(std::lround(seconds));
  char text[32];
  std::snprintf(text, sizeof text, "%d:%02d", s / 60, s % 60);
  return text;
}
}  // namespace

Progress::Progress(std::string what) : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { end_line(); }

void Progress::end_line() {
  if (terminal_ && shown_) std::fputc('\n', stderr);
  shown_ = false;
}

void Progress::show(long done, long all, const std::string& detail) {
  const auto now = Clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (terminal_ ? 0.25 : 15) && done != all) return;
  last_ = now;
  shown_ = true;
  const double spent = seconds(), left = done > 0 ? spent / static_cast<double>(done) * static_cast<double>(all - done) : 0;
  std::fprintf(stderr, terminal_ ? "\r\033[K%s %ld/%ld  %s  %s gone, %s left" : "%s %ld/%ld  %s  %s gone, %s left\n",
               what_.c_str(), done, all, detail.c_str(), clock_text(spent).c_str(), clock_text(left).c_str());
  std::fflush(stderr);
}

void catch_interrupts() {
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
}

bool interrupted() { return stop_asked != 0; }

}  // namespace edit

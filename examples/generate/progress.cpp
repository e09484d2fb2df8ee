#include "progress.hpp"

#include <unistd.h>  // isatty

#include <cmath>
#include <cstdio>
#include <utility>

#include "wu/core/message.hpp"

namespace examples {

namespace {
std::string clock_text(double seconds) {
  const long s = std::lround(seconds);
  char text[32];
  if (s < 3600) std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  else std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  return text;
}
}  // namespace

Progress::Progress(std::string what, FirstLine first)
    : what_(std::move(what)),
      terminal_(isatty(STDERR_FILENO) != 0),
      last_(first == FirstLine::later ? start_ : start_ - std::chrono::hours(1)) {}

Progress::~Progress() { end_line(); }

void Progress::end_line() {
  if (terminal_ && shown_) std::fputc('\n', stderr);
  shown_ = false;
}

bool Progress::due() { return std::chrono::duration<double>(Clock::now() - last_).count() >= (terminal_ ? 0.25 : 15); }

void Progress::line(const std::string& text, double share) {
  last_ = Clock::now();
  shown_ = true;
  const double spent = seconds(), left = share > 0 ? spent / share * (1 - share) : 0;
  std::fprintf(stderr, terminal_ ? "\r\033[K%s %s  %s gone, %s left" : "%s %s  %s gone, %s left\n", what_.c_str(),
               text.c_str(), clock_text(spent).c_str(), clock_text(left).c_str());
  std::fflush(stderr);
}

void Progress::show(long done, long all, const std::string& detail) {
  if (done != all && !due()) return;
  line(wu::message(done, "/", all, "  ", detail), all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 1);
}

void Progress::show(double done) {
  if (!due()) return;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * done);
  line(text, done);
}

}  // namespace examples

#include "edit/progress.hpp"

#include <csignal>

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
}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
}

bool interrupted() { return stop_asked != 0; }

}  // namespace edit

#!/usr/bin/env bash
# Builds wu and runs its tests: from a bare clone everything, after that only what changed.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/test.sh [--sanitize] [--preset NAME] [ctest arguments]
  --sanitize     with AddressSanitizer and UndefinedBehaviorSanitizer; the same as --preset sanitize
  --preset NAME  release (the default), debug, sanitize or thread; built in build/NAME. thread: with ThreadSanitizer, and only
                 the tests of what threads do
  -h, --help     this text
Whatever follows goes to ctest, for example: scripts/test.sh -R ops
CMAKE_BUILD_PARALLEL_LEVEL and CTEST_PARALLEL_LEVEL say how many jobs run at a time; one for each processor if unset.
TEXT
}

preset=release
while (($#)); do
  case $1 in
    --sanitize) preset=sanitize; shift ;;
    --preset)
      if (($# < 2)); then echo "test.sh: --preset needs a name: release, debug, sanitize or thread" >&2; exit 2; fi
      preset=$2; shift 2 ;;
    --preset=*) preset=${1#*=}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) break ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/dependencies.sh
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs} CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$jobs}
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset" --output-on-failure "$@"

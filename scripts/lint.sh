#!/usr/bin/env bash
# What can be said of the code without running it: its format, clang++'s warnings, clang-tidy's checks.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/lint.sh [--fix] [--all] [FILE...]
  --fix       only: write every file as clang-format would have it
  --all       warnings also of tests/, and clang-tidy also over tests/ and benchmarks/, which takes many minutes
  FILE        the format of these files, and warnings and clang-tidy of those of them that are sources; not every header
  -h, --help  this text
Checks three things, and none may find anything:
  format      clang-format 19 with .clang-format
  warnings    clang++ over every header alone and every source but the tests', each warning an error
  clang-tidy  clang-tidy 19 with .clang-tidy over all headers together and over the examples
The exit status is 0 if nothing was found, 1 if something was, 2 for a wrong argument. CMAKE_BUILD_PARALLEL_LEVEL says how
many jobs run at a time; one for each processor if unset.
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
fix='' all='' files=()
while (($#)); do
  case $1 in
    --fix) fix=yes ;;
    --all) all=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "lint.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) if [[ ! -f $1 ]]; then echo "lint.sh: no file '$1' in $PWD" >&2; exit 2; fi; files+=("$1") ;;
  esac
  shift
done
bash scripts/dependencies.sh --lint

everything=''
if ((${#files[@]} == 0)); then
  everything=yes
  mapfile -t files < <(find benchmarks cmake examples include packaging/conan/test_package/*.cpp tests -name '*.hpp' -o -name '*.cpp' | sort)
fi
if [[ $fix ]]; then exec clang-format-19 -i "${files[@]}"; fi

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs}
failed=()
# each CHECK FILE...: runs the function CHECK on every file; a file's output stays together.
each() { printf '%s\n' "${@:2}" | xargs -P "$CMAKE_BUILD_PARALLEL_LEVEL" -I '{}' bash -c "$1"' "{}"'; }

format() {
  clang-format-19 --dry-run --Werror "$1" >/dev/null 2>&1 && return
  echo "$1: not as clang-format writes it; run: scripts/lint.sh --fix $1"
  return 1
}
export -f format
echo "---- format: ${#files[@]} files"
each format "${files[@]}" || failed+=(format)

# Without -march=native: what is found does not depend on this machine.
cmake --preset release -B build/lint -D CMAKE_CXX_COMPILER=clang++ -D WU_NATIVE=OFF -D WU_CUDA=OFF -D CMAKE_COMPILE_WARNING_AS_ERROR=ON >/dev/null
# Wrong programs under tests/compile_fail are nobody's sources, those under tests/package and packaging are built by projects of
# their own, those under tests/fuzz/libfuzzer by scripts/fuzz.sh, and those under tests/cudnn only where cuDNN is.
mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep '\.cpp$' | grep -v -e '^tests/compile_fail/' -e '^tests/package/' -e '^packaging/' \
  -e '^tests/fuzz/libfuzzer/' -e '^tests/cudnn/')

# A source's command is taken from CMake's list, as that of one target that it belongs to, without the part that writes code.
warnings() {
  local command out
  command=$(grep -F -A 1 '"command"' build/lint/compile_commands.json | grep -F -B 1 "\"file\": \"$PWD/$1\"" | sed -n '1s/^ *"command": "\(.*\)",$/\1/p')
  command=$(sed 's/\\\(.\)/\1/g' <<<"$command")  # as JSON writes it: a backslash before what it means
  if [[ -z $command ]]; then echo "$1: no target compiles this file"; return 1; fi
  out=$(eval "${command/ -o / -fsyntax-only -o }" 2>&1) && return
  printf '%s\n%s\n' "$1: clang++ has something to say; run: scripts/lint.sh $1" "$out"
  return 1
}
export -f warnings
[[ ! $everything || $all ]] || mapfile -t sources < <(printf '%s\n' "${sources[@]}" | grep -v '^tests/')
echo "---- warnings: ${#sources[@]} sources${everything:+ and every header alone}"
if [[ $everything ]]; then cmake --build build/lint --target wu_headers_alone >build/lint/headers.log || { cat build/lint/headers.log; failed+=('headers alone'); }; fi
((${#sources[@]} == 0)) || each warnings "${sources[@]}" || failed+=(warnings)

tidy() {
  local out
  out=$(clang-tidy-19 --quiet -p build/lint "$1" 2>/dev/null) && return
  printf '%s\n%s\n' "$1: clang-tidy found something; run: scripts/lint.sh $1" "$out"
  return 1
}
export -f tidy
if [[ $everything ]]; then
  [[ $all ]] || mapfile -t sources < <(printf '%s\n' "${sources[@]}" | grep -v '^benchmarks/')
  mapfile -t sources < <(printf '%s\n' "${sources[@]}" | grep -v '^tests/arrays/')  # xtensor 0.24 does not compile with clang 19
  sources=(build/lint/tests/headers/odr-forward.cpp "${sources[@]}")  # this one includes every header
fi
echo "---- clang-tidy: ${#sources[@]} sources"
((${#sources[@]} == 0)) || each tidy "${sources[@]}" || failed+=(clang-tidy)

((${#failed[@]} == 0)) || { echo "lint.sh: not clean: $(printf '%s, ' "${failed[@]}" | sed 's/, $//')" >&2; exit 1; }
echo "lint: nothing found"

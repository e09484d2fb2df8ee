#!/usr/bin/env bash
# Measures what it costs to compile with wu: processor seconds and peak memory, for each compiler that is there.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/build-time.sh [--source DIR] [--runs N] [--write]
  --source DIR  measure the headers of another checkout of wu (default: this one)
  --runs N      compile everything N times and keep the least (default: 3)
  --write       put the table into docs/build-time.md instead of printing it
  -h, --help    this text
Every row is one file compiled by one process with -std=c++20 -O2; seconds are user and system time together.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source=$root
runs=3
write=
while (($#)); do
  case $1 in
    --source | --runs)
      if (($# < 2)); then echo "build-time.sh: $1 needs a value" >&2; exit 2; fi
      if [[ $1 == --source ]]; then source=$(cd "$2" && pwd); else runs=$2; fi
      shift 2 ;;
    --write) write=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "build-time.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done
[[ $runs =~ ^[1-9][0-9]*$ ]] || { echo "build-time.sh: --runs must be a number from 1 on, found '$runs'" >&2; exit 2; }
[[ -x /usr/bin/time ]] || { echo "build-time.sh: please install GNU time (Debian's package 'time')" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# For checkouts from before wu did without Eigen.
eigen=$(for at in /usr/include/eigen3 /usr/local/include/eigen3 /opt/homebrew/include/eigen3; do
  if [[ -d $at ]]; then echo "$at"; break; fi; done)


compilers=()
for compiler in g++ clang++; do
  if command -v "$compiler" >/dev/null; then compilers+=("$compiler"); fi
done
((${#compilers[@]})) || { echo "build-time.sh: expected g++ or clang++, found neither" >&2; exit 1; }

# least COMPILER FILE [OPTION...]: "seconds MiB" of the cheapest of the runs; "-" if it does not compile.
least() {
  local compiler=$1 file=$2 run
  for ((run = 0; run < runs; ++run)); do
    if ! /usr/bin/time -o "$work/time" -f '%U %S %M' "$compiler" -std=c++20 -O2 "${@:3}" -I "$source/include" ${eigen:+-isystem "$eigen"} \
        -c "$file" -o "$work/out.o" >"$work/log" 2>&1; then
      echo "build-time.sh: $compiler does not compile $file:" >&2
      head -5 "$work/log" >&2
      echo '- -'
      return
    fi
    cat "$work/time"
  done | awk '$1 == "-" { print "- -"; exit } { s = $1 + $2; if (!n++ || s < best) best = s; if (!m || $3 < m) m = $3 }
              END { if (n) printf "%.2f %.0f\n", best, m / 1024 }'
}

row() {  # row NAME FILE [OPTION...]
  local cells='' compiler figures
  for compiler in "${compilers[@]}"; do
    read -r -a figures < <(least "$compiler" "$2" "${@:3}")
    cells+=" ${figures[0]} s | ${figures[1]} MiB |"
  done
  echo "| $1 |$cells"
}

table() {
  local header='| compiled |' rule='| --- |' compiler umbrella
  for compiler in "${compilers[@]}"; do
    header+=" $compiler $("$compiler" -dumpfullversion 2>/dev/null || "$compiler" -dumpversion) | |" rule+=' --: | --: |'
  done
  printf '%s\n%s\n' "$header" "$rule"
  for umbrella in core/core ops/ops io/io io/adapters nn/nn generator/generator condition/condition diffusion/diffusion backbone/backbone \
      train/train cpu/cpu wu; do
    [[ -f $source/include/wu/$umbrella.hpp ]] || continue
    echo "#include \"wu/$umbrella.hpp\"" >"$work/include.cpp"
    row "\`#include \"wu/$umbrella.hpp\"\`" "$work/include.cpp"
  done
  if grep -q WU_PRECOMPILED -r "$source/include/wu/cpu"; then
    row '`#include "wu/wu.hpp"` with `wu::precompiled`' "$work/include.cpp" -DWU_PRECOMPILED
  fi
  local downstream=$root/examples/downstream/main.cpp
  if [[ -f $downstream ]]; then
    row 'the downstream example, `main.cpp`' "$downstream"
    row 'the same with `wu::precompiled`' "$downstream" -DWU_PRECOMPILED
  fi
  row 'the full way, `tests/build/full_way.cpp`' "$root/tests/build/full_way.cpp"
  if grep -q WU_PRECOMPILED -r "$source/include/wu/cpu"; then
    row 'the same with `wu::precompiled`' "$root/tests/build/full_way.cpp" -DWU_PRECOMPILED
    row '`wu::precompiled` itself, once' "$root/cmake/precompiled.cpp"
  fi
}

if [[ -z $write ]]; then table; exit 0; fi
page=$root/docs/build-time.md
for mark in '<!-- table: begin -->' '<!-- table: end -->'; do
  grep -qF -- "$mark" "$page" || { echo "build-time.sh: expected the mark $mark in $page, found none" >&2; exit 1; }
done
table >"$work/table"
awk -v table="$work/table" '
  /<!-- table: begin -->/ { print; while ((getline line <table) > 0) print line; skipping = 1 }
  /<!-- table: end -->/ { skipping = 0 }
  !skipping && !/<!-- table: begin -->/ { print }' "$page" >"$work/page"
cp "$work/page" "$page"
echo "build-time.sh: wrote the table into docs/build-time.md"

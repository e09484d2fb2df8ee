#!/usr/bin/env bash
# Throws changed files at the readers of safetensors, JSON and config.json, with libFuzzer and the address and undefined-behaviour
# sanitizers, beginning with the files of tests/io/corpus and tests/fixtures. What is found lies in build/fuzz afterwards, and so do
# the inputs that reached new code, with which the next run begins.
# usage: scripts/fuzz.sh [SECONDS]     for each target; 300 if not given
# exit status: 0 nothing found, 1 something was, 2 wrong argument, 77 there is no clang++ with libFuzzer
# CXX names another clang++.
set -euo pipefail

seconds=${1:-300}
if (($# > 1)) || [[ ! $seconds =~ ^[1-9][0-9]{0,5}$ ]]; then sed -n '5,7s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=build/fuzz
mkdir -p "$out"

cxx=${CXX:-clang++} flags=(-std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude -Itests)
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
    "$cxx" "${flags[@]}" -x c++ - -o "$out/probe" 2>"$out/probe.txt"; then
  echo "fuzz: $cxx builds no program with libFuzzer; on Debian: sudo apt-get install --no-install-recommends clang" >&2
  exit 77
fi

found=''
for target in safetensors json config; do
  "$cxx" "${flags[@]}" "tests/fuzz/libfuzzer/$target.cpp" -o "$out/$target"
  rm -rf "$out/$target-seeds"
  mkdir -p "$out/$target-seeds" "$out/$target-inputs" "$out/$target-found"
  while IFS= read -r file; do
    name=${file#tests/io/corpus/}
    cp "$file" "$out/$target-seeds/${name//\//-}"
  done < <(find tests/io/corpus -name "*.$target")
  if [[ $target == config ]]; then
    for file in tests/fixtures/*/*/config.json; do cp "$file" "$out/$target-seeds/$(basename "$(dirname "$file")").json"; done
  fi
  log=$out/$target.txt
  # Input and memory are bounded: an input of 16 kB that takes 10 s or 2 GB is a finding too.
  status=0
  "$out/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -dict=tests/fuzz/tokens.dict \
    -print_final_stats=1 -artifact_prefix="$out/$target-found/" "$out/$target-inputs" "$out/$target-seeds" >"$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if ((status)); then
    found=yes
    echo "fuzz: $target: a finding after ${runs:-?} executions; see $log and $out/$target-found"
  else
    echo "fuzz: $target: ${runs:-?} executions in $seconds s, nothing found"
  fi
done
[[ -z $found ]]

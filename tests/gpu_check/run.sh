#!/usr/bin/env bash
# What can be seen of scripts/gpu-check.sh without a GPU: its arguments, what it says where there is none, and what its report makes of
# logs like those of a run.
set -euo pipefail
root=$1 work=$2
script=$root/scripts/gpu-check.sh
export NVIDIA_SMI=$work/no-nvidia-smi
rm -rf "$work"
mkdir -p "$work/found" "$work/fine"

wrong() { echo "gpu_check: $*" >&2; exit 1; }
# expect STATUS TEXT COMMAND...: the command's exit status, and a pattern in what it prints.
expect() {
  local status=0 text
  text=$("${@:3}" 2>&1) || status=$?
  [[ $status == "$1" ]] || wrong "expected the exit status $1, found $status: ${*:3}: $text"
  [[ $text =~ $2 ]] || wrong "expected '$2' in what ${*:3} prints, found: $text"
}
# has FILE TEXT...: each of them stands in it.
has() {
  local text
  for text in "${@:2}"; do grep -qF -- "$text" "$1" || wrong "expected '$text' in: $(cat "$1")"; done
}

expect 0 '^usage: scripts/gpu-check.sh .*--only' bash "$script" --help
expect 2 "unknown argument '--fast'" bash "$script" --fast
expect 2 '--only needs a value' bash "$script" --only
expect 2 "expected parity, sanitize or bench, found 'all'" bash "$script" --only=all
expect 77 '^gpu-check.sh: skipped: .*no NVIDIA GPU[^'$'\n'']*$' bash "$script" --out "$work/none"
[[ ! -e $work/none ]] || wrong 'expected no folder where nothing was checked'

command -v python3 >/dev/null || { echo 'gpu_check: no python3: the report is not tested'; exit 0; }
report=$root/benchmarks/cuda/report.py
line='/x/support.hpp(133):'
cat >"$work/fine/parity.log" <<TEXT
/x/norm.cpp(43): Entering test case "norms"
$line info: check 'float32: y is off by 2.5e-07' has passed
$line info: check 'float32: dx is off by 1e-06' has passed
$line info: check 'bfloat16: y is off by 0.003' has passed
/x/norm.cpp(43): Leaving test case "norms"; testing time: 5us
TEXT
expect 0 '' python3 "$report" "$work/fine"
has "$work/fine/gpu-check.md" '| norms | 3 |  | 1e-06 | 3e-03 | yes |' 'float32 within 1e-04 in every test: yes' 'Not run into this folder'

cat "$work/fine/parity.log" - >"$work/found/parity.log" <<TEXT
/x/rope.cpp(1): Entering test case "turned"
$line error: in "turned": float32: y is off by nan
$line info: check 'bfloat16: y is off by 0.05' has passed
/x/rope.cpp(1): Leaving test case "turned"; testing time: 5us
/x/rope.cpp(9): Entering test case "stopped"
$line info: check 'float64: y is off by 0' has passed
TEXT
printf 'memcheck\tthe tests\t0\t12\tERROR SUMMARY: 0 errors\nracecheck\tsome\t86\t3\tRACECHECK SUMMARY: 1 hazard\n' >"$work/found/sanitize.tsv"
works() {  # works PRODUCT GENERATION EAGER: a bench.json with seconds of each
  cat <<TEXT
{"pytorch": {"version": "2.9", "cudnn": 91000}, "whole": false, "works": {
 "product/BF16": {"operations": 1e12, "times": {"wu": [$1, $1]}, "memory": {}, "failed": {}},
 "generation/BF16": {"operations": 3e15, "times": {"wu": [$2, $2, $2], "eager": [$3]}, "failed": {"compiled": "out of memory"},
                     "memory": {"wu": {"used": 34359738368, "weights": 17179869184, "attention": "cuDNN"}}},
 "generation/FP8": {"operations": 3e15, "times": {"wu": [2]}, "failed": {}, "memory": {"wu": {"used": 1, "weights": 1, "relative_error": 0.03}}}}}
TEXT
}
works 0.001 4 6 >"$work/found/bench.json"  # 1e15 and 0.75e15 operations a second; 16 GiB beside the weights
expect 1 'failed: turned.*failed: stopped.*failed: racecheck on some: found something' python3 "$report" "$work/found"
has "$work/found/gpu-check.md" "| turned | 2 |  | inf | 5e-02 | **no** |" '| stopped | 1 | 0e+00 |  |  | **no** |' \
  'bfloat16 within 2e-02 in every test: **no**' '| racecheck | some | 3 | found something | RACECHECK SUMMARY: 1 hazard |' \
  "share of the product's rate | 0.75 | at least 0.70 | yes |" "PyTorch's time over wu's | 1.50 | at least 1.30 | yes |" \
  "compiled PyTorch's time over wu's |  | at least 1.15 | not measured |" 'GiB | 16.00 | at most 8.00 | **no** |' \
  'compiled: out of memory; attention: cuDNN' "time over that of generation/BF16 | 0.50 | at most 0.65 | yes |" 'relative error 3.0e-02 against bfloat16'
python3 -c 'import json, sys; json.load(open(sys.argv[1]), parse_constant=sys.exit)' "$work/found/gpu-check.json" || wrong 'expected JSON'
echo 'gpu_check: as expected'

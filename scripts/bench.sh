#!/usr/bin/env bash
# Builds the benchmarks, runs them, and writes what they measured as one JSON file and one readable table.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/bench.sh [--quick] [--filter REGEX] [--out DIR] [--markdown]
  --quick         each benchmark once and briefly, for a first look
  --filter REGEX  only the benchmarks whose name matches, for example '^generator/.*/F32/'
  --out DIR       where bench.json and bench.txt go (default: ./out)
  --markdown      also replace the table in docs/benchmarks.md
  -h, --help      this text
Relative paths start from the folder that you are in. scripts/bench-compare.py compares two files that were written so.
TEXT
}

out=out
markdown=''
filter=.
# The median of five short measurements, taken in random order so that a slow minute of the machine is no one's alone.
measure=(--benchmark_repetitions=5 --benchmark_min_time=0.1 --benchmark_enable_random_interleaving=true)
while (($#)); do
  option=$1
  case $option in
    -h | --help) usage; exit 0 ;;
    --*=*) set -- "${option%%=*}" "${option#*=}" "${@:2}"; continue ;;
    --quick) measure=(--benchmark_repetitions=1 --benchmark_min_time=0.05); shift ;;
    --markdown) markdown=yes; shift ;;
    --out | --filter)
      if (($# < 2)); then echo "bench.sh: $option needs a value" >&2; exit 2; fi
      if [[ $option == --out ]]; then out=$2; else filter=$2; fi
      shift 2 ;;
    *) echo "bench.sh: unknown argument '$option'" >&2; usage >&2; exit 2 ;;
  esac
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/dependencies.sh"
if ! command -v python3 >/dev/null; then
  echo "bench.sh: python3 is not installed; it makes the table from the JSON file" >&2
  exit 1
fi
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
(
  cd "$root"
  cmake --preset release
  CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs} cmake --build --preset release --target wu-bench
)

mkdir -p "$out"
"$root/build/release/benchmarks/wu-bench" "${measure[@]}" --benchmark_filter="$filter" \
  --benchmark_out="$out/bench.json" --benchmark_out_format=json --benchmark_display_aggregates_only=true
python3 "$root/scripts/bench-compare.py" "$out/bench.json" | tee "$out/bench.txt"
if [[ -n $markdown ]]; then
  python3 "$root/scripts/bench-compare.py" "$out/bench.json" --markdown "$root/docs/benchmarks.md"
fi
echo "written: $out/bench.json, $out/bench.txt"

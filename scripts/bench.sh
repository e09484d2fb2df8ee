#!/usr/bin/env bash
# Builds the benchmarks, runs them, and writes what they measured as one JSON file and one readable table. With --peers it is the
# comparison with PyTorch instead.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/bench.sh [--peers] [--quick] [--filter REGEX] [--out DIR] [--markdown] [--python PYTHON] [--keep]
  --peers         wu and PyTorch on the same works, in turns; see docs/performance.md
  --quick         each benchmark once and briefly, for a first look
  --filter REGEX  only the benchmarks whose name matches, for example '^generator/.*/F32/'
  --out DIR       where bench.json and bench.txt go, or peers.json and peers.txt (default: ./out)
  --markdown      also replace the tables in docs/benchmarks.md and docs/performance.md; needs all benchmarks
  -h, --help      this text
With --peers:
  --python PYTHON a Python that has the packages of benchmarks/peers/requirements.txt. Without it they are installed, some
                  gigabytes, into build/peers
  --keep          what an earlier run into the same DIR has measured stays in the tables
Relative paths start from the folder that you are in. scripts/bench-compare.py compares two files that were written so.
TEXT
}

out=out
markdown='' peers='' python='' keep='' quick=''
filter=.
# The median of five short measurements, taken in random order so that a slow minute of the machine is no one's alone.
measure=(--benchmark_repetitions=5 --benchmark_min_time=0.1 --benchmark_enable_random_interleaving=true)
while (($#)); do
  option=$1
  case $option in
    -h | --help) usage; exit 0 ;;
    --*=*) set -- "${option%%=*}" "${option#*=}" "${@:2}"; continue ;;
    --quick) quick=yes; measure=(--benchmark_repetitions=1 --benchmark_min_time=0.05); shift ;;
    --markdown) markdown=yes; shift ;;
    --peers) peers=yes; shift ;;
    --keep) keep=yes; shift ;;
    --out | --filter | --python)
      if (($# < 2)); then echo "bench.sh: $option needs a value" >&2; exit 2; fi
      case $option in --out) out=$2 ;; --filter) filter=$2 ;; --python) python=$2 ;; esac
      shift 2 ;;
    *) echo "bench.sh: unknown argument '$option'" >&2; usage >&2; exit 2 ;;
  esac
done

if [[ ! $peers && $python$keep ]]; then echo "bench.sh: --python and --keep go with --peers" >&2; exit 2; fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/dependencies.sh"
if ! command -v python3 >/dev/null; then
  echo "bench.sh: python3 is not installed; it makes the table from the JSON file" >&2
  exit 1
fi
if [[ $python ]] && ! "$python" -c 'import torch, safetensors, numpy'; then
  echo "bench.sh: --python $python: expected a Python with the packages of benchmarks/peers/requirements.txt" >&2
  exit 1
fi
program=wu-bench
if [[ $peers ]]; then program=wu-bench-peers; fi
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
(
  cd "$root"
  cmake --preset release
  CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs} cmake --build --preset release --target "$program"
)

mkdir -p "$out"
if [[ $peers ]]; then
  if [[ ! $python ]]; then
    # What this machine needs of PyTorch is its part for processors; where that package cannot be had, the ordinary one serves.
    python=$root/build/peers/bin/python
    if ! "$python" -c 'import torch, safetensors, numpy' 2>/dev/null; then
      python3 -m venv "$root/build/peers"  # on Debian: apt-get install python3-venv
      "$python" -m pip install --quiet --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu \
        -r "$root/benchmarks/peers/requirements.txt"
    fi
  fi
  exec python3 "$root/benchmarks/peers/compare.py" --wu "$root/build/release/benchmarks/wu-bench-peers" --python "$python" \
    --only "$filter" --out "$out" ${quick:+--quick} ${keep:+--keep} ${markdown:+--markdown "$root/docs/performance.md"}
fi
"$root/build/release/benchmarks/wu-bench" "${measure[@]}" --benchmark_filter="$filter" \
  --benchmark_out="$out/bench.json" --benchmark_out_format=json --benchmark_display_aggregates_only=true
python3 "$root/scripts/bench-compare.py" "$out/bench.json" | tee "$out/bench.txt"
if [[ -n $markdown ]]; then
  python3 "$root/scripts/bench-compare.py" "$out/bench.json" --markdown "$root/docs/benchmarks.md"
  python3 "$root/scripts/bench-compare.py" "$out/bench.json" --roofline --markdown "$root/docs/performance.md"
fi
echo "written: $out/bench.json, $out/bench.txt"

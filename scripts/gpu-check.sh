#!/usr/bin/env bash
# Everything that only a GPU can show, in one run of at most nine minutes that needs no network.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/gpu-check.sh [--only parity|sanitize|bench] [--boost DIR] [--python PYTHON] [--out DIR] [--resume] [--whole]
  --only PART      this part alone; what the others have left in DIR stays in the table
  --boost DIR      a folder with Boost's headers, boost/test/included/unit_test.hpp among them (default: the system's)
  --python PYTHON  a Python with PyTorch (default: python3); without PyTorch wu alone is measured
  --out DIR        where gpu-check.md, gpu-check.json and the logs go (default: ./out/gpu)
  --resume         bench: works that an earlier run into the same folder has completed stay as they are
  --whole          bench: torch.compile gets a generator as one function instead of block by block, which takes minutes
  -h, --help       this text
The parts: every operation's tests against the reference on the host; compute-sanitizer on them and on the benchmarks at tiny sizes;
the benchmarks beside PyTorch on the same GPU. It builds what they need into build/gpu with nvcc, CMake and Boost's headers alone.
The exit status is 77 where there is no GPU, 1 where something was found or failed, 2 for a wrong argument.
TEXT
}

only='' boost='' python=python3 out=out/gpu resume='' whole=''
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
    --resume) resume=yes; shift ;;
    --whole) whole=yes; shift ;;
    --only | --boost | --python | --out)
      if (($# < 2)); then echo "gpu-check.sh: $1 needs a value" >&2; exit 2; fi
      case $1 in --only) only=$2 ;; --boost) boost=$2 ;; --python) python=$2 ;; --out) out=$2 ;; esac
      shift 2 ;;
    *) echo "gpu-check.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done
case $only in
  '' | parity | sanitize | bench) ;;
  *) echo "gpu-check.sh: --only: expected parity, sanitize or bench, found '$only'" >&2; exit 2 ;;
esac

# NVIDIA_SMI: so that a test on a machine with a GPU can see what happens without.
smi=${NVIDIA_SMI:-nvidia-smi}
about() { "$smi" --query-gpu="$1" --format=csv,noheader 2>/dev/null | sed -n 1p; }
if ! device=$(about name) || [[ ! $device ]]; then
  echo "gpu-check.sh: skipped: $smi finds no NVIDIA GPU on this machine, so nothing was built or checked" >&2
  exit 77
fi

if ! command -v python3 >/dev/null; then echo "gpu-check.sh: expected python3, which writes the report, found none" >&2; exit 1; fi
if [[ $boost && ! -f $boost/boost/test/included/unit_test.hpp ]]; then
  echo "gpu-check.sh: --boost: expected $boost/boost/test/included/unit_test.hpp, found no such file" >&2
  exit 2
fi
end=$((SECONDS + 530))
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
build=$root/build/gpu
failed=()

# limited SECONDS COMMAND...: no longer than so, nor than there is time.
limited() {
  local most=$1 left=$((end - SECONDS))
  ((left >= most)) || most=$left
  if ((most < 1)); then return 124; fi
  timeout --kill-after=5 "$most" "${@:2}"
}
# wanted PART: whether it is to run.
wanted() { [[ ! $only || $only == "$1" ]]; }
# outcome STATUS WHAT: says it and remembers it, unless all is well.
outcome() {
  case $1 in
    0) return ;;
    124 | 137) failed+=("$2: cut off by the time limit") ;;
    *) failed+=("$2: exit status $1") ;;
  esac
  echo "gpu-check.sh: ${failed[-1]}" >&2
}

# ---- build ---------------------------------------------------------------------------------------------------------------
nvcc=${CUDACXX:-$(command -v nvcc || true)}
if [[ ! $nvcc && -x /usr/local/cuda/bin/nvcc ]]; then nvcc=/usr/local/cuda/bin/nvcc; fi
if [[ ! $nvcc ]]; then echo "gpu-check.sh: expected nvcc on the PATH, in CUDACXX or in /usr/local/cuda/bin, found none" >&2; exit 1; fi
export CUDACXX=$nvcc
capability=$(about compute_cap | tr -d '. ' || true)
[[ $capability =~ ^[0-9]+$ ]] || capability=''  # a driver that does not know the question: the default
generator=()
if command -v ninja >/dev/null; then generator=(-G Ninja); fi
# PyTorch's cuDNN, where there is one: it comes without the name that CMake looks for, and is the one that PyTorch is measured with.
cudnn=$("$python" -c 'import nvidia.cudnn; print(list(nvidia.cudnn.__path__)[0])' 2>/dev/null || true)
if [[ ! -f $cudnn/include/cudnn.h || ! -f $cudnn/lib/libcudnn.so.9 ]]; then cudnn=''; fi
configure() {
  limited 60 cmake -S "$root" -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DWU_CUDA=ON -DWU_GPU_CHECK=ON \
    -DWU_BUILD_TESTS=OFF -DWU_BUILD_EXAMPLES=OFF -DWU_BUILD_BENCHMARKS=OFF -DWU_ARRAYS=OFF -DWU_INSTALL=OFF \
    ${cudnn:+"-DWU_CUDNN_INCLUDE=$cudnn/include" "-DWU_CUDNN_LIBRARY=$cudnn/lib/libcudnn.so.9"} \
    ${capability:+"-DCMAKE_CUDA_ARCHITECTURES=$capability"} ${boost:+"-DWU_BOOST_HEADERS=$(cd "$boost" && pwd)"}
}
echo "---- build"
if ! { configure && limited 300 cmake --build "$build" --parallel "$(getconf _NPROCESSORS_ONLN)" \
    --target wu_test_cuda_gpu wu-bench-cuda; } >"$out/build.log" 2>&1; then
  tail -n 20 "$out/build.log" >&2
  echo "gpu-check.sh: it was not built within its time, or does not build; all of it: $out/build.log" >&2
  exit 1
fi
tests=$build/tests/cuda/test-cuda-gpu bench=$build/benchmarks/cuda/wu-bench-cuda

quoted() { printf '%s' "${1//[\\\"]/}"; }  # a name with such characters may lose them
commit=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
built_with=$(sed -n 's/^-- wu: wu::cuda asks cuDNN \([0-9.]*\) .*/\1/p' "$out/build.log")
printf '{"date": "%s", "commit": "%s", "device": "%s", "memory": "%s", "driver": "%s", "nvcc": "%s", "wu with cuDNN": "%s"}\n' "$(date -u +%Y-%m-%dT%H:%MZ)" \
  "$(quoted "$commit")" "$(quoted "$device")" "$(quoted "$(about memory.total)")" "$(quoted "$(about driver_version)")" \
  "$(quoted "$("$nvcc" --version | sed -n 's/.*release \([^,]*\),.*/\1/p')")" "${built_with:-no}" >"$out/machine.json"

# ---- parity --------------------------------------------------------------------------------------------------------------
if wanted parity; then
  echo "---- parity"
  status=0
  limited 90 "$tests" --log_level=all --color_output=no >"$out/parity.log" 2>&1 || status=$?
  outcome "$status" parity
fi

# ---- sanitize ------------------------------------------------------------------------------------------------------------
# sanitize TOOL SECONDS WHAT [OPTION...] COMMAND...: one line of sanitize.tsv.
# run_body is the one kernel of wu; what cuBLASLt does with shared memory is not its concern. Calls that fail are not memcheck's to
# report: wu looks at every status, and a test asks for what may not be done.
sanitize() {
  local start=$SECONDS status=0 log="$out/sanitize-$1-${3//[^a-z]/-}.log"
  limited "$2" "$sanitizer" --tool "$1" --error-exitcode 86 "${@:4}" >"$log" 2>&1 || status=$?
  printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$3" "$status" "$((SECONDS - start))" \
    "$(grep -a 'SUMMARY' "$log" | tail -n 1 | sed 's/^=* *//; s/\t/ /g')" >>"$out/sanitize.tsv"
  outcome "$status" "$1 on $3"
}
if wanted sanitize; then
  echo "---- sanitize"
  sanitizer=$(command -v compute-sanitizer || echo "$(dirname "$nvcc")/compute-sanitizer")
  : >"$out/sanitize.tsv"
  if [[ -x $sanitizer ]]; then
    sanitize memcheck 75 'the tests' --report-api-errors no "$tests" --color_output=no
    sanitize racecheck 75 'tests with shared memory' --kernel-name kns=run_body "$tests" --color_output=no \
      --run_test='attention*,*norms,linear_layers,optimiser_steps'
    sanitize memcheck 45 'the benchmarks, tiny' --report-api-errors no "$bench" --tiny --all
  else
    outcome 127 "sanitize: no compute-sanitizer on the PATH or beside $nvcc"
  fi
fi

# ---- bench ---------------------------------------------------------------------------------------------------------------
if wanted bench; then
  echo "---- bench"
  peer=()
  if "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then peer=(--python "$python")
  else echo "gpu-check.sh: $python has no PyTorch that sees the GPU: wu alone is measured" >&2; fi
  common=(--wu "$bench" "${peer[@]}" --out "$out" --cache "$build/inductor")
  if ((${#peer[@]})); then  # both sides compute the same, before anything is measured
    status=0
    limited 100 python3 "$root/benchmarks/cuda/compare.py" "${common[@]}" --out "$out/same" --tiny --rounds 0 --modes eager \
      ${resume:+--keep} || status=$?
    outcome "$status" 'bench: that both sides compute the same'
  fi
  status=0
  limited 500 python3 "$root/benchmarks/cuda/compare.py" "${common[@]}" ${resume:+--keep} ${whole:+--whole} \
    --limit "$((end - SECONDS - 30))" || status=$?
  outcome "$status" bench
fi

status=0
python3 "$root/benchmarks/cuda/report.py" "$out" || status=1
echo "written: $out/gpu-check.md, $out/gpu-check.json"
if ((${#failed[@]})); then
  printf 'gpu-check.sh: %s\n' "${failed[@]}" >&2
  status=1
fi
exit "$status"

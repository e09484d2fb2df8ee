#!/usr/bin/env bash
# Adapters as wu-generate writes them, loaded with the Python packages peft and diffusers. Run by hand: it needs
# requirements.txt, some gigabytes of packages.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/interop/run.sh PROGRAM CHECKPOINT [ARGUMENT...]
  PROGRAM     a wu-generate that was built for CHECKPOINT
  CHECKPOINT  a folder as in tests/fixtures: config.json, model.safetensors, condition.safetensors
  ARGUMENT    for PROGRAM, such as --dtype bfloat16
Generates the adapters in every format and prints check_adapters.py's table for each request. The exit status is 0 if the real
loaders apply the same updates. PYTHON names the Python that has the packages; python3 if unset. For example:
  python3 -m venv build/interop && build/interop/bin/pip install -r tests/interop/requirements.txt
  PYTHON=build/interop/bin/python tests/interop/run.sh PROGRAM tests/fixtures/generate/sharded
TEXT
}

if (($# < 2)) || [[ $1 == -h || $1 == --help ]]; then usage >&2; exit 2; fi
program=$1 checkpoint=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for format in hy-wu peft diffusers kohya; do
  extension=.safetensors
  if [[ $format == peft ]]; then extension=''; fi
  "$program" --checkpoint "$checkpoint" --condition "$checkpoint/condition.safetensors" --format "$format" \
    --out "$scratch/$format$extension" "$@" >/dev/null
done

failed=0 checked=0
for truth in "$scratch"/hy-wu*.safetensors; do
  request=${truth#"$scratch/hy-wu"}
  request=${request%.safetensors}  # empty, or -0, -1, ...
  checked=$((checked + 1))
  echo "$checkpoint$request"
  "${PYTHON:-python3}" "$here/check_adapters.py" --truth "$truth" --peft "$scratch/peft$request" \
    --diffusers "$scratch/diffusers$request.safetensors" --kohya "$scratch/kohya$request.safetensors" || failed=1
done
if ((checked == 0)); then echo "run.sh: $program wrote no adapters" >&2; exit 1; fi
exit "$failed"

#!/usr/bin/env bash
# Builds the editing demonstration and runs it on photographs.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/demo.sh [--photos DIR] [--held-out DIR] [--out DIR] [--minutes M] [--resume]
  --photos DIR    photographs to train on, PNG or JPEG; without: pictures are drawn
  --held-out DIR  photographs to measure and draw on, never trained on; without: every tenth of --photos
  --out DIR       where results go (default: ./out)
  --minutes M     how long to train (default: 5.8)
  --resume        go on with a training that was stopped
  -h, --help      this text
Relative paths start from the folder that you are in.
TEXT
}

out=out
pictures=()
training=()
while (($#)); do
  option=$1
  case $option in
    -h | --help) usage; exit 0 ;;
    --*=*) set -- "${option%%=*}" "${option#*=}" "${@:2}"; continue ;;
    --photos | --held-out | --out | --minutes)
      if (($# < 2)); then echo "demo.sh: $option needs a value" >&2; exit 2; fi
      case $option in
        --out) out=$2 ;;
        --minutes) training+=(--minutes "$2") ;;
        *) pictures+=("$option" "$2") ;;
      esac
      shift 2 ;;
    --resume) training+=(--resume); shift ;;
    *) echo "demo.sh: unknown argument '$option'" >&2; usage >&2; exit 2 ;;
  esac
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/dependencies.sh"
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
(
  cd "$root"
  cmake --preset release
  CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs} cmake --build --preset release --target wu-edit
)

# The one place that knows wu-edit's command line. It runs in the user's folder, so relative paths mean what they say.
wu_edit=$root/build/release/examples/edit/wu-edit
"$wu_edit" train --backbone "$root/models/edit/backbone.safetensors" --model "$out/model" ${pictures[@]+"${pictures[@]}"} ${training[@]+"${training[@]}"}
"$wu_edit" report --model "$out/model" --out "$out" ${pictures[@]+"${pictures[@]}"}
echo "Edit a picture of your own:  $wu_edit edit --model $out/model --image photo.jpg --instruction \"make it look old\" --out result.png"

#!/usr/bin/env bash
# The tutorial's code blocks are the example's files, and they build outside of this repository and run.
# FOLDER is emptied first; it is always the same one, so that a compiler cache knows what has not changed.
# usage: run.sh PAGE EXAMPLE WU_DIR CMAKE FOLDER
set -euo pipefail
page=$1 example=$2 wu_dir=$3 cmake=$4 folder=$5
rm -rf "$folder"
mkdir -p "$folder/springs"

bash "$(dirname "${BASH_SOURCE[0]}")/extract.sh" "$page" "$folder/springs"
if ! diff -r "$example" "$folder/springs"; then
  echo "tutorial: $page and $example differ: what is right in one belongs into the other" >&2
  exit 1
fi

cd "$folder"
"$cmake" -S springs -B build -D wu_DIR="$wu_dir"
"$cmake" --build build
build/springs_gradient_check
build/springs train --steps 20 --model model
build/springs fit --model model --examples springs/measurements.csv
build/springs apply --model model --points 3

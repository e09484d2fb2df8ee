#!/usr/bin/env bash
# Runs the downstream example for few steps: the losses fall, what was saved answers as it did before, and mistakes are said.
# usage: run.sh PROGRAM MEASUREMENTS
set -euo pipefail
springs=$(realpath "$1") measurements=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() { echo "downstream: $*" >&2; exit 1; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }

"$springs" train --steps 120 --model model >trained.txt
for what in backbone memory; do
  read -r first last < <(awk -v what="$what" '$1 == what { print $(NF - 2), $NF }' trained.txt)
  less "$last" "$first" || fail "the loss of $what did not fall: $first -> $last"
done
base=$(awk '/frozen backbone alone/ { print $NF }' trained.txt) own=$(awk '/its own adapters/ { print $NF }' trained.txt)
another=$(awk '/another spring/ { print $NF }' trained.txt)
less "$own" "$base" || fail "its own adapters do not help: $base -> $own"
less "$own" "$another" || fail "another spring's adapters do as well: $another, own $own"

# The same models, read from their files, give the same bits.
cp -r model loaded
rm loaded/answers.csv loaded/springs.svg
"$springs" report --model loaded >reported.txt
cmp model/answers.csv loaded/answers.csv
cmp model/springs.svg loaded/springs.svg
diff <(grep '^  ' trained.txt) <(grep '^  ' reported.txt)
(($(wc -l <model/answers.csv) == 1 + 6 * 101)) || fail "answers.csv has not six springs at 101 times"

# One spring's adapters in a file of their own.
"$springs" fit --model model --examples "$measurements" --adapters a.safetensors >/dev/null
"$springs" fit --model loaded --examples "$measurements" --adapters b.safetensors >/dev/null
cmp a.safetensors b.safetensors
"$springs" apply --model model --adapters a.safetensors --points 21 >a.csv
"$springs" apply --model loaded --adapters b.safetensors --points 21 >b.csv
cmp a.csv b.csv
(($(wc -l <a.csv) == 22)) || fail "apply did not print 21 positions"
"$springs" apply --model model --adapters model/shared.safetensors --points 21 >shared.csv
! cmp -s a.csv shared.csv || fail "apply does not read the adapters"

# Mistakes: exit status 1 and a sentence.
refused() {
  local sentence=$1
  shift
  if "$springs" "$@" >/dev/null 2>said.txt; then fail "springs $* was not refused"; fi
  grep -qF -- "$sentence" said.txt || fail "springs $*: expected '$sentence', found '$(cat said.txt)'"
}
refused "unknown command ''"
refused "unknown option '--step'" train --step 3
refused 'the option --steps needs a value' train --steps
refused "--steps: expected a number from 1 to 1000000, found '-3'" train --steps -3
refused 'fit needs --examples FILE' fit
refused 'none.csv: cannot be opened' fit --model model --examples none.csv
printf 'time,position\n0.5,1\n1.5,1\n' >late.csv
refused "late.csv:3: expected a time from 0 to 1, a comma and a position, found '1.5,1'" fit --model model --examples late.csv
refused 'memory.safetensors' fit --model nowhere --examples "$measurements"
refused 'expected the tensor' apply --model model --adapters model/backbone.safetensors
if [[ -w /dev/full ]]; then  # a disk without room for what is printed
  if "$springs" apply --model model --adapters a.safetensors >/dev/full 2>said.txt; then fail "a full disk was not said"; fi
  grep -qF 'the output could not be written' said.txt || fail "a full disk: found '$(cat said.txt)'"
fi
"$springs" --help | grep -q '^usage: springs COMMAND' || fail "--help does not print the usage"
echo "downstream: all well"

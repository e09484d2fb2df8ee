#!/usr/bin/env bash
# Writes docs/messages.md: what g++ and clang++ say about each mistake of tests/compile_fail. Run it when a message has changed.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: scripts/messages.sh [--out FILE]
  --out FILE     the page to write, from the folder that you are in; docs/messages.md of this repository if not given
  -h, --help     this text
CXX_GNU and CXX_CLANG name the two compilers; g++ and clang++ if unset.
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$root/docs/messages.md
while (($#)); do
  case $1 in
    --out)
      if (($# < 2)); then echo "messages.sh: --out needs a file" >&2; exit 2; fi
      if [[ $2 == /* ]]; then out=$2; else out=$PWD/$2; fi
      shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

cd "$root"
export LC_ALL=C
compilers=("${CXX_GNU:-g++}" "${CXX_CLANG:-clang++}")
for compiler in "${compilers[@]}"; do
  if ! command -v "$compiler" >/dev/null; then echo "messages.sh: expected a compiler named $compiler, found none" >&2; exit 1; fi
done

# The whole output of a compiler that refuses a file.
refusal() {
  if "$1" -std=c++20 -fsyntax-only -Iinclude "$2" 2>&1; then echo "messages.sh: $2 compiles with $1" >&2; exit 1; fi
}
# The lines of a file between two others.
between() { awk -v from="$2" -v to="$3" '$0 ~ to {on = 0} on {print} $0 ~ from {on = 1}' "$1"; }
fence='```'

page() {
  cat <<TEXT
# Messages

What does not fit does not compile, and the first error says what is wrong, with the numbers, and what would fit. This page
shows that line for the likeliest mistakes, as ${versions[0]} and ${versions[1]} print it, and how many lines there are in all.
\`scripts/messages.sh\` writes the page from \`tests/compile_fail\`; the tests there check the same messages. How they are made:
\`include/wu/core/fits.hpp\`.

clang prints a sentence in parts, with the numbers between them, and names letter by letter. Extents that are known only at run
time (\`wu::dyn\`) appear as -1.

One message as a whole, with each compiler:

TEXT
  for compiler in "${compilers[@]}"; do
    printf '%s\n' "${fence}text" "$(refusal "$compiler" tests/compile_fail/layer_adapter_rank.cpp)" "$fence" ''
  done
  for file in tests/compile_fail/*.cpp; do
    mistake=$(sed -n 's|^// mistake: \(.*\)\.$|\1|p' "$file")
    if [[ -z $mistake ]]; then echo "messages.sh: $file has no line '// mistake: ' and a sentence with a full stop" >&2; exit 1; fi
    printf '## %s\n\n`%s`' "$mistake" "$file"
    if grep -q '^#ifdef WU_CORRECTED' "$file"; then
      printf ':\n\n%s\n' "${fence}cpp"
      between "$file" '^#else' '^#endif'
      printf '%s\n' "$fence"
    else
      printf '\n'
    fi
    for compiler in "${compilers[@]}"; do
      said=$(refusal "$compiler" "$file")
      printf '\n%s, %s lines:\n\n%s\n%s\n%s\n' "$compiler" "$(wc -l <<<"$said" | tr -d ' ')" "${fence}text" \
        "$(grep -m1 'error: ' <<<"$said")" "$fence"
    done
    printf '\n'
  done
  cat <<'TEXT'
## At run time

What only the running program can know is an exception. All of them derive from `wu::Error`
(`include/wu/core/error.hpp`), and `what()` is one sentence: what was expected, what was found, and where.

| | thrown about | for example |
| --- | --- | --- |
| `wu::ShapeError` | sizes that do not fit together, before anything is written | linear: expected 5 rows, found 6 |
| `wu::FileError` | a file that is missing, damaged, or holds something else | "linear.safetensors": tensor "weight": expected shape [5, 4], found [3, 4] |
| `wu::NonFiniteError` | a loss, gradient, weight or adapter that is NaN or infinite, before weights change | the loss is not finite at step 1, part 1 of 1 |
| `wu::Error` itself | any other argument | training: expected at least one part of a batch, found 0 |
TEXT
}

versions=()
for compiler in "${compilers[@]}"; do
  number=$("$compiler" -dumpfullversion 2>/dev/null || "$compiler" -dumpversion)
  versions+=("$compiler $number")
done
trap 'rm -f "$out.part"' EXIT
page >"$out.part"
sed -i -e :a -e '/^\n*$/{$d;N;ba' -e '}' "$out.part"  # no empty line at the end
mv "$out.part" "$out"

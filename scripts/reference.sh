#!/usr/bin/env bash
# Builds the reference, the documentation of every name that users call and the pages of docs/, with Doxygen.
# A warning is an error, and so is a namespace, type or function without documentation. Two need none: data members, which may
# explain themselves by their names, and describe() of a type, which is what wu::describe<T>() calls.
# Needs Doxygen 1.9.4 or newer and no network.
# usage: scripts/reference.sh [FOLDER]     FOLDER (default: build/reference) gets html/index.html
# exit status: 0 built, 1 something is wrong, 77 there is no Doxygen
set -euo pipefail

if (($# > 1)) || [[ ${1:-} == -* ]]; then sed -n '6,7s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 1; fi
if ! command -v doxygen >/dev/null; then
  echo "reference: please install Doxygen, on Debian: sudo apt-get install --no-install-recommends doxygen" >&2
  exit 77
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${1:-$root/build/reference}"
out=$(cd "${1:-$root/build/reference}" && pwd)
cd "$root"
if [[ $root == *[[:space:]]* ]]; then  # Doxygen 1.9 does not find pages whose path has a blank, so it reads copies elsewhere
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  mkdir "$copy/packaging"
  cp -r docs include README.md "$copy"
  cp packaging/README.md "$copy/packaging"
  cd "$copy"
fi

rm -rf "$out/html"
{ cat docs/reference/Doxyfile; printf '%s\n' "OUTPUT_DIRECTORY = \"$out\"" "WARN_LOGFILE = \"$out/warnings.txt\""; } | doxygen -
if grep -vE ' (\(variable\)|describe\(.*\(function\)) of (class|struct) .* is not documented\.$' "$out/warnings.txt" >&2; then exit 1; fi
if [[ ! -e $out/html/index.html || ! -e $out/html/classwu_1_1View.html ]]; then
  echo "reference: Doxygen wrote no page for wu::View into $out/html" >&2
  exit 1
fi
echo "reference: $out/html/index.html"

#!/usr/bin/env bash
# A page's program is the example: its code blocks after lines <!-- file: NAME -->, taken out by tests/tutorial/extract.sh, are
# the files of the same names in a folder.
# usage: same.sh PAGE EXAMPLE FOLDER     FOLDER is emptied first; exits with 1 if a file differs or the page has none
set -euo pipefail
page=$1 example=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"
bash "$(dirname "${BASH_SOURCE[0]}")/../tutorial/extract.sh" "$page" "$folder"

files=0 differ=0
for file in "$folder"/*; do
  [[ -e $file ]] || continue
  files=$((files + 1))
  diff -u "$example/${file##*/}" "$file" || differ=$((differ + 1))
done
echo "${page##*/} and ${example##*/}: $files files, $differ differ"
if ((differ > 0)); then echo "what is right in one belongs into the other"; fi
((files > 0 && differ == 0))

#!/usr/bin/env bash
# The pages' promises about files. In every page:
#   links    a relative link leads to a file or folder that exists
#   names    in a list item that begins with a name in backquotes, every such name before the first link is a word of each
#            linked .hpp or .cpp file:   - `linear_forward`, `linear_backward`: [include/wu/ops/linear.hpp](../../include/...)
# usage: check.sh ROOT     prints what is wrong; exits with 1 if anything is, or if nothing was checked
set -euo pipefail
cd "${1:?usage: check.sh ROOT}"

wrong=0 pages=0 links=0 names=0
complain() { printf '%s\n' "$1"; wrong=$((wrong + 1)); }

# Number and text of every line outside code; a list item is one line.
lines_of() {
  awk '/^ *```/ { code = !code; next }
       code     { next }
       /^ +[^ ]/ && text != "" { text = text " " $0; next }
       { if (text != "") print first " " text; first = NR; text = $0 }
       END { if (text != "") print first " " text }' "$1"
}

check_page() {
  local page=$1 folder line rest target item name number
  folder=$(dirname "$page")
  while read -r number line; do
    rest=$line
    local -a files=()
    while [[ $rest =~ \]\(([^()[:space:]]+)\)(.*) ]]; do
      target=${BASH_REMATCH[1]} rest=${BASH_REMATCH[2]}
      if [[ $target =~ ^([a-z]+:|#) ]]; then continue; fi
      target=${target%%#*}
      links=$((links + 1))
      if [[ ! -e $folder/$target ]]; then complain "$page:$number: no file $target"; continue; fi
      if [[ $target == *.hpp || $target == *.cpp ]]; then files+=("$folder/$target"); fi
    done
    if [[ $line != '- `'* || ${#files[@]} -eq 0 ]]; then continue; fi
    item=${line%%\](*}
    while [[ $item =~ \`([A-Za-z_][A-Za-z0-9_]*)\`(.*) ]]; do
      name=${BASH_REMATCH[1]} item=${BASH_REMATCH[2]}
      for target in "${files[@]}"; do
        names=$((names + 1))
        if ! grep -qw -- "$name" "$target"; then complain "$page:$number: $target has no $name"; fi
      done
    done
  done < <(lines_of "$page")
}

while IFS= read -r -d '' page; do
  pages=$((pages + 1))
  check_page "${page#./}"
done < <(find . -mindepth 1 -type d \( -name build -o -name .git -o -name out -o -exec test -e '{}/CMakeCache.txt' \; \) -prune \
  -o -name '*.md' -print0 | sort -z)  # a build folder of any name has a cache, and in it are pages that are wrong on purpose

echo "$pages pages, $links links, $names names, $wrong wrong"
if ((pages == 0 || links == 0 || names == 0)); then echo "nothing was checked"; exit 1; fi
((wrong == 0))

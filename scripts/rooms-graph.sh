#!/usr/bin/env bash
# The rooms of include/wu and the includes between them: draws docs/images/rooms.svg, or checks that
#   - every arrow is one that the table of docs/rooms.md allows, and the table has every room
#   - the picture has these arrows and no others (the numbers on them may be older)
# usage: scripts/rooms-graph.sh [--check] [ROOT]     drawing needs Graphviz, checking does not
set -euo pipefail
export LC_ALL=C

check=
if [[ ${1:-} == --check ]]; then check=yes; shift; fi
if (($# > 1)) || [[ ${1:-} == -* ]]; then sed -n '5s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; fi
cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}"
page=docs/rooms.md picture=docs/images/rooms.svg

rooms() { for room in include/wu/*/; do basename "$room"; done; }
# "ops includes core: 5" for every arrow, from the headers.
arrows() {
  for room in $(rooms); do
    find "include/wu/$room" -type f -exec cat {} + |
      sed -nE "s,^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]wu/([A-Za-z0-9_]+)/.*,$room includes \1,p"
  done | sort | uniq -c | awk '$2 != $4 { print $2, $3, $4 ": " $1 }'
}
# "ops includes core" for every arrow that the table allows; "core includes" for a row without any.
allowed() {
  awk -F'|' '/^\| `/ { gsub(/[` ]/, "", $2); count = split($4, to, "`"); print $2 " includes"
                       for (k = 2; k <= count; k += 2) print $2 " includes " to[k] }' "$page"
}

if [[ $check ]]; then
  wrong=0
  complain() { while IFS= read -r line; do echo "$1 $line"; wrong=$((wrong + 1)); done; }
  found=$(arrows | sed 's/:.*//')
  [[ $found ]] || { echo "no room includes another: nothing was checked"; exit 1; }
  complain "$page has no row for" < <(comm -23 <(rooms | sort) <(allowed | sed -n 's/ includes$//p' | sort))
  complain "$page has a row for what is no room:" < <(comm -13 <(rooms | sort) <(allowed | sed -n 's/ includes$//p' | sort))
  complain "$page does not allow:" < <(comm -23 <(echo "$found") <(allowed | sort -u))
  drawn=$(sed -nE 's/^ *([a-z_0-9]+ includes [a-z_0-9]+): [0-9]+$/\1/p' "$picture" | sort)
  complain "$picture does not show (run scripts/rooms-graph.sh):" < <(comm -23 <(echo "$found") <(echo "$drawn"))
  complain "$picture shows (run scripts/rooms-graph.sh):" < <(comm -13 <(echo "$found") <(echo "$drawn"))
  echo "$(rooms | wc -l) rooms, $(echo "$found" | wc -l) arrows, $wrong wrong"
  exit $((wrong > 0))
fi

if ! command -v dot >/dev/null; then
  echo "rooms-graph: please install Graphviz, on Debian: sudo apt-get install --no-install-recommends graphviz" >&2
  exit 1
fi

# Graphviz places boxes and arrows: an arrow that a longer way implies stands back. Colours are left to the style below, which
# knows a light and a dark background.
short_ways() { { echo 'digraph {'; arrows | sed 's/ includes / -> /; s/:.*//'; echo '}'; } | tred | sed -n 's/^\t\(.*\) -> \(.*\);/\1 includes \2/p'; }
graph() {
  local room arrow number kind direct
  direct=$(short_ways)
  echo 'digraph rooms { bgcolor=white; nodesep=0.4; ranksep=0.65; pad=0.25;'
  echo 'node [shape=box, style=rounded, fontname="Helvetica", fontsize=15, width=1.25, height=0.5, class=room];'
  echo 'edge [fontname="Helvetica", fontsize=11, arrowsize=0.8];'
  for room in $(rooms); do
    kind=room
    if [[ $room == cpu || $room == cuda ]]; then kind=device; fi
    echo "$room [class=$kind];"
  done
  while IFS=: read -r arrow number; do
    kind='class=implied, weight=1'
    if grep -qx "$arrow" <<<"$direct"; then kind='class=direct, weight=20'; fi
    echo "${arrow/ includes / -> } [label=\"$number\", $kind];"
  done < <(arrows)
  echo '}'
}
drawing=$(graph | dot -Tsvg)
{
  echo "${drawing%%<g id=*}"
  cat <<'SVG'
<style>
  .graph > polygon { fill: #ffffff; }
  .room path { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5; }
  .device path { fill: #fff3e0; stroke: #57606a; stroke-width: 1.5; }
  .direct path { stroke: #1f5fa8; stroke-width: 2; }
  .direct polygon { stroke: #1f5fa8; fill: #1f5fa8; }
  .implied path { stroke: #afb8c1; }
  .implied polygon { stroke: #afb8c1; fill: #afb8c1; }
  .node text { fill: #1f2328; }
  .edge text { fill: #57606a; stroke: #ffffff; stroke-width: 4; paint-order: stroke; }
  @media (prefers-color-scheme: dark) {
    .graph > polygon { fill: #0d1117; }
    .room path { fill: #161b22; stroke: #8b949e; }
    .device path { fill: #3a2a14; stroke: #8b949e; }
    .direct path { stroke: #6cb0ff; }
    .direct polygon { stroke: #6cb0ff; fill: #6cb0ff; }
    .implied path { stroke: #6e7681; }
    .implied polygon { stroke: #6e7681; fill: #6e7681; }
    .node text { fill: #e6edf3; }
    .edge text { fill: #9aa5b1; stroke: #0d1117; }
  }
</style>
SVG
  printf '<desc>\n%s\n</desc>\n' "$(arrows)"
  echo "<g id=${drawing#*<g id=}"
} >"$picture"
echo "rooms-graph: $picture"

#!/usr/bin/env bash
# Takes the files out of a page: every code block after a line <!-- file: NAME -->, those of one name one after the other.
# usage: extract.sh PAGE FOLDER
set -euo pipefail
awk -v folder="$2" '
  /^<!-- file: .* -->$/ { name = $3; next }
  name != "" && !inside && /^```/ { inside = 1; next }
  inside && /^```$/ { inside = 0; name = ""; next }
  inside { print > (folder "/" name) }
  !inside && name != "" && NF { print "extract: line " NR ": expected a code block for " name > "/dev/stderr"; failed = 1; exit }
  END { if (inside || failed) exit 1 }
' "$1"

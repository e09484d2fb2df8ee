# A page as Doxygen wants it, outside of code: formulas between \f$ or \f[ and \f]; links to pages without their #section, which
# Doxygen does not follow; links to other files as seen from build/reference/html. It is called in the repository's root.
function formulas(text,    out, at) {
  out = ""
  while ((at = index(text, "$")) > 0) {
    if (substr(text, at, 2) == "$$") {
      out = out substr(text, 1, at - 1) (displayed ? "\\f]" : "\\f[")
      displayed = !displayed
      text = substr(text, at + 2)
    } else {
      out = out substr(text, 1, at - 1) "\\f$"
      text = substr(text, at + 1)
    }
  }
  return out text
}

function links(text,    out, target) {
  out = ""
  while (match(text, /\]\([^() ]+\)/)) {
    target = substr(text, RSTART + 2, RLENGTH - 3)
    out = out substr(text, 1, RSTART + 1)
    text = substr(text, RSTART + RLENGTH)
    sub(/\.md#.*/, ".md", target)
    if (target !~ /^([a-z]+:|#)/ && target !~ /\.(md|png|svg)(#|$)/) target = "../../../" folder target
    out = out target ")"
  }
  return out text
}

FNR == 1 {
  folder = substr(FILENAME, length(ENVIRON["PWD"]) + 2)
  sub(/[^\/]*$/, "", folder)
}
/^ *```math/ { mathematics = 1; print "\\f["; next }
mathematics { mathematics = !/^ *```/; print mathematics ? $0 : "\\f]"; next }
/^ *```/ { fenced = !fenced }
fenced || /^ *```/ || (/^    / && (blank || indented)) { indented = /^    /; blank = 0; print; next }
{ indented = 0; blank = /^ *$/
  count = split($0, part, "`")
  line = ""
  for (k = 1; k <= count; k++) line = line (k > 1 ? "`" : "") (k % 2 ? formulas(part[k]) : part[k])
  print links(line)
}

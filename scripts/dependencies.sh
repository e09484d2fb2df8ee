#!/usr/bin/env bash
# Makes sure that what the build needs is installed. On Debian and its relatives it installs what is missing, where it may (as
# root, or through sudo without a password); otherwise it says in one line what to install and fails. Quick when nothing is missing.
#   --lint  also what scripts/lint.sh needs
set -euo pipefail

# Debian packages (any one of several serves; the last is installed) | what they are for | a command or header that they bring
needs=(
  'g++|a C++20 compiler|c++'
  'cmake|CMake 3.25 or newer|cmake'
  'ninja-build|the Ninja build tool|ninja'
  'libeigen3-dev|Eigen 3.4: wu-inspect, and the tests of products by Eigen|Eigen/Core'
  'nlohmann-json3-dev|nlohmann-json 3.10 or newer: the report of the examples|nlohmann/json.hpp'
  'libxtensor-dev|xtensor 0.24: n-dimensional arrays, for wu/io/arrays.hpp|xtensor/xtensor.hpp'
  'libboost-test-dev|Boost.Test 1.74 or newer: the tests|boost/test/unit_test.hpp'
  'libpng-dev|libpng: images of the examples|png.h'
  'libjpeg62-turbo-dev libjpeg-dev|libjpeg-turbo: images of the examples|jpeglib.h'
  'libcli11-dev|CLI11: command lines of the examples|CLI/CLI.hpp'
  'libstb-dev|stb: text and resizing in the examples|stb/stb_image.h'
  'pkg-config pkgconf|pkg-config: a test of the package|pkg-config'
  'libbenchmark-dev|Google Benchmark: the benchmarks|benchmark/benchmark.h'
)
if [[ ${1:-} == --lint ]]; then
  needs+=(
    'clang|clang++ 14 or newer: its warnings|clang++'
    'clang-format-19|clang-format 19|clang-format-19'
    'clang-tidy-19|clang-tidy 19|clang-tidy-19'
  )
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  tools=() libraries=()
  for need in "${needs[@]}"; do
    IFS='|' read -r _ purpose brings <<<"$need"
    if [[ $brings != */* && $brings != *.h ]]; then
      command -v "$brings" >/dev/null || tools+=("$purpose")
    elif ! c++ -x c++ -E -I/usr/local/include -I/usr/include/eigen3 -I/usr/local/include/eigen3 -I/opt/homebrew/include \
        -I/opt/homebrew/include/eigen3 -include "$brings" /dev/null >/dev/null 2>&1; then
      libraries+=("$purpose")
    fi
  done
  list() { local all; all=$(printf '%s; ' "$@"); echo "${all%; }"; }
  if command -v c++ >/dev/null && ((${#libraries[@]})); then  # no more than a hint: CMake may know where they are
    echo "dependencies: not found in the usual places: $(list "${libraries[@]}")" >&2
  fi
  if ((${#tools[@]})); then
    echo "dependencies: please install with this system's package manager: $(list "${tools[@]}")" >&2
    exit 1
  fi
  exit 0
fi

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

missing=()
for need in "${needs[@]}"; do
  IFS='|' read -r packages _ brings <<<"$need"
  if [[ $brings != */* && $brings != *.h ]] && command -v "$brings" >/dev/null; then continue; fi
  found=''
  for package in $packages; do
    if installed "$package"; then found=yes; fi
  done
  [[ -n $found ]] || missing+=("${packages##* }")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
    echo "dependencies: please run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
echo "dependencies: installing ${missing[*]}"
aptget() { ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }
aptget update || echo "dependencies: the package lists could not be refreshed; trying with those at hand" >&2
aptget install -y --no-install-recommends "${missing[@]}" >/dev/null
if ! installed ccache; then  # makes later builds quicker; nothing needs it
  aptget install -y --no-install-recommends ccache >/dev/null || true
fi

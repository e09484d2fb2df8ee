# pkg-config, from an installed tree: wu.pc and no build system at all.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

find_program(pkg_config pkg-config)
if(NOT pkg_config)
  message("package test skipped: there is no pkg-config")
  return()
endif()

set(ENV{PKG_CONFIG_PATH} "${prefix}/share/pkgconfig:$ENV{PKG_CONFIG_PATH}")
run("${pkg_config}" --modversion wu)
string(STRIP "${output}" output)
if(NOT output STREQUAL version)
  message(FATAL_ERROR "wu.pc has the version ${output}, wu has ${version}")
endif()
run("${pkg_config}" --cflags --libs wu)
separate_arguments(flags UNIX_COMMAND "${output}")

set(program "${work}/pkg_config")
run("${compiler}" -std=c++20 "${CMAKE_CURRENT_LIST_DIR}/../outside/cpu.cpp" -o "${program}" ${flags})
run("${program}")
if(NOT output MATCHES "wu ${version}, ")
  message(FATAL_ERROR "the program printed: ${output}")
endif()

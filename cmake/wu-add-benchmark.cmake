# wu_add_benchmark(<name> <file.cpp>... [NO_O3] [NO_NATIVE]): a program of benchmarks from files that include
# wu/benchmark.hpp or parts of it. Its main() is Google Benchmark's. Unless told otherwise it is compiled with -O3 (but not
# in a Debug build) and for the processor of this machine, since other figures say little about it.
include("${CMAKE_CURRENT_LIST_DIR}/wu-compile-for-speed.cmake")

function(wu_add_benchmark name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_O3;NO_NATIVE" "" "")
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "wu_add_benchmark(${name}): expected at least one source file, found none")
  endif()
  find_package(benchmark 1.6 REQUIRED)
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE wu::cpu benchmark::benchmark benchmark::benchmark_main)
  set(in_source_tree "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../benchmarks/include")
  if(EXISTS "${in_source_tree}/wu/benchmark.hpp")  # installed, it lies beside wu's other headers
    target_include_directories(${name} PRIVATE "${in_source_tree}")
  endif()
  _wu_compile_for_speed(${name} "${arg_NO_O3}" "${arg_NO_NATIVE}")
endfunction()

# cmake -DCOMPILER=g++ -DSOURCE=mistake.cpp -P check.cmake
# Compiles a mistake and its corrected twin, the same file with WU_CORRECTED defined. The twin must compile. The mistake must not:
# the first line with an error must match what the file's first line says after '// expected: ' (its second line after
# '// clang: ', if there is one and the compiler is clang), and all that the compiler writes must fit into 12 lines.
# scripts/messages.sh shows the same messages on docs/messages.md, under what the file says after '// mistake: '.
cmake_minimum_required(VERSION 3.25)
set(most_lines 12)

file(READ "${SOURCE}" text)
set(ENV{LC_ALL} C)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH tests)
cmake_path(GET tests PARENT_PATH root)
set(compile "${COMPILER}" -std=c++20 -fsyntax-only -Iinclude "${SOURCE}")

execute_process(COMMAND "${COMPILER}" --version OUTPUT_VARIABLE version COMMAND_ERROR_IS_FATAL ANY)
if(version MATCHES "clang" AND text MATCHES "^[^\n]*\n// clang: ([^\n]+)")
  set(expected "${CMAKE_MATCH_1}")
elseif(text MATCHES "^// expected: ([^\n]+)")
  set(expected "${CMAKE_MATCH_1}")
else()
  message(FATAL_ERROR "${SOURCE}: the first line must be '// expected: ' and what the compiler has to say")
endif()

execute_process(COMMAND ${compile} -DWU_CORRECTED WORKING_DIRECTORY "${root}" RESULT_VARIABLE status ERROR_VARIABLE said)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${SOURCE}: the corrected twin does not compile:\n${said}")
endif()

execute_process(COMMAND ${compile} WORKING_DIRECTORY "${root}" RESULT_VARIABLE status ERROR_VARIABLE said)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE}: the mistake compiles")
endif()
if(NOT said MATCHES "([^\n]*error: [^\n]*)")
  message(FATAL_ERROR "${SOURCE}: no line with an error in\n${said}")
endif()
set(line "${CMAKE_MATCH_1}")
# clang prints the parts of a sentence (include/wu/core/fits.hpp) side by side: "rank ", 8L, " of ", type<float>, 'm', 'l', 'p'
string(REGEX REPLACE "'(.)'(, )?" "\\1" line "${line}")
string(REGEX REPLACE "(\", |, \")" "" line "${line}")
string(REGEX REPLACE "([0-9])U?L" "\\1" line "${line}")
string(REGEX REPLACE "type<([^<>]*(<[^<>]*>)?[^<>]*)>" "\\1" line "${line}")
string(REPLACE "\"" "" line "${line}")
if(NOT line MATCHES "${expected}")
  message(FATAL_ERROR "${SOURCE}: expected\n  ${expected}\nin the first line with an error, found\n  ${line}\nin\n${said}")
endif()
string(REGEX MATCHALL "\n" ends "${said}")
list(LENGTH ends lines)
if(lines GREATER most_lines)
  message(FATAL_ERROR "${SOURCE}: expected at most ${most_lines} lines of output, found ${lines}:\n${said}")
endif()
message(STATUS "${lines} lines: ${line}")

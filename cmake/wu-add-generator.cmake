# wu_add_generator(<target> CONFIG <config.json> [VARIANT released|paper] [PRECOMPILED] [NO_O3] [NO_NATIVE])
# wu_add_generator(<target> SHAPE <name> ...)
# The program wu-generate for one generator: the one that a config.json describes, or one of wu/generator/shapes.hpp, such as
# HyWu. The shape of a CONFIG is written as a type into <target>_shape/<target>_shape.hpp in the binary folder: a struct
# <target>_shape that a program of your own may use too. VARIANT says what no field of the file does: the released code's
# choices (the default) or the paper's. A configuration that misses something, or is at odds with itself, stops CMake with a
# sentence that names the field; fields that nobody here knows are ignored, with a note.
# The program's command line needs CLI11. Unless told otherwise the program is compiled with -O3 (but not in a Debug build) and
# for the processor of this machine. PRECOMPILED links wu::precompiled instead, whose options are then the program's.

include("${CMAKE_CURRENT_LIST_DIR}/wu-compile-for-speed.cmake")

# The program that reads a config.json, compiled when it is first needed and whenever its sources change.
function(_wu_generator_shape_program result)
  set(here "${CMAKE_CURRENT_FUNCTION_LIST_DIR}")
  set(include_dir "${here}/../include")
  if(NOT EXISTS "${include_dir}/wu/io/generator_config.hpp")  # installed: where wu's headers are
    get_target_property(include_dir wu::wu INTERFACE_INCLUDE_DIRECTORIES)
  endif()
  set(source "${here}/generator-shape.cpp")
  file(GLOB sources "${include_dir}/wu/io/*.hpp" "${include_dir}/wu/core/*.hpp")
  list(SORT sources)
  set(state "${CMAKE_CXX_COMPILER} ${CMAKE_CXX_COMPILER_VERSION}")
  foreach(file IN LISTS sources source)
    file(SHA256 "${file}" hash)
    string(APPEND state " ${hash}")
  endforeach()
  string(SHA256 state "${state}")

  set(folder "${CMAKE_BINARY_DIR}/CMakeFiles/wu-generator-shape")
  set(program "${folder}/generator-shape${CMAKE_EXECUTABLE_SUFFIX}")
  set(${result} "${program}" PARENT_SCOPE)
  if(EXISTS "${program}" AND WU_GENERATOR_SHAPE_STATE STREQUAL state)
    return()
  endif()
  set(CMAKE_TRY_COMPILE_TARGET_TYPE EXECUTABLE)
  try_compile(compiled "${folder}" SOURCES "${source}" CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${include_dir}"
              CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF OUTPUT_VARIABLE output COPY_FILE "${program}")
  if(NOT compiled)
    message(FATAL_ERROR "wu_add_generator: the program that reads a generator's configuration did not compile:\n${output}")
  endif()
  set(WU_GENERATOR_SHAPE_STATE "${state}" CACHE INTERNAL "What wu's program for generators' configurations was compiled from")
endfunction()

# What every wu-generate has in common, compiled once for a project.
function(_wu_generate_common source_dir)
  if(TARGET wu_generate_common)
    return()
  endif()
  add_library(wu_generate_common STATIC EXCLUDE_FROM_ALL "${source_dir}/command_line.cpp" "${source_dir}/files.cpp"
              "${source_dir}/progress.cpp")
  set_target_properties(wu_generate_common PROPERTIES CXX_EXTENSIONS OFF)
  target_include_directories(wu_generate_common PUBLIC "${source_dir}")
  target_link_libraries(wu_generate_common PUBLIC wu::wu)
  # Not linked: a target of find_package() is only known in one folder, and the users of this one may lie in others.
  get_target_property(cli11_include CLI11::CLI11 INTERFACE_INCLUDE_DIRECTORIES)
  if(cli11_include)
    target_include_directories(wu_generate_common SYSTEM PRIVATE ${cli11_include})
  endif()
endfunction()

# The program from a header and the name of the struct in it that states the shape.
function(_wu_generate_program target header shape precompiled no_o3 no_native)
  set(source_dir "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../examples/generate")
  if(NOT EXISTS "${source_dir}/main.cpp")  # installed, it lies beside this file
    set(source_dir "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/generate")
  endif()
  find_package(CLI11 QUIET)
  if(NOT TARGET CLI11::CLI11)
    message(FATAL_ERROR "wu_add_generator(${target}): wu-generate reads its command line with CLI11, which was not found: "
                        "install it (on Debian, libcli11-dev), or set CLI11_DIR.")
  endif()
  _wu_generate_common("${source_dir}")
  add_executable(${target} "${source_dir}/main.cpp")
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_definitions(${target} PRIVATE "WU_GENERATE_HEADER=\"${header}\"" "WU_GENERATE_SHAPE=${shape}")
  target_link_libraries(${target} PRIVATE wu_generate_common)
  if(precompiled)
    if(NOT TARGET wu::precompiled)
      message(FATAL_ERROR "wu_add_generator(${target}): PRECOMPILED needs wu::precompiled: find_package(wu COMPONENTS precompiled).")
    endif()
    target_link_libraries(${target} PRIVATE wu::precompiled)
    set(no_native TRUE)  # its options are the program's
  elseif(TARGET wu::cpu)
    target_link_libraries(${target} PRIVATE wu::cpu)
  else()
    message(FATAL_ERROR "wu_add_generator(${target}): wu-generate needs wu::cpu: find_package(wu COMPONENTS cpu).")
  endif()
  _wu_compile_for_speed(${target} "${no_o3}" "${no_native}")
endfunction()

function(wu_add_generator target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "PRECOMPILED;NO_O3;NO_NATIVE" "CONFIG;SHAPE;VARIANT" "")
  set(what "wu_add_generator(${target})")
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "${what}: expected CONFIG <config.json> or SHAPE <name>, found ${arg_UNPARSED_ARGUMENTS} "
                        "${arg_KEYWORDS_MISSING_VALUES}")
  endif()
  if(arg_CONFIG AND arg_SHAPE OR NOT arg_CONFIG AND NOT arg_SHAPE)
    message(FATAL_ERROR "${what}: expected CONFIG <config.json> or SHAPE <name>, found neither or both")
  endif()
  if(arg_SHAPE)
    if(arg_VARIANT)
      message(FATAL_ERROR "${what}: expected VARIANT with CONFIG only, for a SHAPE is of one")
    endif()
    _wu_generate_program(${target} wu/generator/shapes.hpp "wu::shapes::${arg_SHAPE}" "${arg_PRECOMPILED}" "${arg_NO_O3}"
                         "${arg_NO_NATIVE}")
    return()
  endif()

  if(NOT DEFINED arg_VARIANT)
    set(arg_VARIANT released)
  elseif(NOT arg_VARIANT MATCHES "^(released|paper)$")
    message(FATAL_ERROR "${what}: expected VARIANT released or paper, found ${arg_VARIANT}")
  endif()
  if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    message(FATAL_ERROR "${what}: a program compiled for ${CMAKE_SYSTEM_NAME} reads the configuration while CMake runs, so a build "
                        "for another machine needs an emulator: set CMAKE_CROSSCOMPILING_EMULATOR.")
  endif()
  get_filename_component(config "${arg_CONFIG}" ABSOLUTE)
  if(NOT EXISTS "${config}" OR IS_DIRECTORY "${config}")
    message(FATAL_ERROR "${what}: there is no file ${config}")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${config}")

  _wu_generator_shape_program(program)
  string(MAKE_C_IDENTIFIER "${target}_shape" shape)
  execute_process(COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} "${program}" "${config}" ${arg_VARIANT} ${shape}
                  RESULT_VARIABLE result OUTPUT_VARIABLE text ERROR_VARIABLE words)
  string(STRIP "${words}" words)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what}: ${words}")
  endif()
  if(words)
    string(REPLACE "\n" "\n-- ${what}: " words "${words}")
    message(STATUS "${what}: ${words}")
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}_shape")
  set(header "${folder}/${target}_shape.hpp")
  set(old "")
  if(EXISTS "${header}")
    file(READ "${header}" old)
  endif()
  if(NOT old STREQUAL text)  # left alone, it makes nothing compile anew
    file(WRITE "${header}" "${text}")
  endif()
  _wu_generate_program(${target} "${target}_shape.hpp" ${shape} "${arg_PRECOMPILED}" "${arg_NO_O3}" "${arg_NO_NATIVE}")
  target_include_directories(${target} PRIVATE "${folder}")
endfunction()

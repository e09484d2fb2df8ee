# What the scripts under run/ share. `cmake -P` runs them with the variables that CMakeLists.txt beside this file hands over.
cmake_minimum_required(VERSION 3.25)
set(prefix "${work}/prefix")

# Runs a command. Its output is in `output` afterwards, with every run of white space made one space; fails where it fails.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${output}\nfailed: ${command}")
  endif()
  string(REGEX REPLACE "[ \r\n]+" " " output "${output}")
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Runs a command that has to fail and to say `sentence`.
function(run_refused sentence)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \r\n]+" " " words "${output}")
  string(FIND "${words}" "${sentence}" found)
  if(result EQUAL 0 OR found EQUAL -1)
    message(FATAL_ERROR "${output}\nexpected a failure (status: ${result}) that says: ${sentence}")
  endif()
endfunction()

# The command that configures a project of this folder anew, in a folder named after the test and `variant`, with -D options.
function(configure_command command folder project variant)
  set(binary_dir "${work}/${name} ${variant}")  # with a blank, as in many a user's path
  file(REMOVE_RECURSE "${binary_dir}")
  set(${folder} "${binary_dir}" PARENT_SCOPE)
  set(${command} "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${project}" -B "${binary_dir}" -G "${generator}"
                 -C "${cache}" ${ARGN} PARENT_SCOPE)
endfunction()

# Configures and builds the outside project, whose programs run while they are built, and sees to it that they print wu's
# version and the right numbers. The options tell where wu's headers have to lie.
function(build_outside variant version)
  configure_command(configure folder outside "${variant}" ${ARGN})
  run(${configure})
  run("${CMAKE_COMMAND}" --build "${folder}")
  if(NOT output MATCHES "wu ${version}, y = 13 13 13")
    message(FATAL_ERROR "no program printed 'wu ${version}, y = 13 13 13': ${output}")
  endif()
endfunction()

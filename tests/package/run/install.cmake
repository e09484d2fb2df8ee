# An installed wu is whole, and is independent of where it was made: it is installed from a copy of the source tree into one
# folder, moved to another, and the copy is deleted before anything uses it.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

file(REMOVE_RECURSE "${work}")
file(COPY "${source}/CMakeLists.txt" "${source}/cmake" "${source}/include" "${source}/benchmarks" "${source}/LICENSE" DESTINATION "${work}/copy")
run("${CMAKE_COMMAND}" -S "${work}/copy" -B "${work}/copy-build" -G "${generator}" -C "${cache}"
    -D WU_BUILD_TESTS=OFF -D WU_BUILD_EXAMPLES=OFF -D WU_BUILD_BENCHMARKS=OFF -D WU_PRECOMPILED=OFF)
run("${CMAKE_COMMAND}" --install "${work}/copy-build" --prefix "${work}/before the move")
file(REMOVE_RECURSE "${work}/copy" "${work}/copy-build")
file(RENAME "${work}/before the move" "${prefix}")

file(GLOB_RECURSE expected LIST_DIRECTORIES false RELATIVE "${source}/include" "${source}/include/*")
file(GLOB_RECURSE of_benchmarks LIST_DIRECTORIES false RELATIVE "${source}/benchmarks/include" "${source}/benchmarks/include/*")
list(APPEND expected ${of_benchmarks})
list(SORT expected)
file(GLOB_RECURSE installed LIST_DIRECTORIES false RELATIVE "${prefix}/include" "${prefix}/include/*")
list(SORT installed)
if(NOT expected STREQUAL installed)
  set(missing ${expected})
  list(REMOVE_ITEM missing ${installed})
  message(FATAL_ERROR "of include/ these are not installed: ${missing}; installed are: ${installed}")
endif()

file(GLOB_RECURSE texts "${prefix}/*.cmake" "${prefix}/*.pc")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  foreach(path "${work}" "${source}")
    string(FIND "${content}" "${path}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${text} names ${path}, where it was made")
    endif()
  endforeach()
endforeach()

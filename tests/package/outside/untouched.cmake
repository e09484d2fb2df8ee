# What wu leaves alone in a project that it becomes a part of. Between the two functions' calls it becomes one.

# Calls `visit` with a name and a value for everything that wu must not change.
function(each_thing_of_ours visit)
  get_cmake_property(variables VARIABLES)
  list(FILTER variables INCLUDE REGEX "^(CMAKE_|BUILD_|CTEST_|CPACK_|PROJECT_)")
  list(FILTER variables EXCLUDE REGEX "^CMAKE_(CURRENT_FUNCTION.*|MATCH_.*|HAVE_LIBC_PTHREAD)$")  # the last is FindThreads
  list(APPEND variables BUILD_TESTING CMAKE_BUILD_TYPE CMAKE_CXX_STANDARD CMAKE_CXX_EXTENSIONS)  # set or not
  list(REMOVE_DUPLICATES variables)
  foreach(variable IN LISTS variables)
    cmake_language(CALL ${visit} "${variable}" "${${variable}}")
  endforeach()
  foreach(property COMPILE_DEFINITIONS COMPILE_OPTIONS INCLUDE_DIRECTORIES LINK_DIRECTORIES LINK_OPTIONS TESTS)
    get_property(value DIRECTORY PROPERTY ${property})
    cmake_language(CALL ${visit} "directory's ${property}" "${value}")
  endforeach()
endfunction()

function(remember name value)
  set_property(GLOBAL PROPERTY "before: ${name}" "${value}")
endfunction()

function(compare name value)
  get_property(before GLOBAL PROPERTY "before: ${name}")
  if(NOT value STREQUAL before)
    message(SEND_ERROR "wu changed ${name} from '${before}' to '${value}'")
  endif()
endfunction()

function(remember_what_is_ours)
  each_thing_of_ours(remember)
  get_cmake_property(cache CACHE_VARIABLES)
  set_property(GLOBAL PROPERTY cache_before "${cache}")
endfunction()

function(check_what_is_ours)
  each_thing_of_ours(compare)

  get_cmake_property(cache CACHE_VARIABLES)
  get_property(cache_before GLOBAL PROPERTY cache_before)
  list(REMOVE_ITEM cache ${cache_before})
  set(of_cmake FETCHCONTENT_.* GIT_EXECUTABLE CMAKE_HAVE_LIBC_PTHREAD FIND_PACKAGE_MESSAGE_DETAILS_.*)
  set(of_libraries Eigen3_DIR xtensor_DIR xtl_DIR xsimd_DIR TBB_DIR arch_native_supported)  # the last four are xtensor's
  list(JOIN of_cmake "|" of_cmake)
  list(JOIN of_libraries "|" of_libraries)
  list(FILTER cache EXCLUDE REGEX "^(WU_.*|wu_.*|${of_cmake}|${of_libraries})$")
  if(cache)
    message(SEND_ERROR "wu put into the cache: ${cache}")
  endif()

  get_property(targets DIRECTORY "${wu_SOURCE_DIR}" PROPERTY BUILDSYSTEM_TARGETS)
  list(FILTER targets EXCLUDE REGEX "^(wu|wu_cpu|wu_precompiled|wu_arrays)$")
  get_property(folders DIRECTORY "${wu_SOURCE_DIR}" PROPERTY SUBDIRECTORIES)
  get_property(tests DIRECTORY "${wu_SOURCE_DIR}" PROPERTY TESTS)
  if(targets OR folders OR tests)
    message(SEND_ERROR "wu brought more than its libraries: targets '${targets}', folders '${folders}', tests '${tests}'")
  endif()
endfunction()

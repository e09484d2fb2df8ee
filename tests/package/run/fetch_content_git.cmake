# FetchContent, from what is committed in this repository.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

execute_process(COMMAND git -C "${source}" rev-parse --verify HEAD OUTPUT_VARIABLE commit RESULT_VARIABLE no_commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(no_commit OR NOT EXISTS "${source}/.git")
  message("package test skipped: ${source} is not the root of a git checkout")
  return()
endif()
build_outside(cpu "[0-9.]+" -D way=fetch_content_git -D "wu_source=${source}" -D "wu_commit=${commit}"
              -D "headers=_deps/wu-src/include")

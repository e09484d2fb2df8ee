# Requests that have to fail, and what CMake then says.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

configure_command(configure folder refused all)
run(${configure})

# The same as a user meets it, in the error of a REQUIRED package.
configure_command(configure folder outside component -D way=find_package -D components=cuda)
run_refused("this build of wu has no component 'cuda'. It has headers, cpu, arrays." ${configure})

# Before 1.0 a minor version may break what the last one promised: neither an older nor a newer one serves.
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" minor_version "${version}")
set(others 9.9)
foreach(step 1 -1)
  math(EXPR minor "${CMAKE_MATCH_2} + ${step}")
  if(minor GREATER_EQUAL 0)
    list(APPEND others "${CMAKE_MATCH_1}.${minor}")
  endif()
endforeach()
foreach(other IN LISTS others)
  configure_command(configure folder outside version -D way=find_package -D "wu_version=${other}")
  run_refused("compatible with requested version \"${other}\"" ${configure})
  run_refused("wu-config.cmake, version: ${version}" ${configure})
endforeach()

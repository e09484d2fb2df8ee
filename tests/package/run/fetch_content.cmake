# FetchContent, from the source tree as it lies here.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

build_outside(cpu "${version}" -D way=fetch_content -D "wu_source=${source}" -D "headers=${source}/include")

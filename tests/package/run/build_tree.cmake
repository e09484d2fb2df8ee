# find_package(wu CONFIG), from the build tree of wu.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

build_outside(cpu "${version}" -D way=find_package -D "wu_DIR=${build}" -D "headers=${source}/include")

# find_package(wu CONFIG), from an installed tree.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" minor_version "${version}")
set(headers -D "headers=${prefix}/include")

build_outside(default "${version}" ${headers} -D way=find_package_default -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
if(arrays)
  build_outside(arrays "${version}" ${headers} -D way=find_package -D components=arrays -D "wu_version=${minor_version}"
                -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
endif()

# wu::wu needs no library.
build_outside(headers "${version}" ${headers} -D way=find_package -D components=headers -D "wu_version=${version}"
              -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON -D CMAKE_DISABLE_FIND_PACKAGE_xtensor=ON)

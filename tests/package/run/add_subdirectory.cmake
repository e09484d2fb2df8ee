# wu as a folder of another project: one that leaves the C++ standard to wu, and one that has C++23, and
# Eigen of its own for wu's products.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")
set(options -D way=add_subdirectory -D "wu_source=${source}" -D "headers=${source}/include")

build_outside(plain "${version}" ${options} -D components=headers,cpu)
if(arrays)
  build_outside(arrays "${version}" ${options} -D components=arrays -D WU_ARRAYS=ON)
endif()
build_outside(c++23 "${version}" ${options} -D CMAKE_CXX_STANDARD=23 -D CMAKE_CXX_EXTENSIONS=OFF -D WU_PRODUCT=eigen
              -D "own_eigen=${eigen_include}" -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)

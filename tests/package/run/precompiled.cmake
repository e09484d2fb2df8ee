# wu::precompiled: installed, for programs that do not look for Eigen; and as a part of the project that uses it.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")
set(prefix "${work}/precompiled prefix")
set(build_dir "${work}/precompiled build")

file(REMOVE_RECURSE "${prefix}" "${build_dir}")
run("${CMAKE_COMMAND}" -S "${source}" -B "${build_dir}" -G "${generator}" -C "${cache}" -D WU_PRECOMPILED=ON -D CMAKE_BUILD_TYPE=Debug
    -D WU_BUILD_TESTS=OFF -D WU_BUILD_EXAMPLES=OFF -D WU_BUILD_BENCHMARKS=OFF)
run("${CMAKE_COMMAND}" --build "${build_dir}")
run("${CMAKE_COMMAND}" --install "${build_dir}" --prefix "${prefix}")

build_outside(installed "${version}" -D "headers=${prefix}/include" -D way=find_package -D components=precompiled
              -D "CMAKE_PREFIX_PATH=${prefix}" -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
build_outside(part "${version}" -D "headers=${source}/include" -D way=add_subdirectory -D components=precompiled
              -D "wu_source=${source}")

# wu::precompiled: installed, with Eigen's products, for programs that do not look for Eigen; and as a part of the project that uses it.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")
set(prefix "${work}/precompiled prefix")
set(build_dir "${work}/precompiled build")

file(REMOVE_RECURSE "${prefix}" "${build_dir}")
run("${CMAKE_COMMAND}" -S "${source}" -B "${build_dir}" -G "${generator}" -C "${cache}" -D WU_PRECOMPILED=ON -D WU_PRODUCT=eigen
    -D CMAKE_BUILD_TYPE=Debug
    -D WU_BUILD_TESTS=OFF -D WU_BUILD_EXAMPLES=OFF -D WU_BUILD_BENCHMARKS=OFF)
run("${CMAKE_COMMAND}" --build "${build_dir}")
run("${CMAKE_COMMAND}" --install "${build_dir}" --prefix "${prefix}")

build_outside(installed "${version}" -D "headers=${prefix}/include" -D way=find_package -D components=precompiled
              -D "CMAKE_PREFIX_PATH=${prefix}" -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
# The same installed tree has wu::cpu, which looks for Eigen, and says so where there is none.
build_outside(eigen "${version}" -D "headers=${prefix}/include" -D way=find_package -D components=cpu
              -D "CMAKE_PREFIX_PATH=${prefix}")
configure_command(configure folder outside refused -D way=find_package -D components=cpu -D "CMAKE_PREFIX_PATH=${prefix}"
                  -D CMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
run_refused("wu's component 'cpu' needs Eigen 3.4, which was not found" ${configure})
build_outside(part "${version}" -D "headers=${source}/include" -D way=add_subdirectory -D components=precompiled
              -D "wu_source=${source}")

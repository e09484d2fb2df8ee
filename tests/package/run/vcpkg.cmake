# The vcpkg port, without vcpkg: the functions that vcpkg gives to a portfile are played by the few lines below. They do what
# matters to the port: install, and move the CMake files to share/wu. What comes out is used by an outside program.
include("${CMAKE_CURRENT_LIST_DIR}/../support.cmake")

set(PORT wu)
set(CURRENT_PORT_DIR "${source}/packaging/vcpkg/wu")
set(CURRENT_PACKAGES_DIR "${work}/vcpkg packages")
set(build_dir "${work}/vcpkg build")
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}" "${build_dir}")

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  run("${CMAKE_COMMAND}" -S "${arg_SOURCE_PATH}" -B "${build_dir}" -G "${generator}" -C "${cache}" ${arg_OPTIONS}
      -D "CMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" -D CMAKE_INSTALL_LIBDIR=lib)
endfunction()

function(vcpkg_cmake_install)
  run("${CMAKE_COMMAND}" --install "${build_dir}")
endfunction()

# The files come to lie two folders below the prefix instead of three.
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH" "")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*.cmake")
  set(up [[get_filename_component(_IMPORT_PREFIX "${_IMPORT_PREFIX}" PATH)]])
  foreach(file IN LISTS files)
    get_filename_component(file_name "${file}" NAME)
    file(READ "${file}" content)
    string(REPLACE "${up}\n${up}\n${up}\n" "${up}\n${up}\n" content "${content}")
    file(WRITE "${CURRENT_PACKAGES_DIR}/share/${PORT}/${file_name}" "${content}")
  endforeach()
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib/cmake")
endfunction()

function(vcpkg_fixup_pkgconfig)
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE "${arg_FILE_LIST}" "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
endfunction()

include("${CURRENT_PORT_DIR}/portfile.cmake")

file(GLOB_RECURSE others RELATIVE "${CURRENT_PACKAGES_DIR}" "${CURRENT_PACKAGES_DIR}/*")
list(FILTER others EXCLUDE REGEX "^(include/wu/.*\\.hpp|share/wu/(wu-.*\\.cmake|usage|copyright)|share/pkgconfig/wu\\.pc)$")
if(others)
  message(FATAL_ERROR "the port leaves more than headers, CMake files, wu.pc, usage and copyright: ${others}")
endif()

file(READ "${CURRENT_PORT_DIR}/vcpkg.json" manifest)
string(JSON manifest_version GET "${manifest}" version)
if(NOT manifest_version STREQUAL version)
  message(FATAL_ERROR "packaging/vcpkg/wu/vcpkg.json says version ${manifest_version}, wu is ${version}")
endif()

build_outside(cpu "${version}" -D way=find_package -D components=headers,cpu -D "wu_DIR=${CURRENT_PACKAGES_DIR}/share/wu"
              -D "headers=${CURRENT_PACKAGES_DIR}/include")

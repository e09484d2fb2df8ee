# _wu_compile_for_speed(<target> <no_o3> <no_native>): -O3, but not in a Debug build, and for the processor of this machine, each
# unless its argument is true.
function(_wu_compile_for_speed target no_o3 no_native)
  if(NOT no_o3 AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O3>)
  endif()
  if(NOT no_native)
    include(CheckCXXCompilerFlag)
    check_cxx_compiler_flag(-march=native WU_HAS_MARCH_NATIVE)
    if(WU_HAS_MARCH_NATIVE)
      target_compile_options(${target} PRIVATE -march=native)
    endif()
  endif()
endfunction()

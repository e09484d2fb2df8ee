"""wu as a package of Conan 2, made from the source tree that this file lies in."""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class WuRecipe(ConanFile):
    name = "wu"
    description = "Functional memory: a transformer that writes adapters for a frozen model"
    license = "Apache-2.0"
    topics = ("lora", "hypernetwork", "diffusion", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"arrays": [True, False]}
    default_options = {"arrays": False}

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self._root, "include", "wu", "core", "version.hpp"))
        parts = (re.search(rf"#define WU_VERSION_{part} (\d+)", header) for part in ("MAJOR", "MINOR", "PATCH"))
        self.version = ".".join(part.group(1) for part in parts)

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "cmake/*", "include/*", "benchmarks/include/*", "examples/generate/*", "LICENSE"):
            copy(self, pattern, src=self._root, dst=self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        if self.options.arrays:
            self.requires("xtensor/[>=0.24 <0.25]", transitive_headers=True)

    def package_id(self):
        self.info.clear()  # the headers are the same for every compiler, setting and option

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for what in ("TESTS", "EXAMPLES", "BENCHMARKS"):
            toolchain.cache_variables[f"WU_BUILD_{what}"] = False
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        CMake(self).install()

    def package_info(self):
        headers = self.cpp_info.components["headers"]
        # find_package(wu) reads the files that wu installs, so that components and messages are the same as without Conan.
        self.cpp_info.set_property("cmake_find_mode", "none")
        headers.builddirs = [os.path.join("lib", "cmake", "wu")]

        cpu = self.cpp_info.components["cpu"]
        cpu.requires = ["headers"]
        if self.settings.get_safe("os") in ("Linux", "FreeBSD"):
            cpu.system_libs = ["pthread"]
        if self.options.arrays:
            self.cpp_info.components["arrays"].requires = ["headers", "xtensor::xtensor"]
        for component in self.cpp_info.components.values():
            component.bindirs = []
            component.libdirs = []

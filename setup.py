"""Compile the Cython modules; everything else is in pyproject.toml."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

if sys.byteorder != "little" or sys.maxsize < 2**32:
    sys.exit("imeiset needs a 64-bit little-endian processor, such as x86-64 and aarch64")
NATIVE = Path("imeiset", "_native")
SHARED = "imeiset._native._shared"  # what Cython would otherwise put into every module
DEBUG = bool(os.environ.get("IMEISET_DEBUG"))  # bounds-checked Cython
SANITIZE = bool(os.environ.get("IMEISET_SANITIZE"))  # AddressSanitizer and UBSan, see `make sanitize`
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
DIRECTIVES = {"language_level": 3, "embedsignature": True, "wraparound": False, "auto_pickle": False}
DIRECTIVES |= {"boundscheck": DEBUG, "initializedcheck": DEBUG, "freethreading_compatible": True}

# A portable baseline: no -march. -ffp-contract=off keeps the bytes of a snapshot the same on every machine.
compile_args = ["-O3", "-std=c11", "-ffp-contract=off", "-Wall", "-Wno-unused-function"]
compile_args += [] if DEBUG else ["-g0"]  # the interpreter's own flags ask for -g
FAST = ("checks", "identity_check", "imsi", "index", "parse", "scan", "sort")
SPECIAL = {f"imeiset._native.{name}": [] for name in FAST}
# Without the code that is shared the module is small, and GCC would inline too little in its sweeps.
SPECIAL["imeiset._native.index"] += ["--param=inline-unit-growth=400"]
SMALL = (
    [] if SANITIZE else ["-Os"]
)  # the other modules have no kernels: -O3 makes them larger, and nothing faster
sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
compile_args += [*sanitizers, "-O1", "-g"] if SANITIZE else []


class Build(build_ext):
    """Makes the C files, when there is something to compile: an sdist does without Cython."""

    def run(self) -> None:
        from Cython.Build import cythonize

        options = {"build_dir": "build/cython", "nthreads": CORES if CORES > 1 else 0}
        options |= {"shared_utility_qualified_name": SHARED, "compiler_directives": DIRECTIVES}
        made = cythonize(self.extensions, **options)
        for extension, compiled in zip(self.extensions, made, strict=True):
            extension.sources = compiled.sources
        super().run()


given = {
    "include_dirs": [str(NATIVE)],
    "depends": [str(path) for path in NATIVE.rglob("*.h")],
    "extra_link_args": sanitizers if SANITIZE else [],
}
modules = {f"imeiset._native.{path.stem}": [str(path)] for path in sorted(NATIVE.glob("*.pyx"))}
extensions = [
    Extension(name, sources, extra_compile_args=compile_args + SPECIAL.get(name, SMALL), **given)
    for name, sources in {**modules, SHARED: []}.items()
]
if __name__ == "__main__":  # the processes that Cython starts read this file too
    setup(ext_modules=extensions, cmdclass={"build_ext": Build}, options={"build_ext": {"parallel": CORES}})

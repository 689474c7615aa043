"""Compile the Cython modules; everything else is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PACKAGE = Path("imeiset")
DEBUG = bool(os.environ.get("IMEISET_DEBUG"))  # bounds-checked Cython
SANITIZE = bool(os.environ.get("IMEISET_SANITIZE"))  # AddressSanitizer and UBSan, see `make sanitize`

# A portable baseline: no -march. -ffp-contract=off keeps the bytes of a snapshot
# the same on every machine.
compile_args = ["-O3", "-std=c11", "-ffp-contract=off", "-Wall", "-Wno-unused-function"]
link_args: list[str] = []
if SANITIZE:
    flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
    compile_args += [*flags, "-O1", "-g"]
    link_args += flags

headers = [str(path) for path in PACKAGE.rglob("*.h")]
extensions = [
    Extension(
        ".".join(path.with_suffix("").parts),
        [str(path)],
        depends=headers,
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    for path in sorted(PACKAGE.rglob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "embedsignature": True,
            "boundscheck": DEBUG,
            "initializedcheck": DEBUG,
            "wraparound": False,
        },
    ),
)

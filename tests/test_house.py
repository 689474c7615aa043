"""The house rules that a parser can check: floors, file sizes, stubs, docstrings, stray words."""

import ast
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "imeiset"

if not PACKAGE.is_dir():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)

# A module imports only from lower floors; a package is one room, whose modules may import each other.
FLOORS = {
    "errors": 0,
    "_native": 1,
    "_files": 1,
    "_threads": 1,
    "irregular": 1,
    "arrow": 2,
    "imei": 2,
    "columns": 2,
    "sets": 3,
    "snapshot": 3,
    "register": 4,
    "merging": 4,
    "store": 6,
    "feeds": 6,
    "deltas": 7,
    "screening": 7,
    "": 8,  # imeiset/__init__.py
    "cli": 9,
    "integrations": 9,
}
# Sideways on purpose: who may import whom on the same floor.
NEIGHBOURS = {
    ("columns", "arrow"),
    ("sets", "snapshot"),
    ("store", "deltas"),
    ("store", "feeds"),
}

MODULES = sorted(path for pattern in ("*.py", "*.pyx", "*.pxd") for path in PACKAGE.rglob(pattern))
TRACKED = subprocess.run(
    ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout
FILES = sorted(ROOT / name for name in TRACKED.split("\0") if name and (ROOT / name).is_file())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The module's name: imeiset/feeds/__init__.py is imeiset.feeds."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def imports(path: Path) -> set[str]:
    """Every module that `path` imports, absolute; `from . import x` counts as the module x."""
    found = set()
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for level, module, names in statements(path):
        if level:
            base = package.split(".")[: len(package.split(".")) - level + 1]
            module = ".".join(base + ([module] if module else []))
        # A name may be a module of the package: `from imeiset import snapshot`.
        for name in names or [""]:
            is_module = any(
                (ROOT / Path(*module.split(".")) / f"{name}{suffix}").exists()
                for suffix in ("", ".py", ".pyx")
            )
            found.add(f"{module}.{name}" if name and is_module else module)
    return found


def statements(path: Path) -> list[tuple[int, str, list[str]]]:
    """(dots, module, names) of every import and cimport."""
    text = path.read_text()
    if path.suffix == ".py":
        found = []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                found.append((node.level, node.module or "", [alias.name for alias in node.names]))
            elif isinstance(node, ast.Import):
                found += [(0, alias.name, []) for alias in node.names]
        return found
    text = re.sub(r"\\\n", " ", re.sub(r"\(\s*([^()]*?)\s*\)", r"\1", text))  # join continued lists
    pattern = re.compile(
        r"^\s*from\s+(\.*)([\w.]*)\s+c?import\s+((?:[\w. ]+,?\s*?)+)$|^\s*c?import\s+([\w.]+)", re.M
    )
    return [
        (0, match[4], [])
        if match[4]
        else (len(match[1]), match[2], [name.split()[0] for name in match[3].split(",") if name.strip()])
        for match in pattern.finditer(text)
    ]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_down(path: Path) -> None:
    here = room(dotted(path))
    assert here in FLOORS, f"{relative(path)} has no floor: give it one here and in docs/design.md"
    for target in imports(path):
        if target.split(".")[0] != "imeiset":
            continue
        there = room(target)
        assert there in FLOORS, f"{relative(path)} imports {target}, which has no floor"
        if here == there:
            continue
        low_enough = FLOORS[there] < FLOORS[here] or (here, there) in NEIGHBOURS
        assert low_enough, f"{relative(path)} (floor {FLOORS[here]}) imports {target} (floor {FLOORS[there]})"


def test_neighbours_and_floors_are_those_there_are() -> None:
    used = {
        (room(dotted(path)), room(to)) for path in MODULES for to in imports(path) if to.startswith("imeiset")
    }
    assert used >= NEIGHBOURS
    assert FLOORS.keys() == {room(dotted(path)) for path in MODULES}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Within a room, for types alone too."""
    known = {dotted(path): path for path in MODULES if path.name != "__init__.py"}
    edges = {
        name: {to for to in imports(path) & known.keys() if to != name and room(to) == room(name)}
        for name, path in known.items()
    }
    assert "imeiset.feeds.reader" in edges["imeiset.feeds.arrow"]
    while ready := [name for name, targets in edges.items() if not targets & edges.keys()]:
        for name in ready:
            del edges[name]
    assert not edges


def test_the_import_parser_sees_what_is_there() -> None:
    """So that the test above cannot pass by finding nothing."""
    assert {"imeiset.errors", "imeiset._files", "xxhash"} <= imports(PACKAGE / "snapshot.py")
    assert "imeiset.errors" in imports(PACKAGE / "_native" / "parse.pyx")
    assert "libc.stdint" in imports(PACKAGE / "_native" / "parse.pyx")


def test_the_package_root_has_no_logic() -> None:
    init = PACKAGE / "__init__.py"
    for node in ast.parse(init.read_text() if init.exists() else "").body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert is_docstring or isinstance(node, ast.ImportFrom | ast.Assign), ast.unparse(node)


@pytest.mark.parametrize("path", [path for path in MODULES if path.suffix == ".pyx"], ids=relative)
def test_compiled_modules_have_stubs(path: Path) -> None:
    assert path.with_suffix(".pyi").exists()


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix in (".py", ".pyx")], ids=relative)
def test_modules_have_docstrings(path: Path) -> None:
    if path.name == "__init__.py" and not path.read_text().strip():
        return
    if path.suffix == ".py":
        assert ast.get_docstring(ast.parse(path.read_text()))
    else:
        lines = (line for line in path.read_text().splitlines() if not line.startswith("#") and line.strip())
        assert next(lines).startswith('"""')


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.h")), ids=relative)
def test_c_helpers_know_nothing_of_python(path: Path) -> None:
    text = path.read_text()
    assert "Python.h" not in text
    assert "#ifndef IMEISET_" in text or "no include guard" in text  # the latter says that it is a template


def test_setup_is_short() -> None:
    assert len((ROOT / "setup.py").read_text().splitlines()) < 60


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_points_outside_the_project(path: Path) -> None:
    if path == Path(__file__) or path.suffix in (".imei", ".png", ".gz"):
        return
    words = [r"/work/", r"/tmp/[a-z]+/", r"/root/", r"\bissue #?\d", r"\bTODO\b", r"\bFIXME\b", r"\bXXX\b"]
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        for word in words:
            assert not re.search(word, line), f"{relative(path)}:{number}: {line.strip()}"


def test_text_files_are_tidy() -> None:
    for path in FILES:
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi", ".h", ".md", ".toml"):
            data = path.read_bytes()
            assert b"\r" not in data, relative(path)
            assert data.endswith(b"\n") or not data, relative(path)
            assert b"\t" not in data, relative(path)


def test_public_names_exist_and_say_what_they_are() -> None:
    import imeiset

    public = getattr(imeiset, "__all__", [])
    assert len(set(public)) == len(public)
    for name in public:
        assert name.startswith("__") or getattr(imeiset, name).__doc__, f"imeiset.{name} has no docstring"


def test_names_are_told_apart() -> None:
    """Two modules of one name in one folder would shadow each other: a .py beside a .pyx."""
    for folder, group in itertools.groupby(MODULES, key=lambda path: path.parent):
        stems = [path.stem for path in group if path.suffix != ".pxd"]
        assert len(stems) == len(set(stems)), folder


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize("old", [True, False])
def test_headers_compile_where_there_are_no_vectors(tmp_path, old):
    """What other processors are given, or old compilers on any, without a warning."""
    for header in (PACKAGE / "_native" / "c").glob("*.h"):
        copy = tmp_path / header.name
        text = header.read_text()
        if header.name == "simd.h":
            assert text.count("#if defined(__x86_64__) &&") == 1
            text = text if old else text.replace("#if defined(__x86_64__) &&", "#if 0 &&")
        copy.write_text(text)
    named = [
        "merge.h",
        "lookups.h",
        "digits_simd.h",
        "sort.h",
        "plain.h",
        "annotate.h",
    ]
    source = tmp_path / "all.c"
    source.write_text(
        "".join(f'#include "{name}"\n' for name in named) + '_Static_assert(SIMD_X86 == 0, "vectors");\n'
    )
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    if old:
        flags += ["-U__clang_major__", "-D__clang_major__=5", "-U__GNUC__", "-D__GNUC__=7"]
    subprocess.run(["cc", "-std=c11", *flags, "-fsyntax-only", str(source)], check=True)

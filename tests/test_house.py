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

if not (PACKAGE / "__init__.py").exists():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)

# The rooms of imeiset/, floor by floor. A module imports from floors below its own, or from rooms to the left
# of its own on the same floor. docs/design.md has the same table.
FLOORS = (
    ("errors",),
    ("_native", "_threads", "_files"),
    ("imei", "irregular", "arrow", "snapshot"),
    ("readers", "columns"),
    ("index", "roaring", "algebra", "sets", "merging"),
    ("register",),
    ("store", "feeds"),
    ("opening", "deltas", "trust", "screening"),
    ("__init__",),
    ("integrations", "serve", "cli", "__main__"),
)
FRONTS = ("state", "config", "http", "diameter", "admin", "processes", "__init__")
"""The rooms of imeiset/serve/, each of which imports those to its left only."""
LONGEST = {".py": 450, ".pyx": 650, ".h": 500}  # lines
ENTRIES = 28  # of imeiset/

MODULES = sorted(path for pattern in ("*.py", "*.pyx", "*.pxd", "*.pyi") for path in PACKAGE.rglob(pattern))
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
    return [*module.split("."), "__init__"][1]


NAMES = {dotted(path) for path in MODULES} - {"imeiset"}
PLACE = {name: (floor, at) for floor, rooms in enumerate(FLOORS) for at, name in enumerate(rooms)}


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
    if path.suffix in (".py", ".pyi"):
        found = []
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES:
                found.append((0, node.value, []))  # for importlib
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


def graph() -> dict[str, set[str]]:
    """Which modules of imeiset each of them imports, at any time and for types too; a stub is its module."""
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        edges.setdefault(dotted(path), set()).update(to for to in imports(path) if to.startswith("imeiset"))
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node (Tarjan)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for to in edges.get(node, ()):
            if to not in number:
                visit(to)
            if to in stack:
                low[node] = min(low[node], low[to])
        if low[node] == number[node]:
            members = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(members) > 1:
                found.append(sorted(members))

    for node in edges:
        if node not in number:
            visit(node)
    return found


def test_imports_go_down() -> None:
    wrong = []
    for module, targets in graph().items():
        here = room(module)
        assert here in PLACE, f"{module} has no floor: give it one here and in docs/design.md"
        for target in targets:
            there = room(target)
            assert there in PLACE, f"{module} imports {target}, which has no floor"
            if here != there and PLACE[there] >= PLACE[here]:
                wrong.append(f"{module} {PLACE[here]} imports {target} {PLACE[there]}")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_way_of_others() -> None:
    edges = graph()
    assert "imeiset.feeds.reader" in edges["imeiset.feeds.arrow"]  # within a room
    assert "imeiset.errors" in edges["imeiset._native.parse"]  # compiled
    assert not circles(edges)
    rooms: dict[str, set[str]] = {}
    for module, targets in edges.items():
        rooms.setdefault(room(module), set()).update(map(room, targets))
    assert not circles(rooms)


def test_rooms_of_the_fronts_import_one_way() -> None:
    def front(module: str) -> str:
        return [*module.split("."), "__init__"][2]

    inside = {module: targets for module, targets in graph().items() if room(module) == "serve"}
    assert {front(module) for module in inside} == set(FRONTS)
    wrong = [
        f"{module} imports {target}"
        for module, targets in inside.items()
        for target in targets
        if room(target) == "serve" and FRONTS.index(front(target)) > FRONTS.index(front(module))
    ]
    assert not wrong, "\n".join(wrong)
    docs = (ROOT / "docs" / "design.md").read_text()
    files = {relative(path) for path in MODULES if room(dotted(path)) == "serve" and path.stem != "__init__"}
    missing = [name for name in files if f"`{name.removeprefix('imeiset/serve/')}`" not in docs]
    assert not missing, f"docs/design.md, The fronts: {missing}"


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"e"}}) == [["a", "b", "c"]]


def test_floors_are_those_there_are_and_those_of_the_docs() -> None:
    assert {room(dotted(path)) for path in MODULES} == PLACE.keys()
    rows = re.findall(r"^\| (\d) \| (.+?) \|", (ROOT / "docs" / "design.md").read_text(), re.M)
    rooms = [re.findall(r"`(\w+)[./`]", cell) for _, cell in rows]
    assert [int(floor) for floor, _ in rows] == list(range(len(FLOORS)))
    assert [tuple(names) for names in rooms] == list(FLOORS)


def test_files_are_short_and_the_folder_is_too() -> None:
    for path in [*MODULES, *(PACKAGE / "_native" / "c").glob("*.h")]:
        lines = len(path.read_text().splitlines())
        assert lines <= LONGEST.get(path.suffix, lines), f"{relative(path)}: {lines} lines"
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= ENTRIES, sorted(path.name for path in entries)


def test_the_import_parser_sees_what_is_there() -> None:
    """So that the test above cannot pass by finding nothing."""
    assert {"imeiset.errors", "imeiset._files", "xxhash"} <= imports(PACKAGE / "snapshot.py")
    assert "imeiset.errors" in imports(PACKAGE / "_native" / "parse.pyx")
    assert "libc.stdint" in imports(PACKAGE / "_native" / "parse.pyx")


def test_the_package_root_has_no_logic() -> None:
    """Names, for checkers of types and by module, and the two hooks by which Python asks for them."""
    body = ast.parse((PACKAGE / "__init__.py").read_text()).body
    checked = [node for node in body if isinstance(node, ast.If)]
    assert {ast.unparse(node.test) for node in checked} <= {"TYPE_CHECKING", "not TYPE_CHECKING"}
    for node in [*body, *(inner for outer in checked for inner in outer.body)]:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_hook = isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
        assert is_docstring or is_hook or isinstance(node, ast.ImportFrom | ast.Assign | ast.If), ast.unparse(
            node
        )


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
        stems = [path.stem for path in group if path.suffix in (".py", ".pyx")]
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
        "kernels.h",
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

"""Everything public has a docstring in numpydoc sections, and every example in one runs."""

import contextlib
import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import warnings
from enum import Enum

import numpy as np
import pytest

import imeiset
import imeiset.serve

for name in (
    *(f"imeiset.integrations.{name}" for name in ("pandas", "polars", "duckdb", "spark")),
    *(module.name for module in pkgutil.walk_packages(imeiset.serve.__path__, "imeiset.serve.")),
):
    with contextlib.suppress(ModuleNotFoundError):  # the library of one is not installed
        importlib.import_module(name)

if importlib.util.find_spec("tuf"):  # without the extra, examples of the room cannot run
    import imeiset.trust

    for module in pkgutil.walk_packages(imeiset.trust.__path__, "imeiset.trust."):
        importlib.import_module(module.name)

# The raw layer that sets are over: its methods are for the package, and have a line each.
RAW = ("imeiset._native.index", "imeiset.index")
SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Notes", "Examples", "See Also")


def public():
    """(name, what it is) of everything reachable from the names of the package."""
    for name in imeiset.__all__:
        one = getattr(imeiset, name)
        if inspect.isclass(one):
            yield name, one
            for kind in reversed(one.__mro__):
                if kind.__module__.startswith("imeiset") and kind.__module__ not in RAW:
                    for inner, member in vars(kind).items():
                        if not inner.startswith("_") and _is_ours(member, one, inner):
                            yield f"{name}.{inner}", member
        elif callable(one):
            yield name, one


def _is_ours(member, owner, name):
    """Whether it is a method or a property that the class has still: fields are told in its Attributes."""
    kept = inspect.getattr_static(owner, name) is member
    routine = inspect.isroutine(member) or isinstance(member, classmethod | staticmethod)
    return kept and (routine or isinstance(member, property) or inspect.isgetsetdescriptor(member))


THINGS = dict(public())


def sections(text):
    """The sections of a docstring, by their underlined titles."""
    lines = inspect.cleandoc(text).split("\n")
    ends = [i for i in range(len(lines) - 1) if lines[i] in SECTIONS and lines[i + 1] == "-" * len(lines[i])]
    starts = [0, *ends]
    found = {}
    for start, stop in zip(starts, [*ends, len(lines)], strict=True):
        found["Summary" if start == 0 and start not in ends else lines[start]] = lines[start:stop]
    return found


def _parameters(one):
    try:
        found = inspect.signature(one).parameters
    except (TypeError, ValueError):
        return []
    return [name for name in found if name not in ("self", "cls", "args", "kwargs")]


def faults(name):
    """What a docstring lacks."""
    one = THINGS[name]
    function = one.__func__ if isinstance(one, classmethod | staticmethod) else one
    text = getattr(function, "__doc__", None)
    if not text or not text.strip():
        return ["docstring"]
    found = sections(text)
    missing = [] if found.get("Summary", [""])[0].strip() else ["Summary"]
    if ">>> " not in "\n".join(found.get("Examples", ())):
        missing.append("Examples")
    if inspect.isclass(one):
        if not issubclass(one, Enum | Exception) and _parameters(one) and "Parameters" not in found:
            missing += [] if "Attributes" in found else ["Parameters"]
    elif callable(function):
        given = "\n".join(line for line in found.get("Parameters", ()) if not line.startswith(" "))
        missing += [f"Parameters: {name}" for name in _parameters(function) if name not in given]
        returns = getattr(function, "__annotations__", {}).get("return", "something")
        if returns not in (None, "None") and not {"Returns", "Yields"} & found.keys():
            missing.append("Returns")
    return missing


@pytest.mark.parametrize("name", sorted(THINGS))
def test_docstrings_are_whole(name):
    assert faults(name) == []


def examples():
    """(name, docstring, names it may use) of all docstrings with examples, also of what is not public."""
    seen = set()
    for place in [name for name in sys.modules if name.split(".")[0] == "imeiset"]:
        module = sys.modules[place]
        for name, one in [("", module), *vars(module).items()]:
            if name and getattr(one, "__module__", None) != place:
                continue
            inner = list(vars(one).items()) if inspect.isclass(one) else []
            for key, member in [(name, one), *((f"{name}.{key}", member) for key, member in inner)]:
                member = getattr(member, "__func__", member)
                text = getattr(member, "__doc__", None)
                if isinstance(text, str) and ">>> " in text and (place, key) not in seen:
                    seen.add((place, key))
                    yield f"{place}.{key}".rstrip("."), text, vars(module)


EXAMPLES = {name: (text, names) for name, text, names in examples()}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, names = EXAMPLES[name]
    names = {**names, "imeiset": imeiset, "np": np}
    example = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert (found.failed, found.attempted > 0) == (0, True), "".join(said)

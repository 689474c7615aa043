"""The pages of the reference about Python: what is on which, and the directives for autodoc."""

import importlib
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

from tables import code, directive, table

import imeiset

# The raw layer that sets are over: its methods are for the package.
_RAW = ("imeiset._native.index", "imeiset.index")
GROUPS = {
    "sets": (
        "Sets and IMEIs",
        "ImeiSet Imei parse are_valid is_valid check_digit tacs to_arrow open merge diff",
    ),
    "registers": (
        "Registers and verdicts",
        "Register Verdict EquipmentStatus Policy load_register LoadedRegister",
    ),
    "stores": ("Stores and changes", "Store Delta apply ApplyReport feed"),
    "lists": ("Lists and records", "load LoadResult LoadReport export screen Screener ScreenReport"),
}
# On a page of theirs.
_ERRORS = "FeedError ImeiError ImeiWarning ImeisetError ImsiError ParseStatus SnapshotError StoreError"
INTEGRATIONS = {
    "pandas": ("ImeiAccessor",),
    "polars": ("ImeiExpr",),
    "duckdb": ("register", "screen"),
    "spark": ("screen", "build", "Built"),
}
_ACCESS = {"pandas": "`series.imei`", "polars": '`pl.col("imei").imei`'}


def members(one: type[Any]) -> list[str]:
    """The public methods and properties of a class, in the order in which they are written."""
    found = {}
    for kind in reversed(one.__mro__):
        if kind.__module__.startswith("imeiset") and kind.__module__ not in _RAW:
            for name, member in vars(kind).items():
                kept = inspect.getattr_static(one, name, None) is member
                told = inspect.isroutine(member) or isinstance(member, classmethod | staticmethod | property)
                if not name.startswith("_") and kept and (told or inspect.isgetsetdescriptor(member)):
                    found[name] = member
    return list(found)


def entry(name: str, module: str = "imeiset") -> str:
    """The directive of one name."""
    one = getattr(importlib.import_module(module), name)
    whole = f"{module}.{name}"
    if not inspect.isclass(one):
        return directive("autofunction" if callable(one) else "autodata", whole)
    kind = "autoexception" if issubclass(one, Exception) else "autoclass"
    options = {"members": ", ".join(members(one)), "inherited_members": ""} if members(one) else {}
    if issubclass(one, Enum):
        options.pop("inherited_members", None)  # those of int
    parts = [directive(kind, whole, **options)]
    if issubclass(one, Enum) and name != "ParseStatus":
        parts.append(table(("name", "value"), ((code(each.name), each.value) for each in one)))
    return "\n".join(parts)


def _group(title: str, names: list[str]) -> Callable[[], str]:
    def page() -> str:
        return "\n".join([f"# {title}\n", *(f"## {name}\n\n{entry(name)}" for name in names)])

    return page


def serve() -> str:
    """What `imeiset.serve` has."""
    import imeiset.serve

    told = "`imeiset serve` runs these for you; see [5G and S13](../serve.md).\n"
    return "\n".join(
        [
            "# imeiset.serve\n",
            told,
            *(f"## {name}\n\n{entry(name, 'imeiset.serve')}" for name in imeiset.serve.__all__),
        ]
    )


def trust() -> str:
    """What `imeiset.trust` has."""
    import imeiset.trust

    return "\n".join(
        [
            "# imeiset.trust\n",
            "What `imeiset publish`, `follow` and `keys rotate` run. It needs the extra `follow`.\n",
            *(f"## {name}\n\n{entry(name, 'imeiset.trust')}" for name in imeiset.trust.__all__),
        ]
    )


def integrations() -> str:
    """What each library gets."""
    parts = ["# Integrations\n", "Each module is imported by its name, and needs the extra of that name.\n"]
    for library, names in INTEGRATIONS.items():
        parts.append(f"## imeiset.integrations.{library}\n")
        if library in _ACCESS:
            parts.append(
                f"After `import imeiset.integrations.{library}`, {_ACCESS[library]} has these methods. "
                f"[The guide](../{library}.md) has examples.\n"
            )
        else:
            parts.append(f"[The guide](../{library}.md) has examples.\n")
        for name in names:
            if library in _ACCESS:
                parts.append(directive("autoclass", f"imeiset.integrations.{library}.{name}", members=""))
            else:
                kind = "autoclass" if name[0].isupper() else "autofunction"
                parts.append(directive(kind, f"imeiset.integrations.{library}.{name}"))
    return "\n".join(parts)


def names() -> set[str]:
    """The names of `imeiset` that have an entry."""
    return {name for _, listed in GROUPS.values() for name in listed.split()} | {*_ERRORS.split()}


PAGES: dict[str, Callable[[], str]] = {
    **{page: _group(title, listed.split()) for page, (title, listed) in GROUPS.items()},
    "serve": serve,
    "trust": trust,
    "integrations": integrations,
}
assert {*imeiset.__all__} <= names(), {*imeiset.__all__} - names()

"""JSON Schemas, made of dataclasses and of what is written here, and tables of what they say."""

import datetime
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tables import code, prose, table

Shape = dict[str, Any]
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
# Of classes whose docstring has no sections.
TOLD = {
    "Suspects": {
        "count": "How many.",
        "first": "Source and line of the first few.",
    },
    "Rejects": {
        "text": "The reason in words.",
        "count": "How many.",
        "first": "Source and line of the first few.",
    },
    "Unread": {
        "source": "The file.",
        "column": "Its title, or its number from 1.",
        "values": "Some of its values.",
        "why": "What it looks like: statuses, changes, dates, imeis or reasons.",
    },
    "ListReport": {
        "status": "That of the list; empty where it is taken away.",
        "added": "How many members the edition adds.",
        "removed": "How many members it removes.",
        "counts": "What the list then has, by rule.",
    },
    "ColumnFacts": {
        "number": "From 1.",
        "title": "In the header; null where there is none.",
        "taken_for": "What it is taken for.",
        "values": "Values of the first rows and how often each is there, if they are few; masked.",
        "samples": "The first cells, masked.",
    },
    "Overview": {
        "path": "The file.",
        "compression": "gzip, zstd, xz, zip, workbook or none.",
        "format": "As for `--format`; null where it is not clear.",
        "delimiter": "In words.",
        "header": "The number of its line; null where there is none.",
        "preamble": "Lines above the header.",
        "columns": "Each column.",
        "rows": "The first rows, masked.",
        "refused": "Why `build` refuses the list, and what settles that; null where it takes it.",
    },
}
_TIMES = {datetime.datetime: "date-time", datetime.date: "date"}


def value(kind: Any, told: str = "") -> Shape:
    """The shape of a type."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return _told({}, told)
    if origin in (types.UnionType, Union):
        kinds = [each for each in inner if each is not type(None)]
        shape = value(kinds[0]) if len(kinds) == 1 else {"type": [_PLAIN[each] for each in kinds]}
        return _told(maybe(shape) if type(None) in inner else shape, told)
    if origin is Literal:
        return _told({"enum": [*inner]}, told)
    if origin in (list, tuple):
        several = origin is tuple and ... not in inner
        return _told({"type": "array", "items": {} if several else value(inner[0])}, told)
    if origin in (dict, Mapping):
        return _told({"type": "object", "additionalProperties": value(inner[1])}, told)
    if is_dataclass(kind):
        return _told(of(kind), told)
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return _told({"enum": [one.name.lower() for one in kind]}, told)
    if kind in _TIMES:
        return _told({"type": "string", "format": _TIMES[kind]}, told)
    return _told({"type": _PLAIN[kind]}, told)


def _told(shape: Shape, told: str) -> Shape:
    return {**shape, "description": told} if told else shape


def maybe(shape: Shape) -> Shape:
    """Or null."""
    if "enum" in shape:
        return {**shape, "enum": [*shape["enum"], None]}
    return {**shape, "type": [shape["type"], "null"]}


def some(members: dict[str, Shape], *missing: str) -> Shape:
    """An object with these members, of which some may be missing."""
    return optional({"type": "object", "properties": members, "required": [*members]}, *missing)


def with_members(shape: Shape, first: dict[str, Shape], last: dict[str, Shape] | None = None) -> Shape:
    """An object with further members before its own, and behind them; or with others of the same names."""
    members = {**first, **shape["properties"], **first, **(last or {})}
    required = [*first, *shape["required"], *(last or {})]
    return {**shape, "properties": members, "required": [*dict.fromkeys(required)]}


def optional(shape: Shape, *names: str) -> Shape:
    """An object of which these members are not always there."""
    return {**shape, "required": [one for one in shape["required"] if one not in names]}


def without(shape: Shape, *names: str) -> Shape:
    """An object without some of its members."""
    members = {name: one for name, one in shape["properties"].items() if name not in names}
    return optional({**shape, "properties": members}, *names)


def of(one: type[Any]) -> Shape:
    """A dataclass, with what its docstring says of each attribute."""
    told, hints = told_of(one), get_type_hints(one)
    names = [each.name for each in fields(one) if not each.name.startswith("_")]
    return some({name: value(hints[name], told.get(name, "")) for name in names})


def told_of(one: type[Any]) -> dict[str, str]:
    """What a docstring says of each attribute or parameter, those of its bases too."""
    found = {name: said for base in getattr(one, "__bases__", ()) for name, said in told_of(base).items()}
    text = inspect.cleandoc(one.__doc__ or "")
    found |= TOLD.get(one.__name__, {})
    for section in re.findall(
        r"^(?:Attributes|Parameters)\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)", text, re.M | re.S
    ):
        for names, said in re.findall(r"^(\w[^:\n]*) : [^\n]*\n((?:    [^\n]*\n?|\n)+)", section, re.M):
            found |= dict.fromkeys(re.split(r", ", names), re.sub(r"\s+", " ", said).strip())
    return found


# ---- as a table ---------------------------------------------------------------------------


def members_table(shape: Shape) -> str:
    """A row for each member, or for several that are told together; members of members by path."""
    together: list[list[str]] = []
    for name, *told in _rows(shape, ""):
        if together and together[-1][1:] == told and told[1]:
            together[-1][0] += f", {name}"
        else:
            together.append([name, *told])
    return table(("member", "type", "is"), together)


def _rows(shape: Shape, path: str) -> Iterator[tuple[str, str, str]]:
    for name, one in shape["properties"].items():
        missing = "" if name in shape["required"] else "Optional. "
        yield code(f"{path}{name}"), type_text(one), missing + prose(one.get("description", ""))
        if inner := _inside(one):
            below = "" if inner is one else "[]" if one["type"] == "array" else ".*"
            yield from _rows(inner, f"{path}{name}{below}.")


def _inside(shape: Shape) -> Shape | None:
    """The object in a shape: itself, of a list, or of a mapping."""
    for one in (shape, shape.get("items"), shape.get("additionalProperties")):
        if isinstance(one, dict) and "properties" in one:
            return one
    return None


def type_text(shape: Shape) -> str:
    """A type in words."""
    if "enum" in shape:
        return ", ".join("null" if one is None else code(one) for one in shape["enum"])
    kind = shape.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(type_text({**shape, "type": one}) if one != "null" else "null" for one in kind)
    if kind == "array":
        return f"list of {_plural(shape['items'])}" if shape.get("items") else "list"
    if kind == "object" and "additionalProperties" in shape:
        return f"object of {_plural(shape['additionalProperties'])} by name"
    return {"string": {"date": "date", "date-time": "time"}.get(shape.get("format", ""), "text")}.get(
        kind, kind
    )


def _plural(shape: Shape) -> str:
    if "enum" in shape or isinstance(shape.get("type"), list):
        return type_text(shape)
    first, *rest = type_text(shape).split(" ")
    return " ".join([f"{first}s", *rest])

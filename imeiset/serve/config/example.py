"""A sample configuration of `imeiset serve`, made of the classes that read it."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from imeiset.serve.config.keys import Config

_HEAD = """\
# imeiset serve eir.toml
#
# Paths are relative to this file. `imeiset serve --check eir.toml` says whether it can be served. SIGHUP has
# it read again.
"""
_WIDTH = 40  # at which comments begin


def example() -> str:
    """A configuration with all keys, those of optional tables as comments."""
    lines = [_HEAD.rstrip()]
    for one in fields(Config):
        lines += ["", *_table(one, one.name, "# " if one.default == () else "")]
    return "\n".join(lines) + "\n"


def _table(one: "Field[Any]", name: str, mark: str) -> Iterator[str]:
    kind, help = one.metadata["read"], one.metadata["help"]
    head = f"[[{name}]]" if one.default == () else f"[{name}]"
    yield _line(f"{mark}{head}", help)
    inner = [field for field in fields(kind) if isinstance(field.metadata["read"], type)]
    for field in fields(kind):
        if field not in inner:
            yield _line(f"{mark}{field.name} = {_value(field)}", field.metadata["help"])
    for field in inner:
        optional = field.default is not MISSING
        yield ""
        yield from _table(field, f"{name}.{field.name}", "# " if optional else mark)


def _value(one: "Field[Any]") -> str:
    if text := one.metadata["example"]:
        return str(text)
    made: Any = one.default_factory
    value = made() if one.default is MISSING else one.default
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _line(text: str, comment: str) -> str:
    return f"{text:<{_WIDTH}}# {comment}".rstrip() if comment else text

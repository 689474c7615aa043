"""The pages of the reference, made of the library itself, by their names."""

import json
from collections.abc import Callable

import columns
import commands
import faults
import keys
import outputs
import python

PAGES: dict[str, Callable[[], str]] = {
    **python.PAGES,
    "commands": commands.commands,
    "json": outputs.outputs,
    "errors": faults.faults,
    "descriptions": keys.descriptions,
    "serve-config": keys.serve_config,
    "columns": columns.columns,
    "limits": keys.limits,
}


def pages() -> dict[str, str]:
    """Each page of the reference, by its name."""
    return {name: make() for name, make in PAGES.items()}


def files() -> dict[str, str]:
    """Files beside the pages, by their paths."""
    return {
        f"schemas/{name}.json": json.dumps(outputs.schema(name), indent=1, ensure_ascii=False) + "\n"
        for name in outputs.OUTPUTS
    }

"""The pages of the reference, made of the library itself, by their names."""

from collections.abc import Callable

import columns
import commands
import faults
import keys
import python

PAGES: dict[str, Callable[[], str]] = {
    **python.PAGES,
    "commands": commands.commands,
    "errors": faults.faults,
    "descriptions": keys.descriptions,
    "serve-config": keys.serve_config,
    "columns": columns.columns,
    "limits": keys.limits,
}


def pages() -> dict[str, str]:
    """Each page of the reference, by its name."""
    return {name: make() for name, make in PAGES.items()}

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

# What each is for, on the first page.
LOOKED_UP = {
    "commands": ("Commands", "every command: examples, options, exit codes"),
    "json": ("Output as JSON", "what commands print with `--json`, with JSON Schemas"),
    "sets": ("Sets and IMEIs", "Python: `ImeiSet`, `Imei`, `parse`, `are_valid`, `merge`, `diff`"),
    "registers": ("Registers and verdicts", "Python: `Register`, `Policy`, `Verdict`, `load_register`"),
    "stores": ("Stores and changes", "Python: `Store`, `Delta`, `apply`, `feed`"),
    "lists": ("Lists and records", "Python: `load`, `export`, `screen`"),
    "serve": ("imeiset.serve", "Python: the fronts as objects"),
    "trust": ("imeiset.trust", "Python: stores published, signed, and followed"),
    "integrations": ("Integrations", "Python: pandas, polars, DuckDB, Spark"),
    "errors": ("Errors", "every error: what happened, and what to do"),
    "columns": (
        "Columns, words and dates",
        "titles of columns, words of statuses and changes, forms of dates",
    ),
    "descriptions": ("Descriptions of registers", "every key of `register.toml`"),
    "serve-config": ("Configuration of imeiset serve", "every key of `eir.toml`"),
    "limits": ("Limits", "what is refused because it is too much"),
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

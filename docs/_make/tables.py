"""Markdown, made of what the library knows: tables, code, texts."""

import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: Any) -> str:
    return re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|")


def code(text: Any) -> str:
    """A text as it is typed; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def codes(values: Iterable[Any]) -> str:
    """Several of them, with commas."""
    return ", ".join(code(value) for value in values)


def block(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def prose(text: str) -> str:
    """Plain text: what Markdown would take for marks is not, but for what stands in backticks. Options of
    commands are code too."""
    parts = re.split(r"(``.*?``|`[^`]*`|(?<![\w-])--[a-z][a-z-]*)", re.sub(r"\s+", " ", text).strip())
    return "".join(
        f"`{part.strip('`')}`" if i % 2 else re.sub(r"([*_<>\[\]#])", r"\\\1", part)
        for i, part in enumerate(parts)
    )


def directive(name: str, argument: str, **options: str) -> str:
    """A directive of autodoc, in Markdown."""
    lines = [
        f".. {name}:: {argument}",
        *(f"   :{key.replace('_', '-')}: {value}" for key, value in options.items()),
    ]
    return block("{eval-rst}", "\n".join(lines))

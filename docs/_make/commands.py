"""The page of the commands, from click."""

import inspect
import re

import click
from tables import block, code, prose, table

from imeiset.cli import _COMMANDS, main

_EXITS = table(
    ("exit code", "means"),
    [
        ("0", "found, or done"),
        ("1", "nothing found: `check`, `explain`, `screen` and `history` say so"),
        (
            "2",
            "an error, told in one line on stderr; what `feed` and `apply` did before it stays",
        ),
        ("3", "`follow`: what is published has expired"),
        ("4", "`follow`, `publish`: what is published was refused"),
        ("130, 143", "interrupted by Ctrl-C, ended by SIGTERM"),
        ("141", "whoever read the output went away"),
    ],
)


def commands() -> str:
    """Every command: examples, what it does, options, exit code."""
    parts = [
        "# Commands\n",
        "`imeiset COMMAND`, or `python -m imeiset COMMAND`. `imeiset COMMAND --help` prints the same. "
        "`-` is stdin or stdout.\n",
        _EXITS,
        table(
            ("command", "for"),
            (
                (f"[`{name}`](#{name.replace(' ', '-')})", prose(_paragraphs(command)[0]))
                for name, command in every().items()
            ),
        ),
    ]
    return "\n".join([*parts, *(_told(name, command) for name, command in every().items())])


def every() -> dict[str, click.Command]:
    """All commands by their names; of a group, those in it."""
    context, found = click.Context(main), dict[str, click.Command]()
    for name in _COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        inner = command.commands if isinstance(command, click.Group) else {}
        found |= {f"{name} {below}": one for below, one in inner.items()} or {name: command}
    return found


def _paragraphs(command: click.Command) -> list[str]:
    return re.split(r"\n\s*\n", inspect.cleandoc(command.help or ""))


def _told(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"imeiset {name}", max_content_width=200)
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    parts = [f"## {name}\n"]
    rest = _paragraphs(command)
    for paragraph in rest:
        if paragraph.startswith("\b"):
            parts.append(block("sh", inspect.cleandoc(paragraph.removeprefix("\b"))))
        else:
            parts.append(re.sub(r"docs/([\w-]+)\.md", r"[\1](../\1.md)", prose(paragraph)) + "\n")
    if not any(paragraph.startswith("Exit code") for paragraph in rest):
        parts.append("Exit code: 0 when it is done, 2 after an error.\n")
    parts.insert(2, block("text", usage))
    if any("--json" in one.opts for one in command.params):
        parts.append(f"What it prints with `--json`: [the members](json.md#{name.partition(' ')[0]}).\n")
    rows = [record for one in command.get_params(context) if (record := one.get_help_record(context))]
    parts.append(table(("argument or option", "is"), ((code(left), prose(right)) for left, right in rows)))
    return "\n".join(parts)

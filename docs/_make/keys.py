"""The pages of the keys of TOML files, and of limits.

What the library does not say of a key is said here. A name that is missing here, or is too many, is an error:
see tests/test_site.py.
"""

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any

from tables import block, code, codes, prose, table

from imeiset.feeds import description as described
from imeiset.feeds import options, sources
from imeiset.register.kinds import FILE_KINDS
from imeiset.serve.config import example
from imeiset.serve.config import keys as config

POLICY_KEYS = {
    "response_type": (
        "1, 2 or 3",
        "what phones on no list are, see [response types](../concepts.md#response-types)",
    ),
    "unlisted": ("a status, or unknown", "the status of phones on no list, if not that of the response type"),
    "malformed": (
        "a status, or unknown",
        "the status of input that is not an IMEI; without it, that is an error",
    ),
    "precedence": ("names of rules", "which rule decides before which"),
}
LIST_KEYS = {
    "name": ("a text", "the list; several tables may have the same one"),
    "status": (
        "whitelisted, greylisted or blacklisted",
        "what a phone on it is; lists of kind `exempt` have none",
    ),
    "kind": ("imeis, ranges, tacs, block, exempt, lock or imsis", "what its files hold"),
    "reason": ("a text", "the reason of rows that have none of their own"),
    "owner": ("a text", "who alone changes the list in a store; anybody, if it is left out"),
    "files": ("paths or patterns", "found from the directory of the description"),
    "newest": ('true or "time"', "of the files that a pattern matches only the last, by name or by time"),
    "prefixes": ("texts of digits", "of a list of kind `imsis`: the prefixes themselves"),
    "details": ('"keep" or "ignore"', "whether reasons, dates and last days are kept"),
}


def descriptions() -> str:
    """The keys of register.toml."""
    read = described._OPTIONS
    return "\n".join(
        [
            "# Descriptions of registers\n",
            "The keys of the TOML file that `imeiset build`, `create` and `replace` take, and "
            "`imeiset.load_register`. [Registers and stores](../registers.md) has examples. A key that is "
            "not known is an error that names the nearest one.\n",
            "## `[policy]`\n",
            table(("key", "value", "is"), ((code(key), *told) for key, told in POLICY_KEYS.items())),
            "## `[[lists]]`\n",
            table(("key", "value", "is"), ((code(key), *told) for key, told in LIST_KEYS.items())),
            "## Options of reading, in a table of `[[lists]]`\n",
            "The same as the options of the commands and the parameters of `imeiset.load`.\n",
            table(
                ("key", "value", "is", "default"),
                (
                    (
                        code(name),
                        codes(one.words) or prose(one.kind.expected),
                        prose(one.help),
                        _default(name),
                    )
                    for name, one in read.items()
                ),
            ),
            "## Kinds\n",
            table(
                ("`kind`", "is in a list of kind", "by the rule"),
                ((code(k), *map(code, v)) for k, v in FILE_KINDS.items()),
            ),
        ]
    )


def _default(name: str) -> str:
    value = options.DEFAULTS[name]
    return "" if value is None else code(value)


# ---- the configuration of `imeiset serve` --------------------------------------------------


def serve_config() -> str:
    """The keys of eir.toml."""
    parts = [
        "# Configuration of imeiset serve\n",
        "The keys of the file that `imeiset serve FILE.toml` reads. `imeiset.serve.config.read` reads "
        "it for `imeiset.serve.app`. `imeiset serve --check` tries it. A front whose table is left out is "
        "off.\n",
    ]
    for kind, name, several in _sections(config.Config, ""):
        head = f"[[{name}]]" if several else f"[{name}]"
        rows = [
            (code(one.name), _given(one), prose(one.metadata["help"]))
            for one in fields(kind)
            if not isinstance(one.metadata["read"], type)
        ]
        parts += [
            f"## `{head}`\n",
            prose(inspect.cleandoc(kind.__doc__)) + "\n",
            table(("key", "default", "is"), rows),
        ]
    parts += ["## All of it\n", "`imeiset serve --example` prints this.\n", block("toml", example.example())]
    return "\n".join(parts)


def _sections(kind: Any, name: str) -> Iterator[tuple[Any, str, bool]]:
    for one in fields(kind):
        inner = one.metadata["read"]
        if isinstance(inner, type):
            whole = f"{name}.{one.name}".lstrip(".")
            yield inner, whole, one.default == ()
            yield from _sections(inner, whole)


def _given(one: "Field[Any]") -> str:
    if one.default is MISSING and one.default_factory is MISSING:
        return "has to be there"
    if one.default_factory is config.cores:
        return "the number of cores"
    if one.default is None or one.default in ((), ""):
        return ""
    return code(example._value(one))


# ---- limits --------------------------------------------------


def limits() -> str:
    """What is refused because it is too much, and what raises the limit."""
    of_http = {one.name: one for one in fields(config.LimitsConfig)}
    rows = [
        ("an IMEI", "14 digits, and one or two more that identify nothing", ""),
        ("an IMSI", "5 to 15 digits", ""),
        ("a row of a list", f"{options.MAX_LINE:,} bytes; at most {options.MAX_ROW:,}", "`--max-line`"),
        ("text of a list, or of an unpacked workbook", f"{sources.MAX_BYTES:,} bytes", "`--max-bytes`"),
        ("text for each compressed byte", f"{sources.MAX_RATIO:g} bytes", "`--max-ratio`"),
        ("rows of a list", "none", "`--max-rows`"),
        ("rejected rows", "none; all rows of a file are an error", "`--max-rejects`"),
        ("different reasons of a list", "65,536", '`details = "ignore"`'),
        ("a list that becomes smaller", "75% of what it had", "`--min-size`, `--force`"),
        ("a description, or a list of IMSI prefixes", f"{described._LONGEST:,} bytes", ""),
        ("a configuration of `imeiset serve`", f"{config._LONGEST:,} bytes", ""),
        *(
            (
                f"`imeiset serve`: {prose(one.metadata['help'])}",
                f"{one.default:,}",
                code(f"http.limits.{name}"),
            )
            for name, one in of_http.items()
        ),
    ]
    return "\n".join(
        [
            "# Limits\n",
            "What is more is refused with an error that names the limit; nothing is cut off.\n",
            table(("of", "limit", "changed by"), rows),
            "A store has one writer at a time, and any number of readers. [Sizing](../sizing.md) says "
            "how much each takes.\n",
        ]
    )

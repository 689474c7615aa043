"""The page of the errors, from their docstrings."""

import inspect
import re

import python
from tables import code, prose, table

import imeiset
from imeiset import errors
from imeiset.errors import ParseStatus

_FAMILIES = {
    "ImeiError": "IMEIs and IMSIs",
    "SnapshotError": "Files that imeiset wrote",
    "FeedError": "Lists that others wrote",
    "StoreError": "Stores",
    "TrustError": "Publishing and following",
    "ServeConfigError": "Serving, and libraries that are not there",
}
_IN = {"ImsiError": "ImeiError", "ImeiWarning": "ImeiError", "ExtraMissing": "ServeConfigError"}
_BASES = {  # the kinds say why, and the base is for catching
    "ImeisetError": (
        "Any of the errors below.",
        "Catch it where every refusal of the library is treated alike.",
    ),
    "SnapshotError": ("Any error of a snapshot.", "The kind says why: see below."),
    "FeedError": ("Any error of a source file.", "The kind says why: see below."),
    "StoreError": ("Any error of a store.", "The kind says why: see below."),
    "TrustError": ("Any error of publishing and following.", "The kind says why: see below."),
}


def error_classes() -> list[type[Exception]]:
    """Every exception and warning of the library."""
    return [
        one
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, Exception) and not name.startswith("_")
    ]


def cause_and_remedy(one: type[Exception]) -> tuple[str, str]:
    """What its docstring says: the first sentence why, the others what to do."""
    if one.__name__ in _BASES:
        return _BASES[one.__name__]
    told = re.split(r"\n\w+\n-+\n", inspect.cleandoc(one.__doc__ or ""))[0]
    told = re.sub(r"\s+", " ", told).strip()
    cause, _, remedy = told.partition(". ")
    if not remedy:
        cause, _, remedy = told.partition(": ")
    return cause.rstrip(".") + ".", remedy[:1].upper() + remedy[1:]


def faults() -> str:
    """Exceptions by family, cause and remedy, and the codes of rows."""
    parts = [
        "# Errors\n",
        "Every error that the library raises on purpose is an `ImeisetError`. A wrong type of an "
        "argument is a `TypeError`, a value that no argument can have a `ValueError`. All are in "
        "`imeiset.errors`, the first of each family in `imeiset` too. A message says what happened, where, "
        "and what settles it. Of an IMEI it shows the TAC only. Commands print the message and end "
        "with an [exit code](commands.md).\n",
        _errors_of([errors.ImeisetError]),
    ]
    for base, title in _FAMILIES.items():
        kind = getattr(errors, base)
        parts += [f"## {title}\n", _errors_of([one for one in error_classes() if _family(one) is kind])]
    parts += [
        "## Why a row is not an IMEI\n",
        "`ParseStatus`, which reports and `imeiset.parse` give. The numbers are stored and never change.\n",
        table(
            ("number", "name", "means", "expected is"),
            ((int(one), code(one.name), prose(one.text), prose(one.expected)) for one in ParseStatus),
        ),
        "## In Python\n",
        python.entry("ParseStatus"),
        *(python.entry(one.__name__, _module(one)) for one in error_classes()),
    ]
    return "\n".join(parts)


def _module(one: type[Exception]) -> str:
    return "imeiset" if one.__name__ in imeiset.__all__ else "imeiset.errors"


def _family(one: type[Exception]) -> type[Exception] | None:
    if one.__name__ in _IN:
        return getattr(errors, _IN[one.__name__])  # type: ignore[no-any-return]
    return next((kind for base in _FAMILIES if issubclass(one, kind := getattr(errors, base))), None)


def _errors_of(kinds: list[type[Exception]]) -> str:
    rows = (
        (f"[`{one.__name__}`](#{_module(one)}.{one.__name__})", *map(prose, cause_and_remedy(one)))
        for one in kinds
    )
    return table(("error", "what happened", "what to do"), rows)

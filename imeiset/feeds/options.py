"""How files are read: the one table of options.

Each field of `Options` says what it is for and at which doors it is asked for. From here come the checks of
values, the options of the commands, and the keys of a list in a description. A door is

- "load": `load`, and `imeiset build` of lists
- "list": the keys of a list in a description
- "apply": `apply`, and `imeiset apply`
- "screen": `screen`, and `imeiset screen`
- "info": `imeiset info` of a list
- "run": `load_register`, and the commands that load a description
"""

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, Self, cast

from .._files import expect_written
from .._native.scan import MAX_ROW
from ..errors import CheckDigit
from ..irregular import Handling
from .days import check_format
from .formats import CHANGES, FORMATS
from .sources import MAX_BYTES, MAX_RATIO
from .words import text_of

MAX_LINE = 1 << 20  # bytes
LostZeros = Literal["keep", "restore", "restore-imeisv"]
Column = str | int
Doors = Literal["load", "list", "apply", "screen", "info", "run"]


class Where(NamedTuple):
    """The rows that count: those whose column has one of the values, in any case.

    column: a title, or a number from 1. values: without case and blanks around.
    """

    column: Column
    values: frozenset[str]

    def counts(self, value: bytes) -> bool:
        """Whether a row with this value counts."""
        return value_of(value) in self.values


def value_of(value: bytes | str) -> str:
    """A value of a column as values are compared: in lower case, without blanks around."""
    return text_of(value).casefold()


# ---- kinds of values: what is given, to what `Options` holds ---------------------------------------


class Kind(NamedTuple):
    """A kind of value. read: what is given, to what `Options` holds; ValueError or TypeError for what is
    none. expected: in words. metavar: in the help of commands. several: whether a command may repeat it."""

    read: Callable[[Any], Any]
    expected: str
    metavar: str
    several: bool = False


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _path(value: Any) -> str:
    expect_written(path := _text(os.fspath(value)))
    if path.lower().endswith((".parquet", ".pq")):
        raise ValueError
    return path


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError
    return value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, float) else _whole(value)


def _column(value: Any) -> Column:
    if isinstance(value, str):
        return _text(value)
    if (number := _whole(value)) < 1:
        raise ValueError
    return number


def _columns(value: Any) -> Column | tuple[Column, ...]:
    """A column, or several; each once."""
    if isinstance(value, str | int):
        return _column(value)
    columns = tuple(map(_column, value))
    if not columns or len(set(columns)) < len(columns):
        raise ValueError
    return columns if len(columns) > 1 else columns[0]


def column_of(text: str) -> Column:
    """A column as commands name it: digits are a number."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() else text


_OPERATORS = ("!", "<", ">", "~", ":")  # before a '=', which then says something else


def _where(value: Any) -> Where:
    """'COLUMN=VALUE,VALUE', or a mapping of the column to its values, or a `Where`."""
    if isinstance(value, Where):
        return value
    if isinstance(value, Mapping):
        [(column, values)] = value.items()
    else:
        name, equals, text = _text(value).partition("=")
        column, values = column_of(name), text.split(",")
        if not equals or name.rstrip().endswith(_OPERATORS) or any("=" in one for one in values[1:]):
            raise ValueError  # another comparison, or another column
    values = [values] if isinstance(values, str) else list(values)
    if not values or not all(isinstance(one, str) for one in values):
        raise ValueError
    return Where(_column(column), frozenset(map(value_of, values)))


def _changes(value: Any) -> dict[str, str]:
    """'VALUE=CHANGE,VALUE=CHANGE', or a mapping of values to changes."""
    if isinstance(value, Mapping):
        pairs = [(_text(str(one)), change) for one, change in value.items()]
    else:
        pairs = [one.rpartition("=")[::2] for one in _text(value).split(",")]
    found = {value_of(one): value_of(change) for one, change in pairs}
    if (
        not found
        or len(found) < len(pairs)
        or not {change.encode() for change in found.values()} <= {*CHANGES}
    ):
        raise ValueError
    return found


TEXT = Kind(_text, "a text", "NAME")
PATH = Kind(_path, "a path of text, which is neither compressed nor a table", "CSV")
FLAG = Kind(_flag, "true or false", "")
WHOLE = Kind(_whole, "a number", "N")
NUMBER = Kind(_number, "a number", "N")
COLUMN = Kind(_column, "a name or a number", "NAME|N")
COLUMNS = Kind(_columns, "a name or a number, or several", "NAME|N", several=True)
WHERE = Kind(_where, "COLUMN=VALUE,VALUE", "COLUMN=VALUE,...")
VALUES = Kind(_changes, "VALUE=add, =remove or =update, each value once", "VALUE=CHANGE,...")
DATE = Kind(check_format, "a format like %d.%m.%Y, or 'excel'", "FORMAT")


# ---- the table -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One option. words: the only values, of a text. least, most: of a number. metavar: instead of that of
    the kind."""

    help: str
    doors: tuple[Doors, ...]
    kind: Kind = TEXT
    words: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    metavar: str = ""

    def read(self, value: Any) -> Any:
        """A value as `Options` holds it. Raises ValueError with what was expected."""
        try:
            found = self.kind.read(value)
        except (TypeError, ValueError):
            raise ValueError(self.kind.expected) from None
        if self.words and found not in self.words:
            raise ValueError(f"one of {', '.join(self.words)}")
        low, high = self.least, self.most
        if (low is not None and not found >= low) or (high is not None and not found <= high):
            raise ValueError(f"a number from {low}" + (f" to {high}" if high is not None else ""))
        return found


def _option(default: Any, doors: str, help: str, kind: Kind = TEXT, **more: Any) -> Any:
    """A field of `Options`."""
    option = Option(help, cast(tuple[Doors, ...], tuple(doors.split())), kind, **more)
    return field(default=default, metadata={"option": option})


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to read sources, see `load`. Raises ValueError for a value that none can have."""

    format: str | None = _option(
        None,
        "load list apply info",
        "The format that the files must have: stolen, tacs, ranges, ...",
        words=tuple(FORMATS),
        metavar="NAME",
    )
    column: Column | tuple[Column, ...] | None = _option(
        None,
        "load list apply screen info",
        "The column of the IMEIs, by its title or its number; may be repeated.",
        COLUMNS,
    )
    check_digit: CheckDigit = _option(
        "ignore",
        "load list apply info",
        "A 15th digit that is wrong: ignore it, accept only a spare 0, or reject the row.",
        words=("ignore", "spare", "require"),
    )
    irregular: Handling = _option(
        "reject",
        "load list apply info",
        "Identities that are not numbers: reject the row, or keep them as text.",
        words=("reject", "keep"),
    )
    lost_zeros: LostZeros | None = _option(
        None,
        "load list apply screen info",
        "Rows that lack a digit: keep them, or restore the zero that was dropped. [default: an error]",
        words=("keep", "restore", "restore-imeisv"),
    )
    where: Where | None = _option(
        None, "load list apply info", "Only rows with one of these values count.", WHERE
    )
    change_column: Column | None = _option(
        None, "list apply", "The column that says what a row changes, by its title or its number.", COLUMN
    )
    change_values: Mapping[str, str] | None = _option(
        None, "list apply", "What the values of that column mean: add, remove or update.", VALUES
    )
    date_column: Column | None = _option(
        None, "list apply info", "The column of the dates, by its title or its number.", COLUMN
    )
    until_column: Column | None = _option(
        None,
        "list apply info",
        "The column of the last days on which rows count, by its title or its number.",
        COLUMN,
    )
    date_format: str | None = _option(
        None, "list apply info", "How dates are written: %d.%m.%Y, or excel. [default: ISO 8601]", DATE
    )
    reason_column: Column | None = _option(
        None, "list apply info", "The column of the reasons, by its title or its number.", COLUMN
    )
    imsi: Literal["ignore"] | None = _option(
        None, "load list apply info", "Ignore the IMSIs of a list that has some.", words=("ignore",)
    )
    skip: int | None = _option(
        None,
        "load list apply screen info",
        "How many lines stand above the header or the first row.",
        WHOLE,
        least=0,
    )
    tbcd: bool | None = _option(
        None, "load list apply screen info", "Cells are TBCD in hex, two digits swapped.", FLAG
    )
    sheet: str | None = _option(None, "load list apply screen info", "The sheet of a workbook.")
    rejects: str | os.PathLike[str] | None = _option(
        None,
        "load apply run",
        "Write the rejected rows to this file; for a register, to one file a list.",
        PATH,
    )
    max_rejects: int | None = _option(
        None, "load list apply run", "Stop when a list has more rejected rows.", WHOLE, least=0
    )
    max_line: int = _option(
        MAX_LINE, "load", "Reject rows that are longer.", WHOLE, least=1, most=MAX_ROW, metavar="BYTES"
    )
    max_rows: int | None = _option(None, "load run", "Refuse a list with more rows.", WHOLE, least=0)
    max_bytes: int = _option(MAX_BYTES, "load", "Refuse a longer text.", WHOLE, least=0, metavar="BYTES")
    max_ratio: float = _option(
        MAX_RATIO, "load", "Refuse text N times its compressed size.", NUMBER, least=1
    )  # NaN is none, which nothing exceeds

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            if value is None and DEFAULTS[name] is None:
                continue
            try:
                object.__setattr__(self, name, option.read(value))
            except ValueError as error:
                raise ValueError(f"expected {name} of {error}, got {value!r}") from None
        if self.change_values is not None and self.change_column is None:
            raise ValueError("expected change_column with change_values, got none")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The options among these names and values; the others are left alone."""
        return cls(**{name: value for name, value in given.items() if name in OPTIONS})

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of identities that were asked for; none if they are to be found."""
        if self.column is None:
            return ()
        return self.column if isinstance(self.column, tuple) else (self.column,)

    @property
    def first_column(self) -> Column | None:
        """The first of them; None if they are to be found."""
        return self.columns[0] if self.columns else None


OPTIONS: dict[str, Option] = {one.name: one.metadata["option"] for one in fields(Options)}
DEFAULTS: dict[str, Any] = {one.name: one.default for one in fields(Options)}


def options_of(door: Doors) -> dict[str, Option]:
    """The options of a door, by name."""
    return {name: option for name, option in OPTIONS.items() if door in option.doors}


# An option in a text, and what may be its value, once or more often; what is quoted is of another command.
_VALUE = r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|[^\s;'"\\])+(?<!,)"""
_IN_TEXT = re.compile(rf"`[^`]*`|--(no-)?([a-z][a-z-]*)((?: {_VALUE})(?: --\2 {_VALUE})*)?")
_NO_TITLES = ("or", "says", "with")  # words that follow an option without a value


def as_keys(text: str) -> str:
    """A text in which options are the keys of a list in a description: 'lost_zeros = "keep"'.

    Examples
    --------
    >>> as_keys("--tbcd reads TBCD, --column imei1 --column imei2 both; `imeiset apply --column x`")
    'tbcd = true reads TBCD, column = ["imei1", "imei2"] both; `imeiset apply --column x`'
    """
    return _IN_TEXT.sub(_as_key, text)


def _as_key(found: re.Match[str]) -> str:
    no, switch, rest = found.groups(default="")
    name = switch.replace("-", "_")
    if "list" not in (option := OPTIONS.get(name, _NONE)).doors:
        return found[0]
    if option.kind is FLAG:
        return f"{name} = {'false' if no else 'true'}{rest}"
    values = [one for one in shlex.split(rest) if one != f"--{switch}"]
    if not values or not _is_value(option, values[0]):
        return name + rest
    shown = [json.dumps(int(one) if one.isdecimal() else one, ensure_ascii=False) for one in values]
    return f"{name} = " + (f"[{', '.join(shown)}]" if len(shown) > 1 else shown[0])


_NONE = Option("", ())


def _is_value(option: Option, word: str) -> bool:
    """Whether the word after an option is its value, and not the next word of the sentence."""
    if option.words:
        return word in option.words
    if option.kind is WHERE:
        return "=" in word
    return word.isdecimal() or (option.kind in (COLUMN, COLUMNS) and word not in _NO_TITLES)

"""Every form an identity comes in, and what it has to mean at each door: a table written from the documents.

A *door* is a place where a value comes in. The doors are in three families, because not every door can take
every value:

objects
    one value, or a list of Python objects
columns
    a typed column: NumPy, Arrow, pandas, polars, DuckDB, Spark, Parquet
texts
    characters of a file, of an argument or of stdin

A form has an outcome for each family, and exceptions for single doors. An outcome is a key, a `ParseStatus`
(an error where values must be right, a reported reason where rows are counted), `Always` (an error whatever
the caller said of malformed rows), `Refused` (the column as a whole), or `Cannot` (and why).
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from imeiset import Imei
from imeiset.errors import ParseStatus as S


@dataclass(frozen=True)
class Always:
    """An error whatever `malformed` or a policy says."""

    status: S


@dataclass(frozen=True)
class Refused:
    """A column that is not taken at all: TypeError, or the library's own error."""


@dataclass(frozen=True)
class Cannot:
    """No such value can come through this door, and why."""

    why: str


@dataclass(frozen=True)
class Form:
    """A value and its outcomes. columns, texts: None for that of objects; dtype: of typed columns."""

    name: str
    value: Any
    objects: Any
    columns: Any = None
    texts: Any = None
    digits: int = 14
    dtype: str = "text"
    but: dict[str, Any] = field(default_factory=dict)

    def at(self, door: str, family: str) -> Any:
        """What has to come of it at a door."""
        if door in self.but:
            return self.but[door]
        own = {"objects": self.objects, "columns": self.columns, "texts": self.texts}[family]
        return self.objects if own is None else own


A = 35209900176148  # 352099001761481
Z = 1234567890123  # 012345678901237
GIVEN = "352099001761481"

NO_NUL = Cannot("an argument of a command ends at a NUL")
NO_LINE = Cannot("a line of stdin ends there: what follows is another")
ONE_VALUE = Cannot("one value at a time: whoever has a check digit writes text")
TYPED = Cannot("a typed column has no such objects; the typed forms are rows of their own")
WRITTEN = Cannot("a file holds characters: as text it is a row of its own")
TRAILING = Cannot("NumPy drops NULs at the end")
DELIMITS = Cannot("it is a delimiter there")
NOT_A_ROW = Cannot("a blank line is not a row, and is counted as blank")
BLANK_STDIN = Cannot("blank lines of stdin are skipped")


def text(name: str, value: str, outcome: Any, **but: Any) -> Form:
    """A form of text: the same at every door, but where one says why not."""
    return Form(name, value, outcome, but={door.replace("__", " "): what for door, what in but.items()})


LINE = {"check__stdin": NO_LINE, "buffer": NO_LINE}
COMMA = {"load__plain": DELIMITS, "build__plain": DELIMITS}
BLANK = {"load__plain": NOT_A_ROW, "build__plain": NOT_A_ROW, "check__stdin": BLANK_STDIN}

TEXTS = [
    # digits and separators
    text("15 digits", GIVEN, A),
    text("14 digits", "35209900176148", A),
    text("16 digits", "3520990017614801", A),
    text("leading zero", "012345678901237", Z),
    text("a lost zero alone", "12345678901237", 12345678901237),
    text("hyphens", "35-209900-176148-1", A),
    text("blanks between", "35 209900 176148 1", A),
    text("hyphens, 16 digits", "35-209900-176148-01", A),
    text("another check digit", "352099001761489", A),
    text("spare digit 0", "352099001761480", A),
    # blanks around
    text("CHAR column", GIVEN + " " * 17, A),
    text("blanks before", "  " + GIVEN, A),
    text("tab after", GIVEN + "\t", A, **COMMA),
    text("tab before", "\t" + GIVEN, A, **COMMA),
    text("CR after", GIVEN + "\r", A),
    text("LF after", GIVEN + "\n", A, **LINE),
    text("CR LF after", GIVEN + "\r\n", A, **LINE),
    text("VT and FF around", "\v" + GIVEN + "\f", A),
    text("blank before 14 digits and hyphens", " 35209900-176148 ", A),
    text("no-break space after", GIVEN + "\u00a0", S.NOT_ASCII),
    text("blanks alone", "   ", S.EMPTY, **BLANK),
    text("empty", "", S.EMPTY, **BLANK),
    # PEI
    text("imei-", "imei-" + GIVEN, A),
    text("IMEI-", "IMEI-" + GIVEN, A),
    text("Imei- with blanks around", " Imei-" + GIVEN + " ", A),
    text("imei- and hyphens", "imei-35-209900-176148-1", A),
    text("imeisv-", "imeisv-3520990017614801", A),
    text("IMEISV-", "IMEISV-3520990017614801", A),
    text("imei- and 14 digits", "imei-35209900176148", S.PREFIX),
    text("imei- and 16 digits", "imei-3520990017614801", S.PREFIX),
    text("imeisv- and 15 digits", "imeisv-" + GIVEN, S.PREFIX),
    text("imei- and a filler", "imei-" + GIVEN + "F", (S.PREFIX, S.NOT_DIGIT, S.FILLER)),
    text("imsi-", "imsi-262011234567890", (S.PREFIX, S.NOT_DIGIT)),
    text("mac-", "mac-00-00-5E-00-53-00", (S.PREFIX, S.NOT_DIGIT)),
    # filler
    text("15 digits and F", GIVEN + "F", A),
    text("15 digits and f", GIVEN + "f", A),
    text("14 digits and FF", "35209900176148FF", A),
    text("14 digits and ff", "35209900176148ff", A),
    text("14 digits and F", "35209900176148F", S.FILLER),
    text("15 digits and FF", GIVEN + "FF", S.FILLER),
    text("16 digits and F", "3520990017614801F", S.FILLER),
    text("13 digits and F", "3520990017614F", (S.FILLER, S.TOO_SHORT)),
    text("a digit after F", GIVEN + "F1", (S.FILLER, S.NOT_DIGIT)),
    text("F before", "F" + GIVEN, S.NOT_DIGIT),
    # URN
    text("urn", "urn:gsma:imei:35209900-176148-1", A),
    text("URN", "URN:GSMA:IMEI:35209900-176148-1", A),
    text("urn, spare digit", "urn:gsma:imei:35209900-176148-0", A),
    text("urn with svn", "urn:gsma:imei:35209900-176148-0;svn=01", A, **COMMA),
    text("urn with parameters", "urn:gsma:imei:35209900-176148-0;svn=01;vers=0", A, **COMMA),
    text("urn without a spare digit", "urn:gsma:imei:35209900-176148", "malformed"),
    text("urn of a serial cut short", "urn:gsma:imei:35209900-17614-1", "malformed"),
    text("urn of something else", "urn:gsma:imeisv:35209900-176148-01", "malformed"),
    # spreadsheets
    text("formula", f'="{GIVEN}"', A),
    text("formula, leading zero", '="012345678901237"', Z),
    text("formula, filler", f'="{GIVEN}F"', A),
    text("apostrophe", "'" + GIVEN, A),
    text("apostrophe, leading zero", "'012345678901237", Z),
    text("formula cut off", f'="{GIVEN}', "malformed"),
    text("a sum", "=352099001761481", "malformed"),
    text("quoted", f'"{GIVEN}"', S.NOT_DIGIT, load__plain=A, build__plain=A),
    # IMEI/SVN
    text("14 digits/SVN", "35209900176148/01", A),
    text("15 digits/SVN", GIVEN + "/01", A),
    text("IMEI / SVN", GIVEN + " / 01", A),
    text("one digit of SVN", GIVEN + "/1", "malformed"),
    text("16 digits/SVN", "3520990017614801/01", "malformed"),
    text("two IMEIs", GIVEN + "/860123450000012", "malformed"),
    # not an IMEI
    text("float text", GIVEN + ".0", S.NOT_DIGIT),
    text("exponent", "3.52099E+14", S.NOT_DIGIT),
    text("thousands", "352,099,001,761,481", S.NOT_DIGIT, **COMMA),
    text("semicolon after", GIVEN + ";", S.NOT_DIGIT, **COMMA),
    text("13 digits", "3520990017614", S.TOO_SHORT),
    text("17 digits", "35209900176148100", S.TOO_LONG),
    text("plus", "+" + GIVEN, S.SIGN),
    text("minus", "-" + GIVEN, S.SIGN),
    text("blank and plus", " +" + GIVEN, S.SIGN),
    text("NUL inside", "3520990\x0001761481", S.NUL, check__argument=NO_NUL),
    text("NUL after", GIVEN + "\0", S.NUL, check__argument=NO_NUL, numpy=TRAILING),
    text("Arabic-Indic digits", "٣٥٢٠٩٩٠٠١٧٦١٤٨١", S.NOT_ASCII),
    text("full width digit", "35209900176148\uff11", S.NOT_ASCII),
    text("en dash", "35\u2013209900\u2013176148\u20131", S.NOT_ASCII),
    text("zero width space", GIVEN + "\u200b", S.NOT_ASCII),
    text("not available", "n/a", S.NOT_DIGIT),
    text("MEID", "A0000012345678", S.NOT_DIGIT),
    text("two hyphens", "35--209900-176148-1", S.SEPARATOR),
    text("hyphen after", GIVEN + "-", S.SEPARATOR),
    text("dots", "35.209900.176148.1", S.NOT_DIGIT),
    text("hex", "0x352099001761481", S.NOT_DIGIT),
    text("USSD", "*#06#", S.NOT_DIGIT),
    # placeholders: an EIR may want them
    text("zeros", "000000000000000", 0),
    text("equal digits", "111111111111111", 11111111111111),
    text("test TAC", "001001234567890", 100123456789),
]  # fmt: skip

NO_TEXT = {"columns": TYPED, "texts": WRITTEN}
BINARY = dict.fromkeys(["polars is_in", "polars status"], Cannot("a polars column of binary is not text"))
BINARY |= dict.fromkeys(["duckdb function", "duckdb status"], Cannot("the function takes VARCHAR"))
# A column of objects is read as a list is.
LOOSE = dict.fromkeys(["numpy", "pandas isin", "pandas status"], Always(S.WRONG_TYPE))


def raw(name: str, value: bytes, outcome: Any) -> Form:
    """A text as bytes."""
    return Form(name, value, outcome, texts=WRITTEN, dtype="binary", but=BINARY)


def neither(name: str, value: Any, dtype: str = "", **but: Any) -> Form:
    """Neither text nor an integer: an error whatever the caller says, and no column of such is taken."""
    columns = Refused() if dtype else TYPED
    but |= {"parse": S.WRONG_TYPE}  # it never raises on content
    return Form(name, value, Always(S.WRONG_TYPE), columns=columns, texts=WRITTEN, dtype=dtype, but=but)


OBJECTS = [
    raw("bytes", GIVEN.encode(), A),
    raw("bytes, blanks after", GIVEN.encode() + b"  ", A),
    raw("bytes, PEI", b"imei-" + GIVEN.encode(), A),
    raw("bytes, not UTF-8", b"\xff" + GIVEN.encode(), S.NOT_ASCII),
    Form("Imei", Imei(GIVEN), A, **NO_TEXT),
    Form("numpy.str_", np.str_(GIVEN), A, **NO_TEXT),
    Form("numpy.bytes_", np.bytes_(GIVEN), A, **NO_TEXT),
    Form("None", None, S.MISSING, texts=WRITTEN, but={"Imei": S.WRONG_TYPE}),
    Form("NaN", float("nan"), S.MISSING, **NO_TEXT, but={"Imei": S.WRONG_TYPE}),
    neither("True", True, "bool"),
    neither("float", 352099001761481.0, "float64"),
    neither("Decimal", Decimal(35209900176148), "decimal", **LOOSE),
    neither("numpy.float64", np.float64(352099001761481)),
    neither("bytearray", bytearray(GIVEN.encode())),
    neither("tuple", (GIVEN,)),
]  # fmt: skip


def integer(
    name: str, value: Any, outcome: Any, *, digits: int = 14, dtype: str = "int64", **rest: Any
) -> Form:
    """A form of an integer. Files and arguments hold characters, and 15 digits are asked for by columns."""
    but: dict[str, Any] = {"Imei": S.WRONG_TYPE}  # which is of text: `Imei.from_key` takes keys
    if isinstance(outcome, Always):
        but["parse"] = outcome.status  # it never raises on content
    if digits == 15:
        but |= dict.fromkeys(["in", "Imei", "Register.check", "Store.check"], ONE_VALUE)
    return Form(name, value, outcome, texts=WRITTEN, digits=digits, dtype=dtype, but=but, **rest)


INTEGERS = [
    integer("int of 14 digits", A, A),
    integer("int of 13 digits", Z, Z),
    integer("int of 15 digits", 352099001761481, Always(S.FIFTEEN_DIGITS)),
    integer("int of 16 digits", 3520990017614801, Always(S.OUT_OF_RANGE)),
    integer("negative int", -5, S.NEGATIVE),
    integer("int 0", 0, 0),
    integer("the key of a row without one", 2**64 - 1, S.MISSING, dtype="uint64"),
    integer("numpy.int64", np.int64(A), A),
    integer("numpy.uint64", np.uint64(A), A, dtype="uint64"),
    integer("numpy.int64 of 15 digits", np.int64(352099001761481), Always(S.FIFTEEN_DIGITS)),
    integer("int beyond 64 bits", 2**70, Always(S.OUT_OF_RANGE), columns=TYPED),
    integer("int32 column", np.int32(123456789), 123456789, columns=Refused(), dtype="int32"),
    integer("15 for 15: 15 digits", 352099001761481, A, digits=15),
    integer("15 for 15: lost zero", 12345678901237, Z, digits=15),
    integer("15 for 15: two lost zeros", 1234567890128, 123456789012, digits=15),
    integer("15 for 15: unsigned", np.uint64(352099001761481), A, digits=15, dtype="uint64"),
    integer("15 for 15: 16 digits", 3520990017614801, Always(S.OUT_OF_RANGE), digits=15),
    integer("15 for 15: negative", -1, S.NEGATIVE, digits=15),
]

FORMS = TEXTS + OBJECTS + INTEGERS

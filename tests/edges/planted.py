"""Misreadings planted on purpose: what the generator is for, and so has to find.

Each is what a fault in the code would come to: a change of the file or of the options on their way to the
reader, or a part of the reader that does not do its work.
"""

import gzip
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest

from imeiset.feeds.looks import Watch
from imeiset.feeds.options import Where


def rewritten(path, change):
    """The file with other lines; compressed ones are left alone."""
    data = path.read_bytes()
    if data[:2] not in (gzip.compress(b"")[:2], b"PK") and data[:1] not in (b"\x28", b"\x50"):
        path.write_bytes(b"".join(map(change, data.splitlines(keepends=True))))


def hashes_are_comments(path, options):
    """4: a row that begins with '#' is lost as a comment."""
    rewritten(path, lambda line: b"#\n" if line.startswith(b"#") else line)
    return path, options


def first_column_only(path, options):
    """8, r1: of several columns of IMEIs only the first is read."""
    if isinstance(options.get("column"), list):
        options["column"] = options["column"][0]
    return path, options


def cases_differ(path, options):
    """11: what `where` says is compared as it is written."""
    for column, values in options.get("where", {}).items():
        options["where"] = Where(column, frozenset(values))
    return path, options


def deltas_by_name_are_lists(path, options):
    """12: the name of a file says nothing."""
    return path.rename(path.with_name("list.csv")), options


def pairs_are_phones(path, options):
    """13: the subscriber of a pair is left out without a word."""
    return path, options | {"imsi": "ignore"}


def missing_check_digits_pass(path, options):
    """15: where the check digit is required, 14 and 16 digits are taken."""
    if options.get("check_digit") == "require":
        options["check_digit"] = "spare"
    return path, options


def zeros_are_kept(path, options):
    """3: numbers that lost a zero are taken as they are, however many there are."""
    return path, {"lost_zeros": "keep", **options}


def swapped_digits_are_imeis(path, options):
    """r8: TBCD is taken for digits in their order."""
    return path, options | {"tbcd": False}


def last_rows_are_lost(path, options):
    """All: the last row is lost if no line end follows it."""
    data = path.read_bytes()
    path.write_bytes(data if data.endswith(b"\n") else data[: data.rfind(b"\n") + 1] or data)
    return path, options


ON_THE_WAY = [
    hashes_are_comments, first_column_only, cases_differ, deltas_by_name_are_lists, pairs_are_phones,
    missing_check_digits_pass, zeros_are_kept, swapped_digits_are_imeis, last_rows_are_lost,
]  # fmt: skip

# What the reader does not do, and what it gives instead.
NOT_DONE = {
    "_expect_agreement": None,  # 11: a column that says that a row is not blocked is named, and nothing more
    "_expect_changes_read": None,  # 12: a column of changes is one like others
    "_expect_no_serial": None,  # 14: a TAC and a serial number are all phones of the TAC
    "unread": [],  # 11, 17: columns that were not looked at are not in the report
}


@contextmanager
def not_done(name):
    """The reader without a part of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, name, lambda *_: NOT_DONE[name])
        yield None


MISREADINGS = {one.__name__: partial(nullcontext, one) for one in ON_THE_WAY}
MISREADINGS |= {f"without {name}": partial(not_done, name) for name in NOT_DONE}

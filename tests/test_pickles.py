"""Pickles of a release that was, only read: a class that is renamed, or keeps other parts, fails here."""

import copy
import datetime
import pickle
from pathlib import Path

import pytest

from imeiset import EquipmentStatus, Imei, ImeiSet, ParseStatus, Policy, Verdict, errors
from imeiset._native.imsi import Prefixes
from imeiset._native.index import Encoder
from imeiset._native.parse import Buffers

GOLDEN = Path(__file__).parent / "golden"
KINDS = [
    kind
    for name, kind in vars(errors).items()
    if name[0] != "_" and isinstance(kind, type) and issubclass(kind, Exception)
]
SAVED = {
    "set": [
        ImeiSet(["490154203237518", "358091016853555"]),
        ImeiSet(["490154203237518", "62#222222222222"], irregular="keep"),
        ImeiSet.from_ranges([49015420000000], [49015420999999]),
        ImeiSet(),
    ],
    "imei": [Imei(text) for text in ("49015420323751", "490154203237518", "4901542032375112")],
    "verdict": [
        Verdict(EquipmentStatus.UNKNOWN),
        Verdict(
            EquipmentStatus.BLACKLISTED, "stolen", "exact", ("lost", "stolen"), datetime.date(2026, 1, 31)
        ),
    ],
    "policy": [
        Policy(),
        Policy(
            3,
            EquipmentStatus.GREYLISTED,
            EquipmentStatus.BLACKLISTED,
            ("tac", "range", "exact", "pair", "imsi"),
        ),
    ],
    "statuses": [*EquipmentStatus, *[status for status in ParseStatus if status < 18]],  # others came later
}


def golden(name):
    return pickle.loads((GOLDEN / f"{name}-1.pickle").read_bytes())


@pytest.mark.parametrize("name", SAVED)
def test_values(name):
    found = golden(name)
    assert found == SAVED[name]
    assert [type(one) for one in found] == [type(one) for one in SAVED[name]]
    assert [repr(one) for one in found] == [repr(one) for one in SAVED[name]]


def test_sets_answer():
    for one, expected in zip(golden("set"), SAVED["set"], strict=True):
        assert one.digest() == expected.digest()
        assert (one.irregular is None) == (expected.irregular is None)
    assert "62#222222222222" in golden("set")[1]


def test_errors():
    found = golden("errors")
    assert {type(error) for error in found} <= {*KINDS}
    assert len(found) >= 35
    assert [str(error) for error in found] == [f"said {type(error).__name__}" for error in found]
    error, feed = golden("errors-with-parts")
    assert (error.status, error.position) == (ParseStatus.TOO_SHORT, 7)
    assert (feed.path, feed.expected, feed.line) == ("list.csv", "a header", 3)


def test_what_native_code_holds_is_not_copied():
    """Its pointers would be those of another object."""
    for held in (Prefixes(), Buffers(), Encoder()):
        for copied in (copy.copy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot pickle"):
                copied(held)

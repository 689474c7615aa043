"""Decisions on many keys: those of `check`, counted and told."""

from collections import Counter

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import Register
from imeiset._native.codes import count_codes
from imeiset.register.imsis import imsi_numbers

from .holding import KEYS, registers

IMSIS = st.none() | st.from_regex(r"[0-9]{5,15}", fullmatch=True)


@settings(max_examples=200)
@given(registers(), st.lists(st.tuples(KEYS, IMSIS), max_size=30), st.booleans())
def test_decisions_are_those_of_checks(register, rows, with_imsis):
    keys = np.array([key for key, _ in rows], np.uint64)
    imsis = [imsi for _, imsi in rows] if with_imsis else None
    numbers = imsi_numbers(imsis, len(rows))[0] if with_imsis else None
    found = register.decide(keys, numbers)
    verdicts = [register.check(f"{key:014d}", imsi if with_imsis else None) for key, imsi in rows]
    assert found.status.tolist() == [verdict.status for verdict in verdicts]
    assert found.tally() == Counter((verdict.status, verdict.rule) for verdict in verdicts)
    want = register.check_many(keys, imsis, details=True)
    for name, column in found.details().items():
        assert list(column) == list(want[name]) or np.array_equal(column, want[name], equal_nan=True)


def test_numbers_that_are_not_keys():
    for wrong in (10**14, 2**64 - 1):
        with pytest.raises(ValueError, match="below"):
            Register().decide(np.array([1, wrong], np.uint64))
    assert Register().decide(np.array([], np.uint64)).tally() == {}


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.sampled_from([0, 3, 48, 63]), st.integers(0, 40))
def test_codes_are_counted(rows, shift, room):
    """Or nothing is read or written outside of what was given."""
    counts, low = np.zeros(room + 2, np.int64), np.full(len(rows) + 1, 77, np.uint8)
    counts[room:] = 77
    given = np.array(rows, np.uint64), shift, low[: len(rows)], counts[:room]
    try:
        expected = oracle.count_codes(rows, shift, room)
    except IndexError:
        with pytest.raises(IndexError, match=f"codes: expected below {room}"):
            count_codes(*given)
    else:
        count_codes(*given)
        assert (counts[:room].tolist(), low[:-1].tolist()) == expected
    assert (counts[room:].tolist(), int(low[-1])) == ([77, 77], 77)


@pytest.mark.parametrize("shift", [-1, 64, 1000])
def test_shifts_that_cannot_be(shift):
    with pytest.raises(IndexError):
        count_codes(np.zeros(1, np.uint64), shift, np.zeros(1, np.uint8), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="low: expected 1 rows"):
        count_codes(np.zeros(1, np.uint64), 0, np.zeros(2, np.uint8), np.zeros(1, np.int64))

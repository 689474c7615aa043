"""Texts of columns joined row by row."""

import numpy as np
import pytest

from imeiset._native.codes import joined


def column(texts, codes):
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    return ends, np.frombuffer(b"".join(texts), np.uint8), np.array(codes, np.int32)


def test_joined():
    columns = [
        column([b"a", b"", b"long"], [2, 1, 0]),
        column([b","], [0] * 3),
        column([b"x\n", b"\n"], [0, 1, 0]),
    ]
    assert joined(3, columns) == b"long,x\n,\na,x\n"
    assert joined(0, [column([], [])]) == joined(2, []) == b""


@pytest.mark.parametrize("codes", [[0, 2], [-1, 0], [2**31 - 1, 0]])
def test_codes_beyond_the_texts(codes):
    with pytest.raises(IndexError, match="codes: expected below 2"):
        joined(2, [column([b"a", b"b"], codes)])


@pytest.mark.parametrize("ends", [[0, 5], [0, -1], [-1, 1], [3, 1]])
def test_texts_that_are_not_there(ends):
    with pytest.raises(IndexError):
        joined(1, [(np.array(ends, np.int32), np.zeros(2, np.uint8), np.zeros(1, np.int32))])


def test_other_lengths():
    with pytest.raises(ValueError, match="expected 3 rows, got 1"):
        joined(3, [column([b"a"], [0])])
    with pytest.raises(IndexError):
        joined(1, [(np.empty(0, np.int32), np.empty(0, np.uint8), np.zeros(1, np.int32))])

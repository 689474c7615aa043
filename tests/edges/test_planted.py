"""Misreadings planted in the reader are found by the generator, in fewer files than one run of it has."""

import pytest

from edges.comparing import differences
from edges.generator import KINDS, draw
from edges.planted import MISREADINGS

BUDGET = 1000  # files, of all kinds in turn: the long test draws 22 times as many


def is_found(misreading, seed, kind, place):
    """Whether a file is understood otherwise with the misreading, and rightly without."""
    sheet = draw(seed, kind)
    with misreading() as misread:
        wrong = differences(sheet, place, misread)
    return wrong and not differences(sheet, place)


@pytest.mark.long
@pytest.mark.parametrize("name", MISREADINGS)
def test_found(name, tmp_path):
    files = ((seed, kind) for seed in range(BUDGET // len(KINDS)) for kind in KINDS)
    found = (drawn for drawn, one in enumerate(files, 1) if is_found(MISREADINGS[name], *one, tmp_path))
    drawn = next(found, None)
    print(f"{name}: found in file {drawn}")
    assert drawn is not None

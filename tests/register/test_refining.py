"""What stands beside an IMEI in the list that is asked first: which of it gets a number. What registers make
of it is tested in `test_deciders.py`."""

import numpy as np
import pytest

from imeiset import EquipmentStatus, ImeiSet, Register
from imeiset.register.details import Column
from imeiset.register.layered import LayeredSet
from imeiset.register.refining import Beside, refined

B = EquipmentStatus.BLACKLISTED


def codes_of_list(*codes):
    return Beside(np.empty(0, np.uint8), codes)


def test_numbers_are_for_what_is_common():
    """Of a class the rarest keeps the number of it, if it is alone there."""
    beside = {0: codes_of_list((1, 0, 0), (2, 0, 0), (3, 0, 0)), 1: codes_of_list((0, 0, 0))}
    words = [0, 1, 1 | 1 << 12, 1 | 2 << 12, 65 | 3 << 12, 65 | 1 << 12, 2 | 1 << 12, 512]
    numbers, classes, details = refined(words, [9, 5, 1, 7, 8, 2, 3, 4], beside)
    assert classes == [0, 1, 65, 2, 512, 65, 1, 1]
    assert numbers == [0, 1, 7, 6, 5, 2, 3, 4]
    assert details == [None, None, (1, 0, 0), (0, 0, 0), None, (3, 0, 0), (2, 0, 0), (1, 0, 0)]


def test_numbers_are_few():
    """Classes come before what stands beside them, and what has no number is of no other's."""
    many = codes_of_list(*((n, 0, 0) for n in range(1, 256)))
    words = [0, *(1 | n << 12 for n in range(1, 256))]
    numbers, classes, details = refined(words, [0, *range(1, 256)], {0: many})
    assert (numbers, classes) == ([0, 1, *range(255, 1, -1)], [0] + [1] * 255)
    assert details == [None, (1, 0, 0), *((n, 0, 0) for n in range(255, 1, -1))]
    words = [0, *(64 * n + 1 for n in range(1, 61)), *(1 | n << 12 for n in range(1, 256))]
    numbers, classes, details = refined(words, [0] * 61 + list(range(1, 256)), {0: many})
    assert len(classes) == len(details) == 256
    assert numbers[61:] == [61] * 61 + list(range(255, 61, -1))
    assert details[61:] == [None, *((n, 0, 0) for n in range(255, 61, -1))]
    numbers, classes, _ = refined([0, *range(1, 300)], [1] * 300, {})
    assert (numbers, classes) == ([*range(256)] + [0] * 44, [*range(256)])


@pytest.mark.parametrize("ways", [3, 300, 2100])
def test_what_stands_beside_each_is_told_by_number(ways):
    """Of few combinations, of more than there are numbers, and of so many that a sample is counted."""
    rng = np.random.default_rng(ways)
    keys, members = np.arange(7, 7 + 300_000 * 9, 9, dtype=np.uint64), Register()
    which = np.minimum(rng.integers(0, ways, len(keys)), rng.integers(0, ways, len(keys)))
    days = np.array(
        [str(day) for day in np.arange("2000-01-01", "2006-01-01", dtype="datetime64[D]")], object
    )
    columns = {"reasons": [f"r{code}" for code in which.tolist()], "dates": days[which].tolist()}
    nothing = np.flatnonzero(which == 0).tolist()  # stands beside these
    for row in nothing:
        columns["reasons"][row] = columns["dates"][row] = None
    members.add("one", keys, status=B, **(columns if ways > 3 else {"reasons": columns["reasons"]}))
    exact = members.lists[0].exact
    found = Beside.of(exact)
    assert len(found.codes) == min(ways, 255)
    codes = np.array([(0, 0, 0), *found.codes])[found.numbers]
    for column, said in zip(exact.columns, codes.T, strict=True):
        if column is not None:
            assert (said == column.codes)[found.numbers > 0].all()
    rare = np.bincount(which[found.numbers == 0], minlength=1).max(initial=0)
    assert rare <= 1.5 * np.bincount(which[found.numbers > 0]).max()
    assert (found.numbers > 0).mean() >= min(1, 200 / ways)
    assert np.unique(found.numbers[found.numbers > 0]).tolist() == list(range(1, len(found.codes) + 1))
    assert (0, 0, 0) in found.codes
    assert repr(found) == f"Beside(codes={found.codes})"
    assert Beside.of(LayeredSet(exact.base)) is None


@pytest.mark.parametrize("texts", [3, 300])
@pytest.mark.parametrize("count", [0, 2000])
def test_of_damaged_columns_nothing_is_told(texts, count):
    """All of whose codes mean nothing; or of no members."""
    values, members = tuple(f"{n:03}" for n in range(texts)), ImeiSet.from_keys(range(0, 9 * count, 9))
    columns = (Column(values, np.full(count, 9999, np.uint16)),) * 3
    assert Beside.of(LayeredSet(members, columns)) is None

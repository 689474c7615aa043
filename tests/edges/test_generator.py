"""Dirty files from seeds, loaded and screened, and held against the slow oracle: it agrees.

`make test` draws some hundred of each kind; `make test-edges` draws 22,000, in processes side by side.
"""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edges.comparing import differences, record_differences, shrunken
from edges.generator import KINDS, draw
from edges.tables import table_differences

SHORT, LONG = 14, 1000  # files of each kind
LEAST = 200  # of each kind in the long test
PART = 50


def understood_otherwise(sheet, place):
    """What differs where the file is loaded as a list, and where it is screened as records."""
    return differences(sheet, place) + record_differences(sheet, place)


def failures(kind: str, seeds: range) -> list[str]:
    """What differs, of each seed in which something does, in words."""
    found = []
    with TemporaryDirectory() as place:
        for seed in seeds:
            sheet = draw(seed, kind)
            if wrong := understood_otherwise(sheet, Path(place)):
                found.append(f"kind {kind}, seed {seed}: {'; '.join(wrong)}")
    return found


def smallest(kind: str, seed: int) -> str:
    """The smallest file found that differs in the same way, to be read by a person."""
    with TemporaryDirectory() as place:

        def ways(sheet):
            return {one.split(":")[0] for one in understood_otherwise(sheet, Path(place))}

        sheet = draw(seed, kind)
        first = ways(sheet)
        sheet = shrunken(sheet, lambda smaller: bool(first & ways(smaller)))
        return f"{sheet.data()!r} with {sheet.options}: {understood_otherwise(sheet, Path(place))}"


def expect_none(found: list[str]) -> None:
    if found:
        kind, seed = found[0].removeprefix("kind ").split(":")[0].split(", seed ")
        first = smallest(kind, int(seed))
        pytest.fail(f"{len(found)} files, of which the first is {first}\n" + "\n".join(found))


@pytest.mark.parametrize("kind", KINDS)
def test_some_files(kind):
    expect_none(failures(kind, range(SHORT)))


@pytest.mark.parametrize(
    ("suffix", "library", "count"), [("parquet", "pyarrow", SHORT), ("xlsx", "openpyxl", 3)]
)
def test_other_tables(suffix, library, count, tmp_path):
    pytest.importorskip(library)
    for kind in KINDS:
        if kind == "14":  # lists of TACs are read from text only
            continue
        for seed in range(count):
            sheet = draw(seed, kind)
            if sheet.titles is not None:
                assert not table_differences(sheet, tmp_path, suffix), (kind, seed)


@pytest.mark.long
def test_many_files():
    parts = [(kind, range(first, first + PART)) for kind in KINDS for first in range(0, LONG, PART)]
    drawn = Counter[str]()
    for kind, seeds in parts:
        drawn[kind] += len(seeds)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = [one for some in pool.map(failures, *zip(*parts, strict=True)) for one in some]
    print(f"{drawn.total()} files:", dict(drawn))
    assert drawn.total() >= 20_000
    assert min(drawn.values()) >= LEAST
    expect_none(found)

"""Screeners: the word for every row, of sets, registers and paths."""

import dirty
import numpy as np
import pytest

from imeiset import ImeiError, ImeiSet, ParseStatus, Screener, SnapshotError


@pytest.fixture
def path(tmp_path):
    ImeiSet(dirty.LISTED).save(tmp_path / "list.imei")
    return tmp_path / "list.imei"


def said(screener, column):
    return [screener.words[code] for code in screener.codes(column)]


def test_every_row_has_a_word(path):
    for given in (ImeiSet.open(path), path, str(path)):
        screener = Screener(given)
        assert said(screener, dirty.COLUMN) == dirty.words()
        assert [screener.words[code] for code in screener.hits] == ["listed"]
        assert screener.listed(dirty.COLUMN, malformed=False).tolist() == dirty.listed(False)
        assert screener.listed(dirty.COLUMN, malformed=True).tolist() == dirty.listed(True)
        with pytest.raises(ImeiError, match="row 1: no value"):
            screener.listed(dirty.COLUMN)
    assert len(set(screener.words)) == len(screener.words) == 2 + max(ParseStatus)


def test_registers():
    screener = Screener(dirty.Register())
    assert said(screener, dirty.COLUMN) == dirty.register_words()
    assert [screener.words[code] for code in screener.hits] == ["blacklisted", "greylisted"]
    assert screener.listed(dirty.COLUMN, malformed=False).tolist() == dirty.listed(False)
    assert screener.listed(dirty.COLUMN, malformed=True).tolist() == dirty.listed(True)
    with pytest.raises(ImeiError, match="row 1: no value"):
        screener.listed(dirty.COLUMN)


def test_many_rows_on_many_threads(path):
    column = np.array([*dirty.LISTED, "352099001761499"], "S15").repeat(50_000)
    screener = Screener(path)
    want = np.repeat([True, True, True, False], 50_000)
    for threads in (None, 1, 3):
        assert (screener.listed(column, threads=threads) == want).all()
    assert (screener.codes(column) == want).all()


def test_a_file_is_mapped_once_until_it_is_replaced(path):
    assert Screener(path).list is Screener(str(path)).list
    before = Screener(path)
    ImeiSet(["352099001761499"]).save(path)
    assert said(Screener(path), ["352099001761499", dirty.GOOD]) == ["listed", "not listed"]
    assert said(before, ["352099001761499", dirty.GOOD]) == ["not listed", "listed"]


def test_what_is_no_list(tmp_path):
    with pytest.raises(TypeError, match="expected an ImeiSet, a Register or a path, got list"):
        Screener([dirty.GOOD])
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(SnapshotError):
        Screener(tmp_path / "x")
    with pytest.raises(SnapshotError, match="expected a readable file"):
        Screener(tmp_path / "nowhere")

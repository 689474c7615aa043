"""The benchmarks' corpora are what they say they are: figures measured on them mean something."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parent.parent / "benchmarks" / "corpus.py"

if not SOURCE.exists():
    pytest.skip("the sources are away: an installed build is being tested", allow_module_level=True)

_spec = importlib.util.spec_from_file_location("corpus", SOURCE)
assert _spec is not None
assert _spec.loader is not None
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)

N = 500_000


def check(keys: np.ndarray, n: int) -> np.ndarray:
    """Whether these are n sorted keys without repeats; the size of each of their TACs."""
    assert keys.dtype == np.uint64
    assert len(keys) == n
    assert (keys[1:] > keys[:-1]).all()
    assert keys[-1] < 10**14
    sizes: np.ndarray = np.unique(keys // corpus.SERIALS, return_counts=True)[1]
    return sizes


def test_reference() -> None:
    keys = corpus.reference(N)
    sizes = check(keys, N)
    assert sizes.max() <= 50_000
    assert len(sizes) == 60_000
    ranked = np.sort(sizes)[::-1]
    assert ranked[99] / ranked[999] == pytest.approx(10**0.9, rel=0.01)
    bodies = np.unique(keys // corpus.SERIALS) // 10**6
    for body, share in {35: 0.42, 86: 0.40, 1: 0.05, 99: 0.03}.items():
        assert (bodies == body).mean() == share
    serials = (keys % corpus.SERIALS).astype(float)
    assert serials.mean() == pytest.approx(500_000, rel=0.01)
    assert serials.std() == pytest.approx(1_000_000 / 12**0.5, rel=0.01)
    assert np.array_equal(keys, corpus.reference(N))
    assert not np.array_equal(keys, corpus.reference(N, seed=1))


def test_what_the_cap_cuts_off_goes_to_others() -> None:
    sizes = corpus._sizes(100_000_000)
    assert sizes.sum() == 100_000_000
    assert sizes.max() == 50_000
    with pytest.raises(ValueError, match="at most"):
        corpus._sizes(60_000 * 50_000 + 1)


def test_clustered_has_half_its_serials_in_runs() -> None:
    n = 2 * N
    keys = corpus.clustered(n)
    sizes = check(keys, n)
    assert np.array_equal(np.sort(sizes), np.sort(check(corpus.reference(n), n)))
    edges = np.flatnonzero(np.diff(keys) != 1)
    runs = np.diff(edges)
    assert runs[runs >= 100].sum() == pytest.approx(n / 2, rel=0.02)
    assert (runs >= 100).sum() > 50


def test_singletons_and_whole_tacs() -> None:
    assert check(corpus.singletons(N), N).max() == 1
    lows, highs = corpus.whole_tacs(1000)
    assert len(lows) == len(highs) == 1000
    assert (lows % 10**6 == 0).all()
    assert (highs - lows == 999_999).all()
    assert (lows[1:] > highs[:-1]).all()


@pytest.mark.parametrize("misses", ["listed", "anywhere"])
@pytest.mark.parametrize("hits", [0.0, 0.3, 1.0])
def test_queries(misses: str, hits: float) -> None:
    keys = corpus.reference(N)
    wanted = corpus.queries(keys, 100_000, hits, misses)
    found = np.isin(wanted, keys)
    assert found.mean() == hits
    assert (wanted < 10**14).all()
    if misses == "listed":
        assert np.isin(wanted // corpus.SERIALS, keys // corpus.SERIALS).all()
    order = np.corrcoef(np.arange(100_000), found)[0, 1] if 0 < hits < 1 else 0
    assert abs(order) < 0.02


def test_queries_of_a_list_that_leaves_no_room() -> None:
    with pytest.raises(ValueError, match="no room"):
        corpus.queries(np.arange(corpus.SERIALS, dtype=np.uint64), 10)
    with pytest.raises(ValueError, match="misses"):
        corpus.queries(np.arange(10, dtype=np.uint64), 10, 0.5, "none")


def test_texts() -> None:
    keys = np.array([49015420323751, 0, 99_999_999_999_999], np.uint64)
    assert corpus.texts(keys).tolist() == [
        b"490154203237518",
        b"0" * 15,
        b"999999999999994",
    ]


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = corpus.reference(1000)
    monkeypatch.setenv("IMEISET_BENCH_CACHE", str(tmp_path / "cache"))
    assert np.array_equal(corpus.reference(1000), fresh)
    assert np.array_equal(corpus.reference(1000), fresh)
    assert len(list((tmp_path / "cache").iterdir())) == 1

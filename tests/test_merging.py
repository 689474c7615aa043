"""Merging parts: the bytes of the union, whatever the parts are and however often lines are drained."""

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import ImeiSet, SnapshotError, merge
from imeiset import index as index_module
from imeiset._native import payload
from imeiset.cli import main
from imeiset.snapshot import Snapshot

KEY = st.one_of(
    st.integers(0, 10**14 - 1),
    st.integers(0, 3 * 10**6),  # few TACs: parts overlap and touch
    st.sampled_from([0, 999_999, 10**6, 10**14 - 1]),
)
RANGE = st.tuples(KEY, st.integers(0, 3_000_000)).map(lambda r: (r[0], min(r[0] + r[1], 10**14 - 1)))
PART = st.tuples(st.lists(KEY, max_size=30), st.lists(RANGE, max_size=5))


def part(keys, ranges):
    lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
    return ImeiSet.from_keys(np.array(keys, np.uint64)) | ImeiSet.from_ranges(lows, highs)


def merged(parts, here):
    """The file that merging the sets gives, and the one that saving their union gives."""
    paths = []
    for i, one in enumerate(parts):
        paths.append(here / f"{i}.imei")
        one.save(paths[-1])
    count = merge(paths, here / "merged.imei")
    whole = ImeiSet()
    for one in parts:
        whole |= one
    assert count == len(whole)
    whole.save(here / "whole.imei")
    ImeiSet.verify(here / "merged.imei")
    return (here / "merged.imei").read_bytes(), (here / "whole.imei").read_bytes()


@settings(deadline=None)
@given(st.lists(PART, min_size=1, max_size=6), st.sampled_from([1, 2, 5, 1 << 16]))
def test_the_bytes_of_the_union(tmp_path_factory, parts, runs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "_RUNS", runs)  # read at a time
        patch.setattr(payload, "DRAIN", 64)
        found, want = merged([part(*one) for one in parts], tmp_path_factory.mktemp("merge"))
    assert found == want


@pytest.mark.parametrize("drain", [1, 1 << 16, 1 << 22])
def test_lists_in_parts(tmp_path, monkeypatch, drain):
    """By TAC range, and at random: 300,000 keys, dense TACs and sparse ones."""
    monkeypatch.setattr(payload, "DRAIN", drain)
    rng = np.random.default_rng(drain)
    tacs = rng.integers(10**7, 10**8, 200)
    keys = np.unique(
        tacs[(200 * rng.random(300_000) ** 3).astype(int)] * 10**6 + rng.integers(0, 10**6, 300_000)
    )
    keys = keys.astype(np.uint64)
    edges = np.searchsorted(keys // 10**6, np.sort(tacs)[::40])
    for pieces in (np.split(keys, edges), [keys[rng.random(len(keys)) < 0.4] for _ in range(5)]):
        found, want = merged([ImeiSet.from_keys(piece) for piece in pieces][::-1], tmp_path)
        assert found == want


def test_irregular_identities(tmp_path):
    one = ImeiSet(["490154203237518", "BEEF"], irregular="keep")
    other = ImeiSet(["BEEF", "62#222222222222"], irregular="keep")
    found, want = merged([one, ImeiSet(["352099001761481"]), other], tmp_path)
    assert found == want
    assert "62#222222222222" in ImeiSet.open(tmp_path / "merged.imei")


def test_progress_and_generation(tmp_path):
    for i in range(3):
        ImeiSet.from_keys(np.arange(i, 10**5, 3, dtype=np.uint64)).save(tmp_path / f"{i}.imei")
    seen = []
    parts = [tmp_path / f"{i}.imei" for i in range(3)]
    assert merge(parts, tmp_path / "out.imei", generation=7, progress=lambda *at: seen.append(at)) == 10**5
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] > 0
    assert len(ImeiSet.open(tmp_path / "out.imei")) == 10**5


def test_progress_of_empty_parts(tmp_path):
    ImeiSet([]).save(tmp_path / "a.imei")
    seen = []
    assert merge([tmp_path / "a.imei"] * 2, tmp_path / "out.imei", progress=lambda *at: seen.append(at)) == 0
    assert [read for read, _ in seen] == [size for _, size in seen] != []
    assert (tmp_path / "out.imei").read_bytes() == (tmp_path / "a.imei").read_bytes()


def test_what_is_merged_is_what_was_verified(tmp_path, monkeypatch):
    """A part that is replaced meanwhile counts as it was."""
    verify, names = Snapshot.verify, ("a.imei", "b.imei")

    def replaced(file):
        verify(file)
        ImeiSet.from_keys([9]).save(file.path)

    monkeypatch.setattr(Snapshot, "verify", replaced)
    for key, name in enumerate(names):
        ImeiSet.from_keys([key]).save(tmp_path / name)
    assert merge([tmp_path / name for name in names], tmp_path / "out.imei") == 2
    assert ImeiSet.open(tmp_path / "out.imei").to_numpy().tolist() == [0, 1]


def test_what_cannot_be_merged(tmp_path):
    ImeiSet(["490154203237518"]).save(tmp_path / "a.imei")
    damaged = bytearray((tmp_path / "a.imei").read_bytes())
    damaged[-60] ^= 1
    (tmp_path / "b.imei").write_bytes(damaged)
    (tmp_path / "out.imei").write_bytes(b"before")
    with pytest.raises(SnapshotError):
        merge([tmp_path / "a.imei", tmp_path / "b.imei"], tmp_path / "out.imei")
    with pytest.raises(SnapshotError):
        merge([tmp_path / "a.imei", tmp_path / "c.imei"], tmp_path / "out.imei")
    with pytest.raises(ValueError, match="which is one"):
        merge([tmp_path / "a.imei"], tmp_path / "a.imei")
    with pytest.raises(ValueError, match="at least one part"):
        merge([], tmp_path / "out.imei")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.imei", "b.imei", "out.imei"]
    assert (tmp_path / "out.imei").read_bytes() == b"before"


def test_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, imei in (("a.imei", "490154203237518"), ("b.imei", "352099001761481")):
        ImeiSet([imei]).save(name)
    found = CliRunner().invoke(main, ["merge", "a.imei", "b.imei", "-o", "out.imei"])
    assert (found.exit_code, found.stdout) == (0, "out.imei: 2 IMEIs\n")
    found = CliRunner().invoke(main, ["merge", "a.imei", "-o", "a.imei"])
    assert found.exit_code == 2
    assert "is a source" in found.stderr


def test_builder_refuses(tmp_path):
    with (tmp_path / "x").open("wb", buffering=0) as file:
        builder = payload.Builder(file, file)
        pair = np.array([5, 9], np.uint64)
        with pytest.raises(ValueError, match="highs: expected"):
            builder.add(pair, pair[:1])
        with pytest.raises(ValueError, match="ascending"):
            builder.add(pair[::-1].copy(), pair[::-1].copy())
        builder = payload.Builder(file, file)
        builder.add(pair, pair)
        assert builder.finish()[0] == 2
        for call in (builder.finish, lambda: builder.add(pair, pair)):
            with pytest.raises(ValueError, match="not finished"):
                call()


def test_a_path_alone_is_not_several(tmp_path):
    with pytest.raises(TypeError, match="parts: expected a list of them, got one str"):
        merge("part.imei", tmp_path / "out.imei")

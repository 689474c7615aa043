"""Which published files lead on, and how they come here: whole, by ranges, and again after whatever fails."""

import hashlib
import os
from datetime import UTC, datetime

import pytest

from imeiset.errors import TrustRefused, TrustUnreachable
from imeiset.trust.client import Catalog, Target
from imeiset.trust.edition import Edition
from imeiset.trust.fetch import clean, fetch
from imeiset.trust.places import Place

BYTES = os.urandom(300_000)
TIME = datetime(2026, 1, 31, 12, tzinfo=UTC)


def target(number=1, kind="base", data=BYTES, length=None, sha256=None):
    name = f"{kind}-{number:08d}.imei"
    length = len(data) if length is None else length
    digest = hashlib.sha256(data).hexdigest()
    return Target(name, length, sha256 or digest, Edition(kind, number, TIME, {}))


class Counted(Place):
    """A place that tells what it was asked for, and fails after so many bytes."""

    def __init__(self, url, most=None):
        super().__init__(url)
        self.asked, self.most = [], most

    def pieces(self, name, start, length):
        self.asked.append((start, length))
        left = self.most
        for piece in super().pieces(name, start, length):
            if left is not None and len(piece) > left:
                yield piece[:left]
                raise TrustUnreachable(str(self), "more", "an end")
            left = left and left - len(piece)
            yield piece


@pytest.fixture
def put(tmp_path):
    """Puts a file where a target is."""

    def do(of, data=BYTES):
        Place(tmp_path / "place").put_bytes(of.path, data)
        return tmp_path / "place"

    return do


def test_a_file_comes_whole(tmp_path, put):
    one, told = target(), []
    place = Counted(put(one))
    path = fetch(place, one, tmp_path / "here", lambda *about: told.append(about))
    assert path.read_bytes() == BYTES
    assert path.name == f"{one.sha256}.base-00000001.imei"
    assert [*path.parent.iterdir()] == [path]
    assert told[0] == (one.name, 0, len(BYTES))
    assert told[-1] == (one.name, len(BYTES), len(BYTES))
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_came_is_not_fetched_again(tmp_path, put):
    one = target()
    place = Counted(put(one), most=100_000)
    with pytest.raises(TrustUnreachable):
        fetch(place, one, tmp_path / "here")
    place.most = None
    path = fetch(place, one, tmp_path / "here")
    assert path.read_bytes() == BYTES
    assert place.asked == [(0, len(BYTES) + 1), (100_000, len(BYTES) - 100_000 + 1)]


def test_a_part_that_does_not_fit_is_fetched_anew_once(tmp_path, put):
    one = target()
    place, here = Counted(put(one)), tmp_path / "here"
    here.mkdir()
    (here / f"{one.sha256}.{one.name}.part").write_bytes(b"x" * 1000)
    assert fetch(place, one, here).read_bytes() == BYTES
    assert [start for start, _ in place.asked] == [1000, 0]


@pytest.mark.parametrize("size", [len(BYTES), len(BYTES) + 1])
def test_a_part_that_is_as_long_or_longer(tmp_path, put, size):
    one = target()
    place, here = Counted(put(one)), tmp_path / "here"
    here.mkdir()
    (here / f"{one.sha256}.{one.name}.part").write_bytes((BYTES + b"x")[:size])
    assert fetch(place, one, here).read_bytes() == BYTES
    assert len(place.asked) == (size > len(BYTES))


def test_a_file_that_was_left_by_who_died_is_verified_again(tmp_path, put):
    one = target()
    place, here = Counted(put(one)), tmp_path / "here"
    path = fetch(place, one, here)
    assert fetch(place, one, here).read_bytes() == BYTES
    path.write_bytes(bytes(len(BYTES)))
    assert fetch(place, one, here).read_bytes() == BYTES
    assert [start for start, _ in place.asked] == [0, 0]


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (BYTES[:-1] + b"x", TrustRefused, "expected SHA-256"),
        (BYTES[:-1], TrustUnreachable, "expected 300,000 bytes, got 299,999, then its end"),
        (BYTES + b"x", TrustRefused, "expected 300,000 bytes, got more"),
    ],
)
def test_another_file_is_not_taken(tmp_path, put, data, error, said):
    one = target()
    place = Counted(put(one, data))
    for _ in range(2):
        with pytest.raises(error, match=said) as caught:
            fetch(place, one, tmp_path / "here")
        assert type(caught.value) is error
        assert not any(path.suffix == ".imei" for path in (tmp_path / "here").iterdir())
    put(one)
    assert fetch(place, one, tmp_path / "here").read_bytes() == BYTES


def test_a_disk_without_room_is_not_filled(tmp_path, put):
    one = target(length=2**62)
    with pytest.raises(TrustUnreachable, match="room for 4,611,686,018,427,387,904 bytes"):
        fetch(Counted(put(one)), one, tmp_path / "here")


def test_a_disk_that_fills_says_so(tmp_path, put, monkeypatch):
    one = target()
    place = Counted(put(one))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(TrustUnreachable, match="No space left"):
            fetch(place, one, tmp_path / "here")
    assert fetch(place, one, tmp_path / "here").read_bytes() == BYTES


def test_what_is_not_wanted_any_more_goes(tmp_path, put):
    old, new, here = target(1, data=b"old"), target(2), tmp_path / "here"
    put(old, b"old")
    fetch(Place(put(new)), old, here)
    (here / f"{new.sha256}.{new.name}.part").write_bytes(b"x")
    (here / "state.json").write_bytes(b"{}")
    clean(here, [new])
    assert {path.name for path in here.iterdir()} == {f"{new.sha256}.{new.name}.part", "state.json"}
    clean(tmp_path / "nowhere", [])


# ---- which files ----------------------------------------------------------------------


def catalog(bases, deltas):
    """Of lengths by edition."""
    return Catalog(
        "place",
        {number: target(number, length=length) for number, length in bases.items()},
        {number: target(number, "delta", length=length) for number, length in deltas.items()},
    )


@pytest.mark.parametrize(
    ("have", "names"),
    [
        (0, "base-5 delta-6 delta-7"),
        (2, "base-5 delta-6 delta-7"),  # no delta 3
        (3, "base-5 delta-6 delta-7"),  # 60 bytes of deltas, more than half of 100
        (4, "delta-5 delta-6 delta-7"),
        (5, "delta-6 delta-7"),
        (6, "delta-7"),
        (7, ""),
    ],
)
def test_deltas_where_they_are_light_and_a_base_otherwise(have, names):
    some = catalog({1: 100, 5: 100}, {4: 20, 5: 10, 6: 10, 7: 20})
    found = [one.name.replace("-0000000", "-").removesuffix(".imei") for one in some.path(have)]
    assert " ".join(found) == names
    assert some.current == 7
    assert some.edition.kind == "delta"


def test_deltas_alone_lead_on_however_heavy():
    assert [one.edition.number for one in catalog({1: 1}, {2: 100, 3: 100}).path(1)] == [2, 3]


@pytest.mark.parametrize(
    ("some", "have", "said"),
    [
        (catalog({}, {}), 0, "a base, got nothing published yet"),
        (catalog({}, {}), 3, "got nothing published yet"),
        (catalog({2: 5}, {}), 3, "edition 3, which is here, or a newer one, got 2: rolled back"),
        (catalog({}, {2: 1}), 0, "no delta for each edition from 1 to 2, and no base"),
        (catalog({1: 9}, {2: 1, 4: 1}), 0, "no delta for each edition"),
        (catalog({1: 9}, {2: 1, 4: 1}), 2, "no delta for each edition from 3 to 4, and no base"),
        (catalog({1: 9}, {10**18: 1}), 0, "no delta for each edition"),
        (catalog({2_000_000: 9}, {}), 1, "an edition that comes soon after 1, got 2,000,000: a key"),
    ],
)
def test_what_does_not_lead_on_is_refused(some, have, said):
    with pytest.raises(TrustRefused, match=said):
        some.path(have)

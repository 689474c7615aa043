"""Servers that do not do as they should: a follower ends in time, says why, and keeps what it has."""

import gc
import random
import shutil
import time

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from imeiset.errors import TrustRefused, TrustUnreachable
from imeiset.trust import places, web

from .following import Following, held
from .forger import Forger, keys
from .hostile import left_behind

# Phones in no order: their base is 40 kB long, and not packed to nothing.
SOME = {10**13 + one for one in random.Random(17).sample(range(10**9), 10_000)}
LISTS = {"stolen": SOME, "lost": keys(10)}
MORE = {"stolen": SOME | keys(2, 2 * 10**9), "lost": keys(10)}
# Parts of file names: metadata in the order in which it is read, and a target.
FILES = ("timestamp.json", "2.snapshot.json", "2.targets.json", "delta-00000002.imei")
# What each way ends with: refused where bytes are there that are not the ones; else it may be tried again.
WAYS = {
    "401": TrustUnreachable,
    "403": TrustUnreachable,
    "404": TrustUnreachable,
    "429": TrustUnreachable,
    "500": TrustUnreachable,
    "503": TrustUnreachable,
    "short": TrustUnreachable,
    "drip": TrustUnreachable,
    "silent": TrustUnreachable,
    "redirect": TrustUnreachable,
    "elsewhere": TrustUnreachable,
    "endless_fault": TrustUnreachable,
    "endless_redirect": TrustUnreachable,
    "soon": TrustUnreachable,
    "headers_only": TrustUnreachable,
    "drip_fault": TrustUnreachable,
    "trailers": TrustUnreachable,
    "redirect_onward": TrustUnreachable,
    "cut": (TrustUnreachable, TrustRefused),
    "padded": TrustRefused,
    "endless": TrustRefused,
    "other": TrustRefused,
    "page": (TrustUnreachable, TrustRefused),
    "bomb": TrustRefused,
}


@pytest.fixture
def forger(hostile):
    made = Forger(hostile.folder)
    made.base(LISTS)
    made.publish()
    return made


@pytest.fixture
def follower(hostile, forger, tmp_path):
    """It follows edition 1 of a server; edition 2 is there."""
    root = tmp_path / "root.json"
    shutil.copy(forger.first_root, root)
    made = Following(hostile.url, tmp_path / "store", root)
    made.step()
    forger.delta(MORE)
    forger.publish()
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What takes half a minute or more takes a second."""
    monkeypatch.setattr(web, "SECONDS", 1.0)
    monkeypatch.setattr(places, "SECONDS", 1.0)
    monkeypatch.setattr(places, "_OF_A_PIECE", 2.0)
    monkeypatch.setattr(
        places.Place._do, "__kwdefaults__", {**places.Place._do.__kwdefaults__, "seconds": 2.0}
    )


@pytest.fixture(autouse=True)
def nothing_left(hostile):
    """What was given up has ended while the server still would go on, and every connection was closed."""
    yield
    assert left_behind(10) == []
    gc.collect()  # a socket that is closed only here is a warning, and so an error


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_a_server_does_not_give_as_it_should(hostile, forger, follower, way, file):
    before = held(follower.store)
    hostile.how[file], hostile.sent = way, 0
    began = time.monotonic()
    with pytest.raises(WAYS[way]) as caught:
        follower.step()
    assert time.monotonic() - began < 20
    assert file.removesuffix(".imei").removeprefix("2.") in str(caught.value)
    assert hostile.sent < 30_000_000, "what is endless is not read"
    assert held(follower.store) == before
    del hostile.how[file]
    follower.step()
    assert follower.members() == MORE


def test_who_still_connects_when_it_is_given_up_ends_too(hostile, follower, monkeypatch):
    import urllib3.util.connection as connecting

    connect, connected = connecting.create_connection, []

    def slowly(*args, **options):
        time.sleep(0.7)
        connected.append(connect(*args, **options))
        return connected[-1]

    follower.step()
    hostile.how[".json"] = "headers_only"
    with monkeypatch.context() as patched:
        patched.setattr(connecting, "create_connection", slowly)
        patched.setitem(places.Place._do.__kwdefaults__, "seconds", 0.4)
        with pytest.raises(TrustUnreachable, match="too slow"):
            follower.step()
        time.sleep(1)
    assert connected, "it was to connect after it was given up"


@pytest.mark.parametrize("way", ["whole", "wrong_ranges"])
def test_ranges(hostile, forger, tmp_path, way):
    """A server without ranges is followed; one that gives other bytes is not believed, whoever resumes."""
    follower = Following(hostile.url, tmp_path / "store", forger.first_root)
    hostile.how["base-00000001.imei"] = "short"
    with pytest.raises(TrustUnreachable):
        follower.step()
    hostile.how["base-00000001.imei"] = way
    try:
        follower.step()
    except (TrustRefused, TrustUnreachable):
        assert way == "wrong_ranges"
        assert held(follower.store) is None
        hostile.how.clear()
        follower.step()
    assert follower.members() == LISTS


def test_a_download_that_breaks_goes_on_where_it_was(hostile, forger, tmp_path):
    """A base that breaks off half way is not fetched again from its beginning."""
    follower = Following(hostile.url, tmp_path / "store", forger.first_root)
    length = forger.path_of("base-00000001.imei").stat().st_size
    hostile.how["base-00000001.imei"] = "short"
    with pytest.raises(TrustUnreachable):
        follower.step()
    hostile.how.clear()
    hostile.sent = 0
    follower.step()
    assert follower.members() == LISTS
    assert hostile.sent < length, "it was fetched from its beginning"


def test_a_poll_with_nothing_new_is_two_requests(hostile, forger, follower):
    follower.step()
    hostile.asked.clear()
    hostile.sent = 0
    report = follower.step()
    assert report
    assert len(hostile.asked) <= 2, hostile.asked
    assert hostile.sent <= 1_000


def test_everything_fails_in_turn(hostile, forger, tmp_path):
    """Each request of a whole first step is answered 500 once: the next step goes on, and ends the same."""
    follower = Following(hostile.url, tmp_path / "store", forger.first_root)
    for file in ("2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "base-00000001.imei"):
        hostile.how = {file: "500"}
        with pytest.raises(TrustUnreachable, match="500"):
            follower.step()
        assert held(follower.store) is None
    hostile.how = {}
    follower.step()
    assert follower.members() == LISTS


def test_a_root_that_nobody_lets_through(hostile, forger, follower):
    """Who says that the next root is missing or forbidden gains no more than a freeze."""
    forger.rotate("targets")
    forger.rotate("timestamp")
    forger.new_root()
    forger.delta({**MORE, "lost": keys(11)})
    forger.publish()
    for way in ("404", "403", "500"):
        hostile.how["2.root.json"] = way
        before = held(follower.store)
        with pytest.raises((TrustRefused, TrustUnreachable)):
            follower.step()
        assert held(follower.store) == before
    hostile.how.clear()
    follower.step()
    assert follower.members()["lost"] == keys(11)

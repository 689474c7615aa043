"""What publishers and followers keep beside a store is read for ever, and written the same: the golden files
are only read."""

import datetime
from dataclasses import replace
from pathlib import Path

import pytest

from imeiset.errors import TrustRefused
from imeiset.store.following import Following
from imeiset.trust.memory import Memory, Said
from imeiset.trust.places import Place

GOLDEN = Path(__file__).parent.parent / "golden"
NOON = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.UTC)
URL = "https://lists.example.org/eir"
FAULT = f"{URL}: expected an answer, got 503"
FOLLOWING = Following(
    "police", 7, NOON, NOON + datetime.timedelta(hours=1), FAULT, NOON, "TrustUnreachable", URL, "ab" * 32
)
SAID = Said(
    7,
    {"stolen": "cd" * 32, "gestohlen-ü": "ef" * 32},
    {"root": 1, "targets": 9, "snapshot": 12, "timestamp": 40},
    above=5,
)


def test_what_a_follower_keeps(tmp_path):
    path = Following.folder(tmp_path, "police") / "state.json"
    path.parent.mkdir(parents=True)
    FOLLOWING.write(tmp_path)
    assert path.read_bytes() == (GOLDEN / "followed-1.json").read_bytes()
    path.write_bytes((GOLDEN / "followed-1.json").read_bytes())
    assert Following.read(tmp_path, "police") == FOLLOWING


def test_what_a_publisher_keeps(tmp_path):
    memory = Memory(tmp_path, Place("memory://lists/eir"))
    memory.folder.mkdir(parents=True)
    memory.keep(SAID)
    path = memory.folder / "state.json"
    assert path.read_bytes() == (GOLDEN / "published-1.json").read_bytes()
    path.write_bytes((GOLDEN / "published-1.json").read_bytes())
    assert memory.last() == SAID
    path.write_bytes(path.read_bytes().replace(b'"imeiset":1', b'"imeiset":2'))
    with pytest.raises(TrustRefused, match="format 2: update imeiset"):
        memory.last()
    memory.keep(replace(SAID, edition=8))
    assert memory.last() == replace(SAID, edition=8)

"""The public contract: each name and signature that users rely on, called as they would write it."""

import array
import inspect
import mmap
from importlib import metadata
from pathlib import Path

import nanoarrow as na
import numpy as np
import pyroaring
import pytest

import imeiset
from imeiset import Delta, EquipmentStatus, Imei, ImeiError, ImeiSet, Policy, Register, Store, Verdict
from imeiset.cli import _COMMANDS

LISTED, OTHER, HOME = "490154203237518", "356938035643809", "234150999999999"
KEYS = np.array([35693803564380, 49015420323751], np.uint64)


def test_one_identity():
    i = Imei("49-015420-323751-8")
    assert (i.tac, i.snr, i.check_digit, i.svn) == ("49015420", "323751", "8", None)
    assert (i.key, i.kind, i.is_valid, i.pei) == (49015420323751, "imei", True, "imei-490154203237518")
    assert (str(i), format(i, "-")) == (LISTED, "49-015420-323751-8")
    assert i.to_tbcd() == bytes.fromhex("94104502237315f8")
    assert (
        Imei.from_key(49015420323751) == Imei.from_pei(f"imei-{LISTED}") == Imei.from_tbcd(i.to_tbcd()) == i
    )
    assert [Imei(text).kind for text in ("49015420323751", "4901542032375112")] == ["body", "imeisv"]
    assert Imei("4901542032375112").pei == "imeisv-4901542032375112"
    assert imeiset.check_digit("49015420323751") == 8
    assert imeiset.is_valid(LISTED)
    assert not imeiset.is_valid("49015420323751")
    keys, status = imeiset.parse([LISTED, "x"])
    assert (keys.dtype, status.dtype, status.tolist()) == (np.uint64, np.uint8, [0, 4])
    assert imeiset.ParseStatus.OK == 0


def test_a_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    s = ImeiSet([LISTED, OTHER])
    t = ImeiSet.from_keys(KEYS[[1, 1]])
    assert ImeiSet.from_ranges(KEYS, KEYS) == s == ImeiSet.from_keys(KEYS[::-1])
    assert all(one in s for one in (LISTED, LISTED.encode(), 49015420323751, Imei(LISTED)))
    with pytest.raises(ImeiError):
        "49015420323751x" in s  # noqa: B015
    assert s.contains([LISTED, "352099001761481"], threads=1, malformed=None).tolist() == [True, False]
    assert s.contains(["x"], malformed=False).tolist() == [False]
    assert s.contains(["x"], malformed=True).tolist() == [True]
    assert s.contains([LISTED]).dtype == np.bool_
    with pytest.raises(ImeiError, match="row 1: "):
        s.contains([LISTED, "x"])
    ranks = s.positions([LISTED, "352099001761481"], threads=1)
    assert (ranks.dtype, ranks.tolist()) == (np.int64, [1, -1])
    assert (len(s), list(s), s[0], s[-1]) == (2, [OTHER, LISTED], OTHER, LISTED)
    assert (s.to_numpy().dtype, s.to_numpy().tolist()) == (np.uint64, KEYS.tolist())
    assert (s | t, s & t, s - t, s ^ t) == (s, t, ImeiSet([OTHER]), ImeiSet([OTHER]))
    assert t <= s
    assert t != s
    assert t.isdisjoint(s - t)
    tacs, counts = s.tac_counts()
    assert (tacs.dtype, counts.dtype) == ("S8", np.uint32)
    assert (tacs.tolist(), counts.tolist()) == ([b"35693803", b"49015420"], [1, 1])
    assert s.nbytes > 0
    s.save("s.imei")
    for mode in ("mmap", "memory"):
        assert ImeiSet.open("s.imei", mode=mode) == s
    bitmap = s.to_roaring()
    assert isinstance(bitmap, pyroaring.BitMap64)
    assert ImeiSet.from_roaring(bitmap) == ImeiSet.from_roaring(bitmap.serialize()) == s


@pytest.mark.parametrize("threads", [1, 3])
def test_accepted_columns(tmp_path, threads):
    """Views and dictionaries, which nanoarrow does not make, are in test_arrow.py."""
    s = ImeiSet([LISTED])
    lines = f"{LISTED}\r\n{OTHER}\n".encode()
    (tmp_path / "lines").write_bytes(lines)
    with (tmp_path / "lines").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    texts = [LISTED, OTHER]
    for column in (
        texts,
        tuple(texts),
        [text.encode() for text in texts],
        KEYS[::-1],
        KEYS[::-1].astype(np.int64),
        [int(key) for key in KEYS[::-1]],
        *(
            np.array([text[:width] + "1" * (width - 15) for text in texts], kind)
            for kind in ("S", "U")
            for width in (14, 15, 16)
        ),
        lines,
        bytearray(lines),
        memoryview(lines),
        mapped,
        array.array("Q", KEYS[::-1].tolist()),
        *(na.Array(texts, kind) for kind in (na.string(), na.large_string())),
        *(na.Array(KEYS[::-1].tolist(), kind) for kind in (na.int64(), na.uint64())),
    ):
        assert s.contains(column, threads=threads).tolist() == [True, False], type(column)
    with pytest.raises(ImeiError, match=r"an integer of 15 digits .*digits=15"):
        s.contains([int(LISTED)])
    assert s.contains([int(LISTED)], digits=15).tolist() == [True]
    assert imeiset.parse(na.Array([LISTED, None], na.string()))[1].tolist() == [
        0,
        imeiset.ParseStatus.MISSING,
    ]
    with pytest.raises(TypeError, match="got str: one IMEI has to be in a list"):
        s.contains(LISTED)


def test_verdicts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [(one.name, one.value) for one in EquipmentStatus] == [
        ("WHITELISTED", 0),
        ("BLACKLISTED", 1),
        ("GREYLISTED", 2),
        ("UNKNOWN", 3),
    ]
    r = Register(policy=Policy(response_type=1, malformed=None))
    r.add("stolen", ImeiSet([LISTED]), status=EquipmentStatus.BLACKLISTED, reason="stolen")
    r.add_ranges("barred", KEYS[:1], KEYS[:1] + np.uint64(9), status=EquipmentStatus.BLACKLISTED)
    r.add_tacs("models", ["35123456"], status=EquipmentStatus.GREYLISTED)
    r.exempt("paired", [LISTED], [HOME])
    assert r.check(LISTED, imsi=HOME) == Verdict(EquipmentStatus.WHITELISTED, "paired", "pair")
    v = r.check(LISTED)
    assert isinstance(v, Verdict)
    assert (v.status, v.list, v.rule, v.reasons, v.date) == (1, "stolen", "exact", ("stolen",), None)
    assert (r.check(OTHER).rule, r.check("35123456000000").rule) == ("range", "tac")
    assert r.check("352099001761481").rule == "default"
    statuses = r.check_many([LISTED, "35123456000000", "352099001761481"], imsis=None, threads=1)
    assert (statuses.dtype, statuses.tolist()) == (np.uint8, [1, 2, 0])
    assert r.check_many([LISTED], [HOME]).tolist() == [0]
    with pytest.raises(ImeiError):
        r.check("x")
    assert Register(Policy(malformed=EquipmentStatus.GREYLISTED)).check("x").status == 2
    r.save("r.imei")
    assert Register.open("r.imei").check(LISTED) == v


def test_lists_that_change_while_they_serve(tmp_path):
    r = Register()
    r.add("stolen", [LISTED], status=EquipmentStatus.BLACKLISTED)
    with Store.create(tmp_path / "eir", r) as store:
        assert store.apply(Delta("stolen", add=[OTHER], remove=[LISTED])) == 1
        assert store.check(OTHER).status == EquipmentStatus.BLACKLISTED
        assert store.check_many([LISTED, OTHER]).tolist() == [0, 1]
        reader = Store.open(tmp_path / "eir")
        store.compact()
        assert reader.refresh()
        assert (store.status().generation, reader.status().state_id) == (2, store.state_id)


def test_commands():
    assert {"build", "check", "screen", "info", "verify", "diff", "apply", "export", "demo"} <= set(_COMMANDS)


def test_public_names_are_all_there_is():
    """What `import imeiset` gives is in `__all__`, modules aside."""
    names = {
        name
        for name, value in vars(imeiset).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert names == set(imeiset.__all__)
    assert imeiset.__version__ == metadata.version("imeiset")
    assert Path(imeiset.__file__).with_name("py.typed").exists()

"""The public contract: each name and signature that users rely on, called as they would write it."""

import array
import ast
import functools
import importlib
import inspect
import mmap
import subprocess
import sys
from collections.abc import Set
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
        frozen = reader.frozen()
        assert (frozen.generation, frozen.sequence, frozen.state_id) == (2, 1, store.state_id)
        decided = frozen.decide(imeiset.parse([LISTED, OTHER])[0])
        assert (decided.status.tolist(), decided.tally()) == ([0, 1], {(0, "default"): 1, (1, "exact"): 1})
        assert list(decided.details()["list"]) == [None, "stolen"]


def test_commands():
    assert {"build", "check", "screen", "info", "verify", "diff", "apply", "export", "demo"} <= set(_COMMANDS)


CONTRACT = """
    Imei(text, /, *, check_digit="ignore")
    Imei.from_key(key, /)
    Imei.from_pei(pei, /)
    Imei.from_tbcd(octets, /)
    Imei.to_tbcd(self)
    check_digit(value, /)
    is_valid(text, /)
    parse(column, *, digits=14, check_digit="ignore")
    are_valid(column, *, digits=14)
    tacs(column, *, digits=14)
    to_arrow(values, /, *, valid=None)
    ImeiSet(column=(), /, *, digits=14, check_digit="ignore", irregular="reject")
    ImeiSet.open(path, /, *, mode="mmap")
    ImeiSet.verify(path, /, *, mode="mmap")
    ImeiSet.from_keys(keys, /, *, irregular=None)
    ImeiSet.from_ranges(lows, highs, /)
    ImeiSet.contains(self, column, *, threads=1, malformed=None, digits=14)
    ImeiSet.positions(self, column, *, threads=1, digits=14)
    ImeiSet.to_numpy(self)
    ImeiSet.union(self, *others)
    ImeiSet.intersection(self, *others)
    ImeiSet.difference(self, *others)
    ImeiSet.symmetric_difference(self, other, /)
    ImeiSet.issubset(self, other, /)
    ImeiSet.issuperset(self, other, /)
    ImeiSet.isdisjoint(self, other, /)
    ImeiSet.tac_counts(self)
    ImeiSet.digest(self)
    ImeiSet.save(self, path, /, *, generation=0)
    ImeiSet.to_roaring(self)
    ImeiSet.from_roaring(bitmap, /)
    Register(policy=None)
    Policy(response_type=1, unlisted=None, malformed=None)
    Register.add(self, name, imeis=(), *, status, reason=None, reasons=None, dates=None, digits=14)
    Register.add_ranges(self, name, lows, highs, *, status, reason=None)
    Register.add_tacs(self, name, tacs, *, status, reason=None)
    Register.exempt(self, name, imeis, imsis, *, reason=None)
    Register.lock(self, name, imeis, imsis, *, reason=None)
    Register.open(path, /, *, mode="mmap")
    Register.check(self, imei, imsi=None)
    Register.check_many(self, imeis, imsis=None, *, threads=1, digits=14)
    Register.decide(self, keys, imsis=None)
    Register.save(self, path, /, *, generation=0)
    Store.create(directory, register, /)
    Store.open(directory, /, *, mode="mmap", generation=None)
    Delta(list, add=None, remove=None)
    Store.prune(self, keep=1)
    Store.check(self, imei, imsi=None)
    Store.check_many(self, imeis, imsis=None, *, threads=1, digits=14)
    Store.refresh(self)
    Store.frozen(self)
    Store.compact(self)
    Store.status(self)
    Store.close(self)
    Verdict.to_dict(self)
    open(path, mode="mmap", *, verify=False)
    load(paths, *, format=None, column=None, check_digit="ignore", irregular="reject")
    load_register(description, *, rejects=None)
    apply(target, paths, *, list=None)
    diff(old, new, *, form="dirbs")
    export(members, file, *, form="plain")
    screen(inputs, listed, *, column=None, output=None, only_hits=False)
    Screener(listed, /)
    Screener.codes(self, column, *, threads=1)
    Screener.contains(self, column, *, malformed=None, threads=1)
    merge(parts, output, *, generation=0)
"""


def signature(text):
    """The parameters of a line of the contract, by Python itself."""
    return inspect.signature(eval(f"lambda {text}: None")).parameters.values()


@pytest.mark.parametrize("line", CONTRACT.strip().splitlines(), ids=lambda line: line.split("(")[0])
def test_signatures(line):
    """Name by name, kind by kind, default by default. Further parameters go by keyword and have a default."""
    name, _, given = line.strip().removesuffix(")").partition("(")
    found = dict(inspect.signature(functools.reduce(getattr, name.split("."), imeiset)).parameters)
    for wanted in signature(given):
        actual = found.pop(wanted.name)
        by_place = (wanted.POSITIONAL_ONLY, wanted.POSITIONAL_OR_KEYWORD)
        assert actual.kind is wanted.kind or {actual.kind, wanted.kind} == {*by_place}, wanted
        assert actual.default == wanted.default, wanted
    optional = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    if name not in ("Delta", "Policy"):  # records, whose further fields have defaults
        assert all(one.kind in optional for one in found.values()), found
    assert all(one.default is not one.empty or one.kind is one.VAR_KEYWORD for one in found.values()), found


def test_a_set_is_what_python_calls_one():
    s = ImeiSet([LISTED, OTHER])
    assert isinstance(s, Set)
    assert [*reversed(s)] == [LISTED, OTHER]
    assert s.union([HOME[:14]], {LISTED}) == s | {HOME[:14]}
    assert s.issuperset(one for one in [LISTED])
    assert {LISTED} <= s
    assert s != {LISTED, OTHER}
    assert s == ImeiSet({LISTED, OTHER})
    assert len({s, ImeiSet(iter([OTHER, LISTED]))}) == 1


def test_results_for_arrow():
    answers = ImeiSet([LISTED]).contains([LISTED, OTHER])
    assert imeiset.to_arrow(answers, valid=~answers).to_pylist() == [None, False]
    assert imeiset.to_arrow(imeiset.tacs([LISTED, "x"])).to_pylist() == ["49015420", None]


def test_counts_and_no_contents_are_shown():
    """What holds IMEIs shows how many, never which."""
    r = Register()
    r.add("stolen", [LISTED], status=EquipmentStatus.BLACKLISTED)
    for one in (
        ImeiSet([LISTED]),
        r,
        r["stolen"],
        Imei(LISTED),
        Delta("stolen", add=[LISTED], remove=[LISTED]),
    ):
        assert LISTED[8:14] not in repr(one), repr(one)
    assert "1" in repr(ImeiSet([LISTED]))


def test_tacs_are_texts():
    """S8 in arrays, str alone."""
    assert Imei(LISTED).tac == "49015420"
    s = ImeiSet([LISTED])
    for found in (imeiset.tacs([LISTED]), s.tac_counts()[0], s.biggest_tacs(1)[0]):
        assert (found.dtype, found.tolist()) == ("S8", [b"49015420"])
    for tacs in (["49015420"], np.array(["49015420"]), np.array([b"49015420"])):
        r = Register()
        r.add_tacs("models", tacs, status=EquipmentStatus.BLACKLISTED)
        assert r.check(LISTED).rule == "tac"


def test_public_names_are_all_there_is():
    """What `dir` shows is in `__all__`, modules aside; each is there by either way of asking."""
    names = {name for name in dir(imeiset) if name[0] != "_" and not inspect.ismodule(getattr(imeiset, name))}
    assert names - {"TYPE_CHECKING", "open"} == set(imeiset.__all__)  # the built-in open stays what it is
    found = {}
    exec("from imeiset import *", found)
    assert all(found[name] is getattr(imeiset, name) for name in imeiset.__all__)
    with pytest.raises(AttributeError, match="module 'imeiset' has no attribute 'nothing'"):
        imeiset.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from imeiset import nothing  # noqa: F401
    assert Path(imeiset.__file__).with_name("py.typed").exists()


def test_checkers_see_the_names_that_there_are():
    """What is imported for checkers of types is what is imported when a name is asked for."""
    tree = ast.parse(Path(imeiset.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    for name in imeiset.__all__:
        assert getattr(importlib.import_module(seen[name]), name) is getattr(imeiset, name)


def test_an_import_brings_nothing_else():
    code = (
        "import sys, imeiset; assert 'numpy' not in sys.modules\n"
        "imeiset.ImeiSet(['490154203237518']).contains(['490154203237518'])\n"
        "brought = {'pyroaring', 'json', 'click', 'rich', 'pyarrow', 'imeiset.feeds', 'imeiset.store',\n"
        "           'imeiset.register', 'imeiset.screening', 'imeiset.deltas', 'imeiset.cli'}\n"
        "assert not brought & {*sys.modules}, brought & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version():
    assert imeiset.__version__ == metadata.version("imeiset")


def test_rooms_are_there_before_anything_else_imported_them():
    code = (
        "import imeiset; imeiset.errors.StoreError, imeiset.feeds.load, imeiset.snapshot.open, imeiset.store"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

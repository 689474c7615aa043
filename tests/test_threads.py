"""No thread outlives the call that asked for it: a process may fork after any call."""

import subprocess
import sys
import threading
from contextlib import closing

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store, load, screen
from imeiset._native.sort import sorted_parts
from imeiset._threads import in_order, in_threads, parts_for
from imeiset.index import Index

RNG = np.random.default_rng(8)
KEYS = RNG.integers(0, 10**14, 400_000, dtype=np.uint64)  # enough for every one of them to be split
TEXTS = [f"{key:014}" for key in KEYS[:5000].tolist()]
MIXED = [*TEXTS, "n/a"]
MEMBERS = ImeiSet.from_keys(KEYS[::2])


def register():
    made = Register(Policy(malformed=EquipmentStatus.GREYLISTED))
    made.add("stolen", MEMBERS, status=EquipmentStatus.BLACKLISTED)
    return made


def from_file(tmp_path, *lines):
    path = tmp_path / "list.txt"
    path.write_text("\n".join([*TEXTS, *lines]))
    return load(path, max_rejects=0)


def screened(tmp_path, output):
    path = tmp_path / "records.csv"
    path.write_text("\n".join(["imei,x", *(f"{text},1" for text in TEXTS)]) + "\n")
    screen(path, MEMBERS, output=output)


def compacted(tmp_path):
    with Store.create(tmp_path / "eir", register()) as store:
        store.apply(Delta("stolen", add=TEXTS[:10]))
        store.compact()


def dropped(tmp_path):
    """An iterator that nobody takes to its end."""
    batches = sorted_parts([KEYS], 2)
    next(batches)
    del batches
    with closing(in_order(abs, range(1000))) as found:
        next(found)


CALLS = {
    "contains": lambda _: MEMBERS.contains(KEYS, threads=2),
    "contains texts": lambda _: MEMBERS.contains(TEXTS, threads=2),
    "contains, malformed": lambda _: MEMBERS.contains(MIXED, threads=2),
    "positions": lambda _: MEMBERS.positions(TEXTS, threads=2),
    "check_many": lambda _: register().check_many(KEYS, threads=2),
    "check_many of all cores": lambda _: register().check_many(TEXTS, threads=None),
    "check_many, malformed": lambda _: register().check_many(MIXED, ["234150999999999"] * 5001, threads=2),
    "building": lambda _: Index.from_parts([KEYS], threads=2),
    "building, with a digest": lambda _: Index.from_parts([KEYS.copy()], threads=2, digest=True),
    "building, with a key too large": lambda _: Index.from_parts([KEYS, KEYS + np.uint64(10**14)], threads=2),
    "building, the same, with a digest": lambda _: Index.from_parts(
        [KEYS + KEYS.max()], threads=2, digest=True
    ),
    "from_keys": lambda _: ImeiSet.from_keys(KEYS),
    "load": from_file,
    "load, stopped": lambda tmp_path: from_file(tmp_path, "n/a"),
    "dropped iterators": dropped,
    "a store": compacted,
    "screen": lambda tmp_path: screened(tmp_path, tmp_path / "out.csv"),
    "screen, with an output that fails": lambda tmp_path: screened(tmp_path, tmp_path / "none" / "out.csv"),
    "parts that fail": lambda _: in_threads(lambda part: 1 // part, [1, 2, 0, 3]),
    "the first part fails": lambda _: in_threads(lambda part: 1 // part, [0, 2, 1, 3]),
    "items that fail": lambda _: list(in_order(lambda item: 1 // item, [1, 2, 0, 3])),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_thread_is_left(call, tmp_path):
    before = threading.enumerate()
    error = None
    try:
        CALLS[call](tmp_path)
    except Exception as raised:
        error = raised  # kept, with all that its frames hold
    assert threading.enumerate() == before
    assert (error is not None) == any(
        word in call for word in ("contains, mal", "too large", "same", "stop", "fail")
    )


def test_a_fork_after_it_is_safe():
    """From Python 3.12 on a fork beside a thread warns."""
    code = (
        "import os, numpy as np\n"
        "from imeiset import ImeiSet\n"
        "keys = np.arange(400_000, dtype=np.uint64)[::-1].copy()\n"
        "members = ImeiSet.from_parts([keys], threads=2)\n"
        "members.contains(keys, threads=2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(not members.contains(keys, threads=2).all())\n"
        "os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=300)


def test_parts():
    assert parts_for(1) == 1
    assert parts_for(None) >= 1
    assert parts_for(10**6) == 256
    with pytest.raises(ValueError, match="threads: expected at least 1, got 0"):
        parts_for(0)
    assert in_threads(abs, [-1, -2, -3]) == [1, 2, 3]

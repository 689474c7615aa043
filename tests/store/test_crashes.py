"""Whatever fails, and whenever a writer dies: the old state or the new one, and nothing promised is lost."""

import json
import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from unittest import mock

import pytest

import imeiset
from imeiset import Delta, Store
from imeiset.errors import StoreDamaged
from imeiset.store import journal as _journal
from store import scenario

HERE = Path(__file__).parent
KEYS = [*scenario.MEMBERS, 1, 2, 3, 5]


def listed(store):
    """Which of the keys are listed."""
    return {key for key, status in zip(KEYS, store.check_many(KEYS).tolist(), strict=True) if status == 1}


WRITERS = 4  # at a time


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    """Processes that begin writers whose calls a library makes fail."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "faults.c", "-ldl"], check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}".strip(),
        "PYTHONPATH": os.pathsep.join([str(Path(imeiset.__file__).parent.parent), str(HERE.parent)]),
    }
    idle = SimpleQueue()
    with ExitStack() as running:
        for _ in range(WRITERS):
            process = subprocess.Popen(
                [sys.executable, HERE / "scenario.py"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            idle.put(running.enter_context(process))
        yield idle


@pytest.fixture(scope="module")
def fresh(request, tmp_path_factory):
    """A scenario, and a store that was just made for it, to copy: with feeds of a journal of version 1."""
    directory = tmp_path_factory.mktemp("fresh") / "store"
    play = scenario.SCENARIOS[request.param]
    with mock.patch.object(_journal, "VERSION", 1 if play is scenario.Feeds else _journal.VERSION):
        Store.create(directory, play.register()).close()
    return play, directory


def run(play, directory, writers, how, at):
    """Run a scenario with a fault; what it said, and whether the fault was reached. A reader looks on."""
    states = [play.state(step) for step in range(len(play.STEPS) + 1)]
    name = next(name for name, one in scenario.SCENARIOS.items() if one is play)
    said, wrong, seen = (directory.with_name(file) for file in ("said", "wrong", "seen"))
    faults = {"FAULT_DIR": str(directory), "FAULT_AT": str(at), "FAULT_HOW": how, "FAULT_SEEN": str(seen)}
    reader, step, process = Store.open(directory), 0, writers.get()
    process.stdin.write(json.dumps([name, str(directory), faults]).encode() + b"\n")
    process.stdin.flush()
    try:
        while not select.select([process.stdout], [], [], 0.002)[0]:
            reader.refresh()
            state = listed(reader), reader.feeds
            step = next((n for n in range(step, len(states)) if state == states[n]), None)
            assert step is not None, (at, "a state that was not committed, or an old one again", state)
    finally:
        ended = process.stdout.readline()
        writers.put(process)
    assert ended == b"ended\n"
    assert "Traceback" not in wrong.read_text(), wrong.read_text()
    return said.read_text().splitlines(), seen.exists()


QUICK = {("plain", "error"), ("plain", "kill"), ("feeds", "kill")}
FAULTS = [
    pytest.param(play, how, marks=() if (play, how) in QUICK else pytest.mark.long)
    for play in scenario.SCENARIOS
    for how in ("error", "kill", "short", "after")
]


@pytest.mark.parametrize(("fresh", "how"), FAULTS, indirect=["fresh"])
def test_every_call_that_changes_the_store_fails_in_turn(tmp_path, writers, fresh, how):
    play, made = fresh

    def fail(at):
        directory = tmp_path / f"{at}" / "store"
        shutil.copytree(made, directory)
        said, reached = run(play, directory, writers, how, at)
        done = sum(line.startswith("done") for line in said)
        if not reached or how in ("error", "short"):  # a step that failed goes well when taken again
            assert done == len(play.STEPS), (at, said)
            assert sum(line.startswith("failed") for line in said) <= reached, (at, said)
        for reader in (Store.open(directory), Store.open(directory, mode="memory")):
            found = next(n for n in (done, done + 1) if play.state(n) == (listed(reader), reader.feeds))
            if play.told(found) is not None:
                told = [(event.action, event.number) for event in reader.history(2)]
                assert told in (play.told(done), play.told(done + 1)), (at, said)
        before = listed(reader)
        writer = Store.open(directory)
        writer.apply(Delta("stolen", add=[1]))
        assert listed(writer) == before | {1}
        reader.refresh()
        assert listed(reader) == before | {1}
        writer.compact()
        writer.prune(1)
        assert listed(Store.open(directory)) == before | {1}
        assert len(list(directory.iterdir())) == 4, "what the dead writer left is cleared away"
        writer.close()
        return reached

    reached = [True]
    with ThreadPoolExecutor(WRITERS) as pool:
        while all(reached):  # until a run comes to its end undisturbed
            reached += pool.map(fail, range(len(reached), len(reached) + 8))
    assert reached.index(False) > 20, "the faults were not where the store writes"


FIRST = 1000


def cycle(directory, rng):
    """A child writes without a pause, and is killed; what it was promised, and what is there."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            store = Store.open(directory)
            while True:
                number = store.sequence + 1
                store.apply(
                    Delta("stolen", add=[FIRST + number], remove=[FIRST + number - 3]), sequence=number
                )
                os.write(writing, b"%d\n" % number)
                if number % 7 == 0:
                    store.compact()
                    store.prune(2)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        first = os.read(reading, 100) if rng.random() < 0.5 else b""
        time.sleep(rng.random() * 0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    with os.fdopen(reading, "rb") as pipe:
        promised = (first + pipe.read()).split()
    return int(promised[-1]) if promised else 0


def near(sequence):
    """Keys around the last change, and which of them are listed after it."""
    keys = list(range(FIRST + sequence - 10, FIRST + sequence + 5))
    return keys, [key for key in keys if max(sequence - 3, 0) < key - FIRST <= sequence]


def look_on(directory, ended, fault):
    """A reader in a process of its own: note a state that was not committed, or was taken back."""
    try:
        one, last = Store.open(directory), 0
        while not ended.is_set():
            one.refresh()
            keys, expected = near(one.sequence)
            found = [k for k, s in zip(keys, one.check_many(keys).tolist(), strict=True) if s]
            assert found == expected, (one.sequence, found)
            assert one.sequence >= last, (one.sequence, last)
            last = one.sequence
            time.sleep(0.002)
        assert last > 0
    except BaseException:
        fault.write_text(traceback.format_exc())


def kill_cycles(directory, cycles, seed):
    rng = random.Random(seed)
    Store.create(directory, scenario.register()).close()
    spawn = multiprocessing.get_context("fork")
    ended, faults = spawn.Event(), [directory.with_name(f"fault {n}") for n in range(2)]
    readers = [spawn.Process(target=look_on, args=(directory, ended, fault)) for fault in faults]
    for reader in readers:
        reader.start()
    try:
        kill_and_look(directory, cycles, rng)
    finally:
        ended.set()
        for reader in readers:
            reader.join(60)
            reader.kill()
            reader.join()
    assert [fault.read_text() for fault in faults if fault.exists()] == []
    assert [reader.exitcode for reader in readers] == [0, 0]


def kill_and_look(directory, cycles, rng):
    reader, before, busy = Store.open(directory), 0, 0
    for _ in range(cycles):
        promised = cycle(directory, rng)
        busy += promised > 0
        store = Store.open(directory)
        found = store.sequence
        assert max(promised, before) <= found <= max(promised, before) + 1
        reader.refresh()
        keys, expected = near(found)
        for one in (store, reader):
            assert one.sequence == found
            assert [k for k, s in zip(keys, one.check_many(keys).tolist(), strict=True) if s] == expected
        before = found
    assert busy > cycles // 10, "the writer was hardly ever killed at work"


def test_a_writer_killed_500_times(tmp_path):
    kill_cycles(tmp_path / "store", 500, 1)


@pytest.mark.long
def test_a_writer_killed_10000_times(tmp_path):
    kill_cycles(tmp_path / "store", 10_000, 2)


# ---- the tail of the journal


def torn(directory):
    """A store whose writer died before it noted the last of three changes; its journal's path and bytes."""
    store = Store.create(directory, scenario.register())
    for key in (1, 2, 3):
        if key == 3:
            head = store._journal.path.read_bytes()
        store.apply(Delta("stolen", add=[key]))
    store.close()
    path = store._journal.path
    data = path.read_bytes()
    return path, data[:56] + head[56:72] + data[72:], len(head)


def test_a_torn_tail_is_cut_wherever_it_is_torn(tmp_path):
    path, data, whole = torn(tmp_path / "store")
    for size in range(whole, len(data) + 1):
        path.write_bytes(data[:size])
        expected = {*scenario.MEMBERS, 1, 2} | ({3} if size == len(data) else set())
        assert listed(Store.open(path.parent)) == expected
        if size % 16 == 0 or size == len(data):
            with Store.open(path.parent) as writer:
                writer.apply(Delta("stolen", add=[5]))
            assert listed(Store.open(path.parent)) == expected | {5}


def test_a_flipped_bit_in_the_tail_is_a_torn_tail(tmp_path):
    path, data, whole = torn(tmp_path / "store")
    for at in range(whole, len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        assert listed(Store.open(path.parent)) == {*scenario.MEMBERS, 1, 2}


def test_a_flipped_bit_in_what_is_committed_is_an_error(tmp_path):
    """Never the silent loss of a change that was promised."""
    directory = tmp_path / "store"
    path, _, _ = torn(directory)
    with Store.open(directory) as writer:
        writer.apply(Delta("stolen", add=[5]))
        reader = Store.open(directory)
        serving = listed(reader)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        if 56 <= at < 72:  # the committed length, of which there are two
            assert listed(Store.open(directory)) == serving
            continue
        with pytest.raises(StoreDamaged) as caught:
            Store.open(directory)
        assert str(path) in str(caught.value)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(StoreDamaged):
            Store.open(directory)
        with pytest.raises(StoreDamaged):
            reader.refresh()
        assert listed(reader) == serving


def test_a_damaged_manifest_is_an_error(tmp_path):
    directory = tmp_path / "store"
    Store.create(directory, scenario.register()).close()
    path = directory / "current"
    data = path.read_bytes()
    for at in range(len(data)):
        for junk in (data[:at], data[:at] + b"\xff" + data[at + 1 :]):
            path.write_bytes(junk)
            with pytest.raises(StoreDamaged):
                Store.open(directory)


def test_a_full_disk(tmp_path):
    """A real one: a small tmpfs, where one may be mounted."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root mounts")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        store = Store.create(disk / "store", scenario.register())
        reader, added, failures = Store.open(disk / "store"), 0, 0
        while failures < 3:
            try:
                start = 10**12 + added
                store.apply(Delta("stolen", add=list(range(start, start + 2000)), remove=[5]))
                added += 2000
            except OSError as error:
                failures += 1
                said = error.strerror
        assert said == "No space left on device"
        for more in (
            store.compact,
            lambda: store.replace(scenario.register(range(10**12, 10**12 + 300_000))),
        ):
            with pytest.raises(OSError, match="No space"):
                more()
        assert store.generation == 1
        reader.refresh()
        for one in (store, reader, Store.open(disk / "store"), Store.verify(disk / "store")):
            keys = list(range(10**12, 10**12 + added + 2000))
            assert one.check_many(keys).sum() == added > 0
            assert listed(one) == set(scenario.MEMBERS)
        store.close()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)  # the store still maps it

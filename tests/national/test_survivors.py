"""One of two writers is killed and the other goes on; a reader is stopped in the middle of a batch."""

import multiprocessing
import os
import random
import select
import signal
import threading
import time

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, Register, Store

from .test_killed import FEEDS, begun, child, holds, killed, look_on, position, started, tell

PATIENCE = 120  # seconds that a busy machine may take

# ---- one writer is killed ----


def outlive(directory, rounds, seed):
    """The writers are killed by turns: the one that is left writes on; what the dead promised is there."""
    rng = random.Random(seed)
    reader, before = Store.open(directory), dict.fromkeys(FEEDS, 0)
    children = {feed: started(directory, feed, rng.random()) for feed in FEEDS}
    try:
        for number in range(rounds):
            dies, lives = FEEDS[number % 2], FEEDS[1 - number % 2]
            until(lambda feed=dies: moved(reader, feed) > before[feed])
            time.sleep(rng.random() * 0.03)
            (said,) = killed([children.pop(dies)])
            left = moved(reader, lives)
            until(lambda feed=lives, left=left: moved(reader, feed) > left)
            found = holds(reader)[dies]
            assert found in (max(before[dies], said[b"done"]), said[b"try"]), (dies, found, said)
            before[dies] = found
            children[dies] = started(directory, dies, rng.random())
    finally:
        for _ in killed(children.values()):
            pass


def moved(reader, feed):
    reader.refresh()
    return position(reader, feed)


def until(done):
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "the one that is left does nothing"
        time.sleep(0.002)


def outlived(directory, rounds, seed):
    begun(directory)
    fork = multiprocessing.get_context("fork")
    ended, fault = fork.Event(), directory.with_name("fault")
    reader = fork.Process(target=look_on, args=(directory, ended, fault))
    reader.start()
    try:
        outlive(directory, rounds, seed)
    finally:
        ended.set()
        reader.join(PATIENCE)
        reader.kill()
        reader.join()
    assert not fault.exists(), fault.read_text()
    assert reader.exitcode == 0
    tell(directory)


def test_a_writer_goes_on_when_the_other_is_killed_20_times(tmp_path):
    outlived(tmp_path / "store", 20, 1)


@pytest.mark.long
def test_a_writer_goes_on_when_the_other_is_killed_1000_times(tmp_path):
    outlived(tmp_path / "store", 1000, 2)


# ---- a reader is stopped ----

STATES = 8  # of each phone there are so many, of which the last change lists one
PHONES = 4000
REPEATED = 16


def members(number):
    """What is listed after that change."""
    return np.arange(PHONES, dtype=np.uint64) * STATES * 37 + number % STATES


COLUMN = np.concatenate([(members(0)[:, None] + np.arange(STATES, dtype=np.uint64)).ravel()] * REPEATED)


def state(store, details):
    """Ask for all phones in one batch: which change the answers are of. They are all of the same."""
    said = store.check_many(COLUMN, details=details)
    statuses = (said["status"] if details else said).reshape(-1, STATES)
    (found,) = np.flatnonzero(statuses[0] == 1).tolist()
    assert ((statuses == 1) == (np.arange(STATES) == found)).all(), "answers of different moments"
    if details:
        reasons = np.array([*said["reasons"].words, ""])[said["reasons"].codes].reshape(-1, STATES)
        assert (reasons[:, found] == str(found)).all(), "reasons of another moment"
        assert (np.delete(reasons, found, axis=1) == "").all()
    return found


def read(directory, say, refreshing):
    """Batches without end: each is of the moment when it began, or of a newer one if a thread refreshes."""
    store, ended, batch = Store.open(directory), threading.Event(), 0
    if refreshing:
        threading.Thread(target=refresh, args=(store, ended), daemon=True).start()
    while True:
        store.refresh()
        first = store.sequence
        say(b"begin %d\n" % first)
        found, last = state(store, batch % 2), store.sequence
        between = range(first, last + 1)
        assert found in {number % STATES for number in between}, (first, found, last)
        assert refreshing or first == last
        say(b"end %d\n" % first)
        batch += 1


def refresh(store, ended):
    while not ended.wait(0.001):
        store.refresh()


class Lines:
    """What a child says."""

    def __init__(self, reading):
        self.reading, self.last, self.rest = reading, b"", b""

    def more(self, wait=0.0):
        """All that was said by now; the last line of it is kept."""
        while select.select([self.reading], [], [], wait)[0]:
            data = os.read(self.reading, 1 << 16)
            *whole, self.rest = (self.rest + data).split(b"\n")
            assert data, "the reader is gone"
            assert not any(line.startswith(b"Traceback") for line in whole), data.decode()
            self.last, wait = (whole or [self.last])[-1], 0.0
        return self.last.split()


def stop_and_go(directory, rounds, seed, refreshing):
    rng = random.Random(seed)
    made = Register()
    made.add("stolen", members(0), status=EquipmentStatus.BLACKLISTED, reasons=["0"] * PHONES)
    with Store.create(directory, made) as store:
        number, reading = child(lambda say: read(directory, say, refreshing))
        lines, within = Lines(reading), 0
        try:
            for _ in range(rounds):
                newest = b"%d" % store.sequence
                until(lambda newest=newest: lines.more(0.1) == [b"begin", newest])
                time.sleep(rng.random() * 0.01)
                os.kill(number, signal.SIGSTOP)
                os.waitpid(number, os.WUNTRACED)
                within += lines.more()[:1] == [b"begin"]
                for _ in range(rng.randrange(2, 5)):
                    old, new = members(store.sequence), members(store.sequence + 1)
                    reason = str((store.sequence + 1) % STATES)
                    store.apply(Delta("stolen", add=new, remove=old, reason=reason))
                    if rng.random() < 0.8:
                        store.compact()
                        store.prune(1)
                os.kill(number, signal.SIGCONT)
            until(lambda: lines.more(0.1) == [b"end", b"%d" % store.sequence])
        finally:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            os.close(reading)
    assert within > rounds // 4, "the reader was hardly ever stopped within a batch"


@pytest.mark.parametrize("refreshing", [False, True])
def test_a_reader_stopped_within_5_batches(tmp_path, refreshing):
    stop_and_go(tmp_path / "store", 5, 1, refreshing)


@pytest.mark.long
@pytest.mark.parametrize("refreshing", [False, True])
def test_a_reader_stopped_within_200_batches(tmp_path, refreshing):
    stop_and_go(tmp_path / "store", 200, 2, refreshing)

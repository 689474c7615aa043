"""What processes tell one another: counts that never go back, files that are torn, processes that die."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from imeiset import EquipmentStatus
from imeiset.serve.config import AdminConfig, Config, RunConfig, StoreConfig
from imeiset.serve.config.values import Address
from imeiset.serve.processes.board import Board, Slot
from imeiset.serve.state import Counts, Peer, Totals

BLACK = EquipmentStatus.BLACKLISTED


@pytest.fixture
def board(tmp_path):
    return Board(tmp_path)


def leave(slot):
    """As the system does when a process dies."""
    os.close(slot._lock)


# ---- counts ----


def test_counts():
    counts = Counts()
    for _ in range(3):
        counts.checked("5g", BLACK, "exact")
    counts.checked("s13", EquipmentStatus.WHITELISTED, "default")
    counts.checked("http", 1, "exact", 20)
    counts.error("5g", "MANDATORY_QUERY_PARAM_MISSING")
    counts.error("http", "too_many_rows", 7)
    totals = counts.totals()
    assert totals.checks == {("5g", 1, "exact"): 3, ("s13", 0, "default"): 1, ("http", 1, "exact"): 20}
    assert totals.errors == {("5g", "MANDATORY_QUERY_PARAM_MISSING"): 1, ("http", "too_many_rows"): 7}
    counts.checked("http", 1, "exact", 1)
    assert totals.checks["http", 1, "exact"] == 20  # of one moment
    assert (totals + counts.totals()).checks["http", 1, "exact"] == 41
    assert (totals + Totals({}, {})) == totals


def test_counts_of_a_front_are_collected():
    counts, mine = Counts(), [5]
    counts.collect.append(lambda: counts.checked("5g", 1, "exact", mine.pop()) if mine else None)
    assert counts.totals().checks == {("5g", 1, "exact"): 5} == counts.totals().checks


def test_many_threads_lose_no_count():
    counts, each = Counts(), 20_000
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        count = [
            threading.Thread(target=lambda: [counts.checked("5g", 1, "exact", 1) for _ in range(each)]),
            threading.Thread(target=lambda: [counts.error("5g", "x") for _ in range(each)]),
            threading.Thread(target=lambda: [counts.checked("5g", 1, "exact", 1) for _ in range(each)]),
        ]
        for thread in count:
            thread.start()
        while any(thread.is_alive() for thread in count):
            counts.totals()
        for thread in count:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert counts.totals() == Totals({("5g", 1, "exact"): 2 * each}, {("5g", "x"): each})


# ---- slots ----


def test_what_is_told_is_read(board):
    slot, counts = Slot(board, "s13"), Counts()
    counts.checked("s13", 1, "exact", 2)
    counts.error("s13", "5004")
    peer = Peer("mme.example.org", "10.0.0.1:3868", "open", 7.5)
    told = {"generation": 3, "sequence": 9, "state_id": "ab", "fault": "gone", "refresh_faults": 4}
    slot.publish(counts.totals(), peers=(peer,), **told)
    [state] = board.processes()
    assert (state.kind, state.index, state.pid, state.parent) == ("s13", 0, os.getpid(), os.getppid())
    assert {name: getattr(state, name) for name in told} == told
    assert (state.counts, state.peers, state.starts, state.ended) == (counts.totals(), (peer,), 1, False)
    assert 0 <= state.age < 5
    assert time.time() - 5 < state.started <= state.beat
    slot.publish(counts.totals())
    assert board.processes()[0].fault is None


def test_seats_are_taken_in_order_and_counts_go_on(board):
    first, second = Slot(board, "http"), Slot(board, "http")
    other = Slot(board, "admin")
    assert [slot.state.index for slot in (first, second, other)] == [0, 1, 0]
    first.publish(Totals({("5g", 1, "exact"): 10}, {("5g", "x"): 1}), refresh_faults=3)
    second.publish(Totals({("5g", 1, "exact"): 5}, {}))
    leave(first)
    third = Slot(board, "http")
    assert (third.state.index, third.state.starts) == (0, 2)
    assert board.totals().checks == {("5g", 1, "exact"): 15}  # before it has told anything, too
    third.publish(Totals({("5g", 1, "exact"): 1}, {}), refresh_faults=2)
    assert board.processes()[0].refresh_faults == 5
    assert board.totals() == Totals({("5g", 1, "exact"): 16}, {("5g", "x"): 1})
    third.publish(Totals({("5g", 1, "exact"): 2}, {}), ended=True)
    assert [state.ended for state in board.processes()] == [True, False]
    assert board.totals().checks == {("5g", 1, "exact"): 17}


def test_those_that_died_are_buried_and_those_that_live_are_not(board):
    dead, alive = Slot(board, "http"), Slot(board, "http")
    for slot in (dead, alive):
        slot.publish(Totals({("5g", 1, "exact"): 4}, {}))
    leave(dead)
    board.mark_ended()
    assert [state.ended for state in board.processes()] == [True, False]
    assert board.totals().checks == {("5g", 1, "exact"): 8}
    again = Slot(board, "http")
    again.publish(Totals({}, {}))
    assert (again.state.index, again.state.starts, board.totals().checks) == (0, 2, {("5g", 1, "exact"): 8})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "null", "{}", '{"counts": 7, "peers": []}', '{"counts": {}, "peers": []}', "\ud800"],
)
def test_a_torn_file_is_one_of_a_process_that_told_nothing(board, text):
    Slot(board, "http").publish(Totals({("5g", 1, "exact"): 4}, {}))
    (board.folder / "http-1.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    (board.folder / "http-2.json").mkdir()
    assert [state.index for state in board.processes()] == [0]
    assert board.totals().checks == {("5g", 1, "exact"): 4}
    board.mark_ended()
    slot = Slot(board, "http")
    assert slot.state.starts == 1


def test_a_file_of_a_newer_version_is_read(board):
    slot = Slot(board, "http")
    slot.publish(Totals({}, {}))
    path = board.folder / "http-0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "good"}))
    assert [state.index for state in board.processes()] == [0]


def test_readers_see_whole_files_while_writers_die(board):
    """A process is killed in the middle of what it does, again and again."""
    code = f"""
import itertools
from imeiset.serve.processes.board import Board, Slot
from imeiset.serve.state import Totals
slot = Slot(Board({str(board.folder)!r}), "http")
print("up", flush=True)
for n in itertools.count(1):
    slot.publish(Totals({{("5g", 1, "exact"): n}}, {{}}), fault="x" * 20_000)
"""
    counted, seen = 0, 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        process.stdout.readline()
        end = time.monotonic() + 0.2
        least = seen + 3
        while time.monotonic() < end or seen < least:
            states = board.processes()
            now = board.totals().checks.get(("5g", 1, "exact"), 0)
            assert len(states) <= 1
            assert now >= counted  # they do not go back
            counted, seen = now, seen + len(states)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert board.totals().checks["5g", 1, "exact"] >= counted
    assert seen > 20
    assert [state.starts for state in board.processes()] == [8]
    board.mark_ended()
    assert [state.ended for state in board.processes()] == [True]


def test_a_folder_that_is_gone(board, tmp_path):
    slot = Slot(board, "http")
    missing = Board(tmp_path / "none")
    assert (missing.processes(), missing.totals()) == ([], Totals({}, {}))
    for path in board.folder.iterdir():
        path.unlink()
    slot.publish(Totals({}, {}))  # made anew
    assert len(board.processes()) == 1
    assert (board.is_writable(), missing.is_writable()) == (True, False)


# ---- the configuration ----


def test_the_configuration_in_force(board, tmp_path):
    config = Config(StoreConfig(tmp_path), admin=AdminConfig((Address("127.0.0.1", 0),)))
    board.publish(config)
    mark = board.config_mark()
    assert board.config() == config
    assert board.config_mark() == mark
    other = Config(StoreConfig(tmp_path), admin=config.admin, run=RunConfig(1))
    board.publish(other)
    assert board.config() == other
    assert board.config_mark() != mark
    assert (board.folder / "config.json").stat().st_mode & 0o77 == 0

"""Servers that tests start, and the look at what they log: it finds what it is to find."""

import sys

import pytest

from .servers import PATIENCE, serial_numbers, until

PHONE = "490154203237518"


@pytest.mark.parametrize(
    "line",
    [
        f"GET /n5g-eir-eic/v1/equipment-status?pei=imei-{PHONE}",
        f'{{"imei": {PHONE}}}',
        "49015420 323751",
        "49-015420-323751-8",
        "4901542032*****",
        "imsi-234150999999999",
        f"AVP {PHONE.encode().hex()}",
        "serial 323751",
    ],
)
def test_a_serial_number_is_found(line):
    assert serial_numbers(line, [PHONE])


@pytest.mark.parametrize(
    "line",
    [
        "49015420******* is on no list",
        "2026-11-29T14:48:10.123456Z pid 4194304 port 65535",
        '{"time": 1764427690.123456, "took": 0.00012345678}',
        '{"time": 1764427690}',
        "state_id 3f2a9c0154203237e5aa",
        "imsi 23415**********",
        "5,500,000 entries, 5500000 in all",
    ],
)
def test_other_numbers_are_none(line):
    assert serial_numbers(line, [PHONE]) == []


def test_what_a_server_writes_is_kept(servers, tmp_path):
    command = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"]
    server = servers.start(command)
    assert server.process.wait(PATIENCE) == 0
    assert server.text.split() == ["out", "err"]
    assert server in servers.started


def test_what_is_not_there_yet_is_waited_for():
    """As a process is that was killed, until its successor is on the board."""
    board = iter([[], [], ["its successor"]])
    assert until(lambda: next(board)[0]) == "its successor"

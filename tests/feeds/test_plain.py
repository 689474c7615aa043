"""Plain lines take a short cut: nothing but the time may show it."""

import json
import os
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset._native import scan as _scan
from imeiset._native import simd
from imeiset.errors import FeedEncoding, FeedLostZeros, FeedRejects, ParseStatus
from imeiset.feeds import load, reader, rows
from imeiset.feeds.sources import CHUNK

LINES = [
    "490154203237518",
    "35693803564380",
    "356938035643800",
    "3569380356438099",
    "356938035643801",
    "86012345678901\r",
    "490154203237518\r",
    "3569380356438012\r",
    "490154203237518\r\r",
    "35-693803-564380-9",
    " 490154203237518",
    "490154203237518 ",
    "12345678901234567",
    "1234567890123",
    "12345678901234a",
    "4901542032375\x00",
    "",
    "\r",
    "# 490154203237518",
    '"490154203237518"',
    '"490154203237518',
    '490154203237518"',
    "\u0661490154203237",
    "x" * 300,
    "12345678901237",
    "123456789012371",
    "000000000000000",
    "11111111111111",
    "00101712345678",
    "imei-490154203237518",
    "490154203237518F",
    '="490154203237518"',
    '"=""490154203237518"""',
    "490154203237518/01",
    "#06#35209",
]


@pytest.fixture(params=simd.simd_levels(), autouse=True)
def level(request, monkeypatch):
    """Files of rejects are written a thousand times, and need not be on the disk."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    before = simd.simd_level()
    simd.use_simd(request.param)
    yield
    simd.use_simd(before)


def outcome(path, plain, monkeypatch, **options):
    """All that a load tells and writes, with the short cut or without."""
    rejects = path.with_suffix(".rejects")
    with monkeypatch.context() as patch:
        if not plain:
            patch.setattr(rows, "SIFTS", False)
        try:
            blocked, report = load(path, rejects=rejects, **options)
        except (FeedRejects, FeedLostZeros) as error:
            return str(error), error.line
        except FeedEncoding as error:  # many CRs: a small first chunk may look like lines that end so
            return re.search("binary data|lines that end in CR", str(error)).group(), None
    report.seconds = 0
    with rejects.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return blocked.to_numpy().tolist(), json.loads(report.to_json()), file.read()


def compare(path, monkeypatch, **options):
    found = outcome(path, True, monkeypatch, **options)
    assert found == outcome(path, False, monkeypatch, **options)
    with monkeypatch.context() as patch:
        patch.setattr(reader, "CHUNK", CHUNK)
        whole = outcome(path, True, monkeypatch, **options)
        assert found == whole or "CR" in str(found[0]) or "binary" in str(found[0])
    return found


@pytest.mark.parametrize("policy", ["ignore", "spare", "require"])
@pytest.mark.parametrize("odd", [0, 1, 30, 500])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_dirty_list(tmp_path, monkeypatch, policy, odd, mixed):
    rng = random.Random(odd)
    usual = LINES[:8] if mixed else LINES[:1]
    lines = rng.choices(usual, k=6000)
    for at in rng.sample(range(len(lines)), odd):
        lines[at] = rng.choice(LINES)
    path = tmp_path / "list"
    path.write_text("\n".join(lines), newline="", encoding="utf-8")
    monkeypatch.setattr(reader, "CHUNK", 5000)
    for max_line in (1 << 12, 17):
        compare(path, monkeypatch, check_digit=policy, max_line=max_line)


@settings(max_examples=200)
@given(
    lines=st.lists(st.sampled_from(LINES), max_size=60),
    good=st.integers(0, 40),
    end=st.sampled_from(["", "\n", "\r\n", "\n\n"]),
    chunk=st.integers(40, 400),
    policy=st.sampled_from(["ignore", "spare", "require"]),
    max_rejects=st.sampled_from([None, None, 3]),
    lost_zeros=st.sampled_from([None, "keep", "restore", "restore-imeisv"]),
    irregular=st.sampled_from(["reject", "keep"]),
)
def test_any_lines(tmp_path_factory, lines, good, end, chunk, policy, max_rejects, lost_zeros, irregular):
    path = tmp_path_factory.mktemp("plain") / "list"
    text = "\n".join([LINES[0], *lines, *LINES[:1] * good, *lines]) + end
    path.write_text(text, newline="", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK", chunk)
        options = {"check_digit": policy, "lost_zeros": lost_zeros, "irregular": irregular}
        compare(path, patch, **options, max_rejects=max_rejects, max_line=40)


def test_read_keys():
    text = (LINES[0] + "\n").encode() * 1000 + b"x\n" + (LINES[0] + "\n").encode() * 9 + b"49015420323751"
    scanner = _scan.Scanner(b"", (0,))
    scanner.feed(text, final=False)
    accept, keys = np.zeros(256, np.uint8), np.zeros(2000, np.uint64)
    accept[0] = 1
    assert scanner.read_keys(accept, keys[:10])[0] == 10
    accepted, reasons = scanner.read_keys(accept, keys)
    assert (accepted, reasons.tolist(), scanner.rows.tolist()) == (
        999,
        [ParseStatus.NOT_DIGIT],
        [[16_000, 16_001, 1000, 0]],
    )
    assert (scanner.read_keys(accept, keys)[0], scanner.unfinished, scanner.read_keys(accept, keys)[0]) == (
        0,
        14,
        0,
    )
    assert set(keys[:999].tolist()) == {49015420323751}
    assert scanner.tally()[2] == (0, 1009, 0)


def test_more_rejects_than_fit_a_batch(tmp_path, monkeypatch):
    path = tmp_path / "list"
    path.write_text("x\n" * (_scan.BATCH_ROWS * 2 + 5) + LINES[0])
    monkeypatch.setattr(reader, "CHUNK", 1 << 18)
    assert compare(path, monkeypatch)[2].count("\n") == 2 * _scan.BATCH_ROWS + 6


@pytest.mark.parametrize(
    ("scanner", "flags", "room"),
    [
        (_scan.Scanner(b",", (0,)), 255, 1),
        (_scan.Scanner(b",", (1,)), 256, 0),
        (_scan.Scanner(b"", (0,)), 255, 1),
        (_scan.Scanner(b"", (0,)), 256, 0),
    ],
)
def test_bad_arguments(scanner, flags, room):
    with pytest.raises(ValueError, match="expected"):
        scanner.read_keys(np.zeros(flags, np.uint8), np.zeros(room, np.uint64))

"""The bars of operators' files: a dirty list to a snapshot, and the difference of two snapshots."""

import argparse
import gzip
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imeiset import ImeiSet, load

from .. import corpus
from .__main__ import Bar, show
from .measure import fresh, memory

ROUNDS = 5
ROW = 35  # bytes
_PIECE = 1 << 20  # rows written at a time
_DIRTY = (  # of a text of 15 digits, rows that are rejected, ignored or unusual
    b"%s,20240229,blacklist\r\n",
    b' "%s",20240229,blacklist\n',
    b'"%s","20240229","blacklist"\n',
    b" %s ,20240229, blacklist\n",
    b"%s,,\n",
    b"%s,20240229,pending\n",
    b"%s,20240229\n",
    b"%s0,20240229,blacklist\n",
    b"X%s,20240229,blacklist\n",
    b"IMEI %s,20240229,blacklist\n",
)


def stolen(path: Path, rows: int) -> None:
    """A stolen list of DIRBS, shuffled: 1% of its rows are dirty, 5% have a spare check digit."""
    rng = np.random.default_rng(corpus.SEED)
    keys = corpus.reference(rows).copy()
    rng.shuffle(keys)
    with path.open("wb") as file:
        file.write(b"imei,reporting_date,status\n")
        for start in range(0, rows, _PIECE):
            texts = corpus.texts(keys[start : start + _PIECE])
            digits = texts.view(np.uint8).reshape(-1, 15)
            digits[rng.random(len(texts)) < 0.05, 14] = ord("0")
            lines = np.empty((len(texts), ROW), np.uint8)
            lines[:, :15] = digits
            dates = rng.integers(2010, 2025, len(texts)) * 10_000 + 101 + rng.integers(0, 28, len(texts))
            lines[:, 16:24] = dates.astype("S8").view(np.uint8).reshape(-1, 8)
            lines[:, 15] = lines[:, 24] = ord(",")
            lines[:, 25:] = np.frombuffer(b"blacklist\n", np.uint8)
            whole = lines.reshape(-1).data
            done = 0
            for at in np.flatnonzero(rng.random(len(texts)) < 0.01).tolist():
                file.write(whole[done * ROW : at * ROW])
                file.write(_DIRTY[at % len(_DIRTY)] % texts[at])
                done = at + 1
            file.write(whole[done * ROW :])

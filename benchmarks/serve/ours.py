"""The store that is served, the questions about it, and the command that serves it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imeiset import EquipmentStatus, ImeiSet, Policy, Register, Store

from .. import corpus
from ..own.measure import fresh, list_of
from .running import HOST, Server, free_port, running

BLACK, GREY = 5_000_000, 500_000
QUESTIONS = 20_000
IDENTITY, REALM = "eir.example.org", "example.org"

_CONFIGURATION = """\
[store]
path = "{store}"
{fronts}
[log]
level = "warning"
"""
_HTTP = """\
[http]
listen = "{host}:{port}"
workers = {workers}
"""
_DIAMETER = """\
[diameter]
listen = "{host}:{port}"
identity = "{identity}"
realm = "{realm}"
"""


def prepare(folder: Path) -> list[str]:
    """Make the store in folder/eir: 5.5 million IMEIs, black and grey, others unknown. Its questions:
    as many phones on a list as on none, as 15 digits."""
    return fresh(_prepare, folder)


def _prepare(folder: Path) -> list[str]:
    black, grey = list_of("reference", BLACK), corpus.reference(GREY, corpus.SEED + 1)
    register = Register(Policy(response_type=2))
    register.add("black", ImeiSet.from_keys(black), status=EquipmentStatus.BLACKLISTED)
    register.add("grey", ImeiSet.from_keys(grey), status=EquipmentStatus.GREYLISTED)
    Store.create(folder / "eir", register).close()
    keys = corpus.queries(np.union1d(black, grey), QUESTIONS)
    imeis: list[str] = corpus.texts(keys).astype("U15").tolist()
    return imeis


@contextlib.contextmanager
def over_http(folder: Path, workers: int = 1) -> Iterator[Server]:
    """`imeiset serve` with the HTTP front alone."""
    port = free_port()
    with _serving(folder, _HTTP.format(host=HOST, port=port, workers=workers), port) as server:
        yield server


@contextlib.contextmanager
def over_diameter(folder: Path) -> Iterator[Server]:
    """`imeiset serve` with the S13 front alone."""
    port = free_port()
    named = {"identity": IDENTITY, "realm": REALM}
    with _serving(folder, _DIAMETER.format(host=HOST, port=port, **named), port) as server:
        yield server


@contextlib.contextmanager
def constant(folder: Path, workers: int = 1) -> Iterator[Server]:
    """granian with a constant answer."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serve.constant", str(port), str(workers)]
    with running(command, port, folder / f"constant-{port}.log") as server:
        yield server


@contextlib.contextmanager
def _serving(folder: Path, fronts: str, port: int) -> Iterator[Server]:
    path = folder / f"eir-{port}.toml"
    path.write_text(_CONFIGURATION.format(store=folder / "eir", fronts=fronts))
    command = [sys.executable, "-m", "imeiset", "serve", str(path)]
    with running(command, port, folder / f"eir-{port}.log") as server:
        yield server

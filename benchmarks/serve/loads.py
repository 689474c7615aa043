"""Loads of h2load: as fast as a server answers, and at a fixed rate."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .running import HOST, Server

CLIENTS, STREAMS = 4, 32  # connections, and requests in flight on each
PATH = "/n5g-eir-eic/v1/equipment-status"


@dataclass(frozen=True)
class Load:
    """What came of a load. found: answers 200; failed: requests with no answer, or one that is neither
    200 nor 404."""

    rate: float
    found: int
    failed: int
    cpu: float  # seconds of the server for each request


@dataclass(frozen=True)
class Paced:
    """What came of a load at a fixed rate: milliseconds of each answer."""

    answered: int
    failed: int
    p50: float
    p99: float
    longest: float


def write_questions(path: Path, imeis: list[str]) -> Path:
    """A file of what h2load is to ask: the paths of these phones."""
    path.write_text("".join(f"http://{HOST}:1{PATH}?pei=imei-{imei}\n" for imei in imeis))
    return path


def at_full_speed(server: Server, questions: Path, requests: int) -> Load:
    """So many requests by HTTP/2 without TLS, as fast as they are answered."""
    before = server.cpu
    said = _h2load(server.port, questions, f"--requests={requests}", f"--clients={CLIENTS}", f"-m{STREAMS}")
    cpu = server.cpu - before
    found = re.search(r"([\d.]+) req/s", said)
    done = re.search(r"(\d+) done", said)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    if not found or not done or not codes:
        raise RuntimeError(f"expected figures of h2load, got:\n{said}")
    failed = requests - int(codes[1]) - int(codes[3])
    return Load(float(found[1]), int(codes[1]), failed, cpu / requests)


def at_a_rate(server: Server, questions: Path, rate: int, seconds: float, log: Path) -> Paced:
    """So many requests a second, by eight clients."""
    clients = 8
    log.unlink(missing_ok=True)
    requests = round(rate * seconds)
    _h2load(
        server.port, questions, f"--requests={requests}", f"--clients={clients}",
        f"-m{STREAMS * 4}", f"--rps={rate / clients}", f"--log-file={log}",
    )  # fmt: skip
    rows = np.loadtxt(log, dtype=np.int64, ndmin=2)
    answered = np.isin(rows[:, 1], (200, 404))
    took = rows[answered, 2] / 1000
    return Paced(
        int(answered.sum()),
        requests - int(answered.sum()),
        float(np.percentile(took, 50)),
        float(np.percentile(took, 99)),
        float(took.max()),
    )


def _h2load(port: int, questions: Path, *options: str) -> str:
    """What h2load prints, of questions for the server on this port."""
    command = ["h2load", "--threads=1", *options, f"--base-uri=http://{HOST}:{port}", f"-i{questions}"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout

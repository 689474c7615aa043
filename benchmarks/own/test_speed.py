"""The speed of every kernel, on the reference corpus. See the package for how to compare two runs."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import corpus
from imeiset import EquipmentStatus, Imei, ImeiSet, Register, Store, is_valid, load, parse
from imeiset.serve.diameter import messages, s13
from imeiset.serve.diameter.s13 import IdentityChecks
from imeiset.serve.state import Counts

SIZES = [1_000_000, 10_000_000]
BATCH = 1_000_000
HITS = [0.0, 0.5, 1.0]


@cache
def keys(n: int) -> corpus.Keys:
    return corpus.reference(n)


@cache
def built(n: int) -> ImeiSet:
    return ImeiSet.from_keys(keys(n))


@cache
def queries(n: int, hits: float = 0.5, size: int = BATCH) -> corpus.Keys:
    return corpus.queries(keys(n), size, hits)


def texts(n: int, hits: float = 0.5, size: int = BATCH) -> "np.ndarray[tuple[int], np.dtype[np.bytes_]]":
    return corpus.texts(queries(n, hits, size))


def lines(n: int) -> bytes:
    return b"\n".join(texts(n).tolist()) + b"\n"


def run(benchmark: BenchmarkFixture, items: int, call: Callable[[], object]) -> None:
    """Time `call`, and note what it costs per item."""
    benchmark(call)
    if benchmark.stats:  # absent with --benchmark-disable
        benchmark.extra_info["ns per item"] = round(benchmark.stats.stats.median / items * 1e9, 2)


@pytest.mark.benchmark(group="parse 1M")
@pytest.mark.parametrize("form", ["lines", "S15", "U15", "list of str", "uint64"])
def test_parse(benchmark: BenchmarkFixture, form: str) -> None:
    make: dict[str, Callable[[], Any]] = {
        "lines": lambda: lines(SIZES[0]),
        "S15": lambda: texts(SIZES[0]),
        "U15": lambda: texts(SIZES[0]).astype("U15"),
        "list of str": lambda: texts(SIZES[0]).astype("U15").tolist(),
        "uint64": lambda: queries(SIZES[0]),
    }
    column = make[form]()
    run(benchmark, BATCH, lambda: parse(column))


@pytest.mark.benchmark(group="parse one")
@pytest.mark.parametrize("call", [is_valid, Imei])
def test_parse_one(benchmark: BenchmarkFixture, call: Callable[[str], object]) -> None:
    run(benchmark, 1, lambda: call("490154203237518"))


@pytest.mark.benchmark(group="contains, batch")
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("n", SIZES)
def test_contains_batch(benchmark: BenchmarkFixture, n: int, hits: float) -> None:
    found, wanted = built(n), queries(n, hits)
    run(benchmark, BATCH, lambda: found.contains(wanted))


@pytest.mark.benchmark(group="contains, batch of texts")
@pytest.mark.parametrize("form", ["S15", "lines"])
def test_contains_texts(benchmark: BenchmarkFixture, form: str) -> None:
    found, wanted = built(SIZES[1]), texts(SIZES[1]) if form == "S15" else lines(SIZES[1])
    run(benchmark, BATCH, lambda: found.contains(wanted))


@pytest.mark.benchmark(group="contains, 16 texts a call")
def test_contains_few(benchmark: BenchmarkFixture) -> None:
    found, wanted = built(SIZES[1]), texts(SIZES[1], 0.5, 16).astype("U15").tolist()
    run(benchmark, 16, lambda: found.contains(wanted))


@pytest.mark.benchmark(group="contains, one by one")
@pytest.mark.parametrize("heat", ["hot", "cold"])
@pytest.mark.parametrize("hits", HITS)
@pytest.mark.parametrize("form", ["str", "bytes", "int"])
def test_contains_scalar(benchmark: BenchmarkFixture, form: str, hits: float, heat: str) -> None:
    n = SIZES[1]
    size = 1_000 if heat == "hot" else 300_000
    make: dict[str, Callable[[], list[Any]]] = {
        "str": lambda: texts(n, hits, size).astype("U15").tolist(),
        "bytes": lambda: texts(n, hits, size).tolist(),
        "int": lambda: queries(n, hits, size).tolist(),
    }
    found, wanted = built(n), make[form]()

    def look_up() -> int:
        count = 0
        for one in wanted:
            if one in found:
                count += 1
        return count

    run(benchmark, size, look_up)


@pytest.mark.benchmark(group="positions, batch")
@pytest.mark.parametrize("n", SIZES)
def test_positions(benchmark: BenchmarkFixture, n: int) -> None:
    found, wanted = built(n), queries(n)
    run(benchmark, BATCH, lambda: found.positions(wanted))


@pytest.mark.benchmark(group="build 1M")
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_build(benchmark: BenchmarkFixture, order: str) -> None:
    column = keys(SIZES[0]).copy()
    if order == "shuffled":
        np.random.default_rng(0).shuffle(column)
    run(benchmark, len(column), lambda: ImeiSet.from_keys(column))


@pytest.mark.benchmark(group="decode 1M")
def test_decode(benchmark: BenchmarkFixture) -> None:
    run(benchmark, SIZES[0], built(SIZES[0]).to_numpy)


@pytest.mark.benchmark(group="load 1M lines")
def test_load(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(lines(SIZES[0]))
    run(benchmark, BATCH, lambda: load(path))


@pytest.mark.benchmark(group="open")
@pytest.mark.parametrize("mode", ["mmap", "memory"])
@pytest.mark.parametrize("n", SIZES)
def test_open(benchmark: BenchmarkFixture, tmp_path: Path, n: int, mode: Literal["mmap", "memory"]) -> None:
    path = tmp_path / "set.imei"
    built(n).save(path)
    run(benchmark, 1, lambda: ImeiSet.open(path, mode=mode))


@pytest.mark.benchmark(group="save 1M")
def test_save(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    run(benchmark, SIZES[0], lambda: built(SIZES[0]).save(tmp_path / "set.imei"))


@pytest.mark.benchmark(group="algebra, 1M and 1M")
@pytest.mark.parametrize("operator", ["__or__", "__and__", "__sub__", "__xor__", "__le__", "isdisjoint"])
def test_algebra(benchmark: BenchmarkFixture, operator: str) -> None:
    left = built(SIZES[0])
    right = ImeiSet.from_keys(np.unique(queries(SIZES[0])))
    run(benchmark, SIZES[0], lambda: getattr(left, operator)(right))


@pytest.mark.benchmark(group="S13, 64 requests at a time")
@pytest.mark.parametrize("how", ["native", "Python"])
def test_identity_checks(benchmark: BenchmarkFixture, how: str) -> None:
    register = Register()
    register.add("black", built(SIZES[1]), status=EquipmentStatus.BLACKLISTED)
    checks = IdentityChecks(cast(Store, register), "eir.example.org", "example.org", Counts())
    header = messages.Header(messages.REQUEST, s13.IDENTITY_CHECK, s13.S13, 1, 1)
    session, user = messages.avp(263, "mme.example.org;1;2"), messages.avp(1, "234150999999999")
    requests = []
    for text in texts(SIZES[1], size=64).tolist():
        terminal = messages.group(s13.TERMINAL_INFORMATION, [messages.avp(s13.IMEI, text)])
        requests.append(header.write(session, checks.origin, terminal, user))
    received = b"".join(requests)
    ask = {"native": lambda: checks.answers(received), "Python": lambda: [*map(checks.answer, requests)]}
    run(benchmark, 64, ask[how])

"""Rates are those of the processes, whatever becomes of them."""

import gc
import threading

import pytest

from imeiset.serve.admin import rates
from imeiset.serve.admin.rates import KEPT, Rates, Sampler
from imeiset.serve.state import ProcessState, Totals

from .servers import until


def process(beat, count, index=0, interface="5g", status=1):
    counts = Totals({(interface, status, "exact"): count}, {})
    return ProcessState("http", index, 1, 0.0, beat, counts=counts)


@pytest.mark.parametrize(
    ("steps", "samples"),
    [
        ([], {}),
        ([[process(0, 500)]], {}),
        ([[process(0, 500)], [process(2, 700)], [process(4, 700)]], {"5g": [100.0, 0.0]}),
        # by its own clock: 150 in 1.5 s
        ([[process(0.5, 0)], [process(2.0, 150)]], {"5g": [100.0]}),
        # two workers, and two interfaces of one
        ([[process(0, 0), process(0, 0, 1)], [process(2, 20), process(1, 50, 1)]], {"5g": [60.0]}),
        (
            [[process(0, 0), process(0, 0, 1, "http")], [process(2, 20), process(2, 8, 1, "http")]],
            {"5g": [10.0], "http": [4.0]},
        ),
        # silent, killed, back from nothing, new
        ([[process(0, 0)], [process(0, 0)], [process(4, 400)]], {"5g": [0.0, 100.0]}),
        ([[process(0, 0)], [process(2, 400)], []], {"5g": [200.0, 0.0]}),
        ([[process(0, 500)], [process(2, 20)]], {"5g": [0.0]}),
        (
            [
                [process(0, 0)],
                [process(2, 0), process(2, 10**6, 1)],
                [process(4, 0), process(4, 10**6 + 2, 1)],
            ],
            {"5g": [0.0, 1.0]},
        ),
        # a clock that goes back
        ([[process(100, 0)], [process(2, 400)], [process(4, 600)]], {"5g": [0.0, 100.0]}),
    ],
)
def test_rates(steps, samples):
    own = Rates()
    for step in steps:
        own.take(step)
    assert own.samples() == samples


def test_all_interfaces_have_as_many_samples_and_only_the_last_are_kept():
    own = Rates()
    for at in range(KEPT + 20):
        own.take([process(2 * at, 10 * at), *([process(2 * at, at, 1, "s13")] if at > KEPT else [])])
    assert {name: len(found) for name, found in own.samples().items()} == {"5g": KEPT, "s13": KEPT}
    assert own.samples()["5g"] == [5.0] * KEPT


def threads():
    return [one for one in threading.enumerate() if one.name == "imeiset-rates"]


class Busy:
    """One process that answers three checks between two samples."""

    beat = 0.0

    def processes(self, now):
        self.beat += 1
        return [process(self.beat, 3 * int(self.beat))]


def test_a_sampler_ends_when_it_is_told_to_and_with_who_tells(monkeypatch):
    monkeypatch.setattr(rates, "EVERY", 0.01)
    gc.collect()
    until(lambda: not threads())  # of other tests
    own, busy = Rates(), Busy()
    sampler = Sampler(own, busy.processes)
    until(lambda: own.samples().get("5g", [])[:2] == [3.0, 3.0])
    sampler.stop()
    until(lambda: not threads())
    Sampler(own, busy.processes)
    assert threads()
    busy = None
    until(lambda: not threads())

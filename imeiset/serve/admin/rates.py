"""Checks per second of the last minutes, for whoever opens the page."""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

EVERY = 2.0
"""Seconds between two samples."""
KEPT = 90
"""Samples, which are three minutes."""


class Rates:
    """Rates by interface, one sample after another.

    Examples
    --------
    >>> from imeiset.serve.state import ProcessState, Totals
    >>> rates = Rates()
    >>> for beat, count in ((10.0, 100), (12.0, 500)):
    ...     counts = Totals({("5g", 1, "exact"): count}, {})
    ...     rates.take([ProcessState("http", 0, 1, 0.0, beat, counts=counts)])
    >>> rates.samples()
    {'5g': [200.0]}
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], tuple[float, dict[str, int]]] = {}
        self._samples: deque[dict[str, float]] = deque(maxlen=KEPT)

    def take(self, processes: Iterable[Any]) -> None:
        """Take a sample: what each process counted since the last one, per second of its own clock.

        A process without a newer beat adds nothing, and so does one that is seen for the first time. The
        first call takes no sample.
        """
        found: dict[str, float] = {}
        is_first = not self._last
        for one in processes:
            sums: dict[str, int] = {}
            for (interface, _, _), count in one.counts.checks.items():
                sums[interface] = sums.get(interface, 0) + count
            beat, before = self._last.get((one.kind, one.index), (one.beat, sums))
            self._last[one.kind, one.index] = one.beat, sums
            for interface, count in sums.items():
                more = max(count - before.get(interface, 0), 0) if one.beat > beat else 0
                found[interface] = found.get(interface, 0.0) + (more and more / (one.beat - beat))
        if not is_first:
            self._samples.append(found)

    def samples(self) -> dict[str, list[float]]:
        """By interface, the oldest first; of all the same number."""
        kept = list(self._samples)
        names = sorted({name for sample in kept for name in sample})
        return {name: [round(sample.get(name, 0.0), 1) for sample in kept] for name in names}


class Sampler:
    """A thread that takes samples, as long as there is somebody who tells.

    Parameters
    ----------
    rates : Rates
        What takes them.
    told : method
        Gives the processes at a time; what it is a method of is not kept alive.
    """

    def __init__(self, rates: Rates, told: Callable[[float], Iterable[Any]]) -> None:
        self._stopped = threading.Event()
        arguments = (rates, weakref.WeakMethod(told))
        threading.Thread(target=self._sample, args=arguments, name="imeiset-rates", daemon=True).start()

    def _sample(self, rates: Rates, told: "weakref.WeakMethod[Callable[[float], Iterable[Any]]]") -> None:
        while (processes := told()) is not None:
            rates.take(processes(time.time()))
            del processes
            if self._stopped.wait(EVERY):
                return

    def stop(self) -> None:
        """End it."""
        self._stopped.set()

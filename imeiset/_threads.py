"""Work in parts, on several threads. None outlives the call that asked for it: a fork after it is safe."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_MOST = 256  # parts; more would only make more work
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def parts_for(threads: int | None) -> int:
    """Into how many parts to split what is to be done on so many threads, None: on all cores. ValueError for
    fewer than 1."""
    if threads is None:
        return os.cpu_count() or 1
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    return min(threads, _MOST)


def in_threads(work: Callable[[Any], _Result], parts: Sequence[Any]) -> list[_Result]:
    """What `work` gives for each part, in order; the first on this thread."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(min(len(parts) - 1, os.cpu_count() or 1), thread_name_prefix="imeiset") as pool:
        others = pool.map(work, parts[1:])
        return [work(parts[0]), *others]


def in_order(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result, None, None]:
    """The function of every item, in order, on all cores; a few items are taken ahead.

    Its threads end when it is exhausted, closed or dropped.
    """
    workers = os.cpu_count() or 1
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="imeiset") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

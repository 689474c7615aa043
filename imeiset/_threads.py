"""Work in parts, on several threads."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_MOST = 256  # parts; more would only make more work
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# One pool serves every call of the process. A forked child has none of its threads, so it makes its own.
_shared: ThreadPoolExecutor | None = None
_lock = threading.Lock()


def _pool() -> ThreadPoolExecutor:
    global _shared
    with _lock:
        if _shared is None:
            _shared = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="imeiset")
        return _shared


def parts_for(threads: int | None) -> int:
    """Into how many parts to split what is to be done on so many threads; None for one on each core."""
    if threads is None:
        threads = os.cpu_count() or 1
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, got {threads}")
    return min(threads, _MOST)


def in_threads(work: Callable[[Any], _Result], parts: Sequence[Any]) -> list[_Result]:
    """What `work` gives for each part, in order; several parts go to threads that all calls share."""
    return [work(parts[0])] if len(parts) == 1 else list(_pool().map(work, parts))


def in_order(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The function of every item, in order, on all cores; a few items are taken ahead."""
    workers = os.cpu_count() or 1
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="work") as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _forget_pool() -> None:
    global _shared, _lock
    _shared, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)

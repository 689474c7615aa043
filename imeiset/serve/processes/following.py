"""The process that keeps the store current with those who publish: the only one of a run that writes it."""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from imeiset.errors import ImeisetError, TrustError, mask_url
from imeiset.serve.config import Config, FollowConfig

if TYPE_CHECKING:
    from imeiset.trust import Follower, FollowReport

_log = logging.getLogger(__name__)
_PAUSE = 60.0  # seconds before a thread that met a bug begins again


def follower(config: Config, one: FollowConfig) -> "Follower":
    """The follower of one publisher. Raises ExtraMissing, TrustRefused, OSError or ValueError."""
    from imeiset.trust import Follower

    return Follower(
        one.url,
        config.store.path,
        root=one.root,
        feed=one.feed or None,
        max_shrink=one.max_shrink,
        prefix=one.prefix,
    )


class Publishers:
    """Those who are followed, each by a thread: one that hangs holds up no other."""

    def __init__(self, config: Config) -> None:
        self._stop = threading.Event()
        self._followers = [(one, follower(config, one)) for one in config.follow]

    def start(self) -> None:
        """Begin to follow them."""
        for one, its in self._followers:
            name = f"imeiset-follow-{its.feed[:16]}"
            threading.Thread(target=self._run, args=(one, its), name=name, daemon=True).start()

    def stop(self, within: float) -> None:
        """End between two editions, or after so many seconds wherever they are."""
        self._stop.set()
        until = time.monotonic() + within
        while any(its.busy for _, its in self._followers) and time.monotonic() < until:
            time.sleep(0.02)

    def _run(self, one: FollowConfig, its: "Follower") -> None:
        while not self._stop.is_set():
            try:
                its.run(one.every, told=_Told(mask_url(one.url)), stop=self._stop)
            except Exception:
                _log.exception("%s is followed again in %g s", mask_url(one.url), _PAUSE)
                self._stop.wait(_PAUSE)


class _Told:
    """Logs what is new: moves, and a fault when it begins, changes or ends."""

    def __init__(self, url: str) -> None:
        self._url, self._fault = url, ""

    def __call__(self, said: "FollowReport | TrustError") -> None:
        if isinstance(said, TrustError):
            if str(said) != self._fault:
                _log.error("edition stays as it was, %s: %s", type(said).__name__, said)
            self._fault = str(said)
            return
        if self._fault:
            _log.info("%s is followed again", self._url)
        self._fault = ""
        if said.moved:
            _log.info("%s: edition %d serves, before it %d", self._url, said.edition, said.before)


async def run(folder: str, watch_supervisor: Callable[[float, Callable[[], object]], None]) -> None:
    """Follow all publishers of a configuration, until told to end. folder: of the run."""
    from imeiset.serve.processes.process import Process

    process, loop, stop = Process(folder, "follow", os.getppid()), asyncio.get_running_loop(), asyncio.Event()
    drain = process.config.run.drain
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch_supervisor(drain, lambda: loop.call_soon_threadsafe(stop.set))
    try:
        publishers = Publishers(process.config)
    except (ImeisetError, OSError, ValueError):
        _log.exception("nobody is followed")
        raise SystemExit(1) from None
    process.start(loop)
    publishers.start()
    await stop.wait()
    await asyncio.to_thread(publishers.stop, drain)
    process.end()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(0)  # threads that wait for somebody's answer would hold it up

"""Work in a thread that gives way to all others."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from imeiset._native.background import work_in_background

_NICE = 5


class Background(Future[None]):
    """Work that is under way. When its result is there for who asks, its thread has ended."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()  # so that it cannot be cancelled: the work holds a lock
        self._thread = threading.Thread(target=self._run, args=(work,), name=name)
        self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        """Give way: a little as Python, for which others may wait, most of all in making and writing sets."""
        with suppress(OSError, AttributeError):  # Linux alone has priorities of threads
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        work_in_background(True)
        try:
            work()
        except BaseException as error:
            self.set_exception(error)
        else:
            self.set_result(None)

    def result(self, timeout: float | None = None) -> None:
        """None, when the work is done; or its error is raised."""
        self.exception(timeout)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        return super().result()

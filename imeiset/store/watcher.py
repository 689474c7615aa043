"""A thread that refreshes a store again and again."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

from imeiset.store.status import fault_text


class Watcher:
    """It ends when it is told to, and with its store."""

    def __init__(self, reader: Any, interval: float, on_change: Callable[[Any], object] | None) -> None:
        self._stopped = threading.Event()
        arguments, name = (weakref.ref(reader), interval, on_change), "imeiset-watch"
        self._thread = threading.Thread(target=self._follow, args=arguments, name=name, daemon=True)
        self._thread.start()

    def _follow(
        self, reader: "weakref.ref[Any]", interval: float, on_change: Callable[[Any], object] | None
    ) -> None:
        while not self._stopped.wait(interval) and (one := reader()) is not None:
            try:
                moved = one.refresh()
                one._fault = None
                if moved and on_change:
                    on_change(one)
            except Exception as error:  # whatever it is: the old state serves, and the status says why
                one._fault = fault_text(error)
            del one

    def stop(self, *, wait: bool) -> None:
        """End it. wait: until it has ended, unless it is the one that asks."""
        self._stopped.set()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

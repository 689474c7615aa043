"""Columns that are written to while they are asked about."""

import threading
import time

import numpy as np


def all_while_written(ask, first, second, seconds=0.2):
    """Whether ask(column) is always true of a column whose keys another thread makes one and the other."""
    column = np.full(1 << 17, first, np.uint64)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            column[:] = second
            column[:] = first

    thread = threading.Thread(target=write)
    thread.start()
    try:
        end, answers = time.monotonic() + seconds, []
        while time.monotonic() < end:
            answers.append(bool(ask(column)))
    finally:
        stop.set()
        thread.join()
    return all(answers)

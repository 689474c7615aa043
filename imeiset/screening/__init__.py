"""Screening: what a list says of columns (`Screener`), and of files of records (`screen`)."""

from .files import screen
from .screener import Screener
from .tally import ScreenReport

__all__ = ["ScreenReport", "Screener", "screen"]

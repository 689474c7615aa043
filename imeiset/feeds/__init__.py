"""Operators' files to sets: `load` reads them, `LoadReport` says what was in them."""

from .loader import LoadResult, load
from .report import LoadReport
from .screen import ScreenReport, screen

__all__ = ["LoadReport", "LoadResult", "ScreenReport", "load", "screen"]

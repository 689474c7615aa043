"""Operators' files to sets: `load` and `read` read them, `LoadReport` says what was in them."""

from .loader import LoadResult, Table, load, read
from .reader import Options
from .report import LoadReport
from .screen import ScreenReport, screen

__all__ = ["LoadReport", "LoadResult", "Options", "ScreenReport", "Table", "load", "read", "screen"]

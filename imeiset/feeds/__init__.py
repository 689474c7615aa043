"""Operators' files to sets: `load` reads them, `LoadReport` says what was in them."""

from .loader import LoadResult, load
from .report import LoadReport

__all__ = ["LoadReport", "LoadResult", "load"]

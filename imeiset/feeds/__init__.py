"""Operators' files to sets and registers: `load`, `load_register` and `read` read them, `LoadReport` says
what was in them."""

from .export import export
from .loader import LoadResult, Rows, load, read
from .options import Options
from .registers import LoadedRegister, load_register
from .report import LoadReport

__all__ = [
    "LoadReport",
    "LoadResult",
    "LoadedRegister",
    "Options",
    "Rows",
    "export",
    "load",
    "load_register",
    "read",
]

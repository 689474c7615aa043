"""imeiset: exact, compressed, memory-mapped sets of blocked IMEIs.

>>> import imeiset
>>> blocked = imeiset.ImeiSet(["490154203237518", "35-809101-685355-0"])
>>> "490154203237518" in blocked
True
"""

from imeiset._native.parse import check_digit, is_valid
from imeiset.arrow import to_arrow
from imeiset.columns import are_valid, parse, tacs
from imeiset.deltas import ApplyReport, apply, diff
from imeiset.errors import (
    FeedError,
    ImeiError,
    ImeisetError,
    ImsiError,
    ParseStatus,
    SnapshotError,
    StoreError,
)
from imeiset.feeds import LoadedRegister, LoadReport, LoadResult, export, load, load_register
from imeiset.imei import Imei
from imeiset.merging import merge
from imeiset.opening import open
from imeiset.register import EquipmentStatus, Policy, Register, Verdict
from imeiset.screening import Screener, ScreenReport, screen
from imeiset.sets import ImeiSet
from imeiset.store import Delta, Store

__all__ = [
    "ApplyReport",
    "Delta",
    "EquipmentStatus",
    "FeedError",
    "Imei",
    "ImeiError",
    "ImeiSet",
    "ImeisetError",
    "ImsiError",
    "LoadReport",
    "LoadResult",
    "LoadedRegister",
    "ParseStatus",
    "Policy",
    "Register",
    "ScreenReport",
    "Screener",
    "SnapshotError",
    "Store",
    "StoreError",
    "Verdict",
    "apply",
    "are_valid",
    "check_digit",
    "diff",
    "export",
    "is_valid",
    "load",
    "load_register",
    "merge",
    "open",
    "parse",
    "screen",
    "tacs",
    "to_arrow",
]
__version__ = "0.1.0"

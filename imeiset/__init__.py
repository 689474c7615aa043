"""imeiset: exact, compressed, memory-mapped sets of blocked IMEIs.

A name brings its module when it is first asked for: what a process does not use it does not import.

>>> import imeiset
>>> blocked = imeiset.ImeiSet(["490154203237518", "35-809101-685355-0"])
>>> "490154203237518" in blocked
True
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imeiset._native.parse import check_digit, is_valid
    from imeiset.arrow import to_arrow
    from imeiset.columns import are_valid, parse, tacs
    from imeiset.deltas.apply import apply
    from imeiset.deltas.diff import diff
    from imeiset.deltas.feeding import feed
    from imeiset.deltas.report import ApplyReport
    from imeiset.errors import (
        FeedError,
        ImeiError,
        ImeisetError,
        ImeiWarning,
        ImsiError,
        ParseStatus,
        SnapshotError,
        StoreError,
    )
    from imeiset.feeds import LoadedRegister, LoadReport, LoadResult, load, load_register
    from imeiset.feeds.export import export
    from imeiset.imei import Imei
    from imeiset.merging import merge
    from imeiset.opening import open as open
    from imeiset.register import EquipmentStatus, Policy, Register, Verdict
    from imeiset.screening import Screener, ScreenReport, screen
    from imeiset.sets import ImeiSet
    from imeiset.store import Delta, Store

_MODULES = {
    "imeiset._native.parse": "check_digit is_valid",
    "imeiset.arrow": "to_arrow",
    "imeiset.columns": "are_valid parse tacs",
    "imeiset.deltas": "ApplyReport apply diff feed",
    "imeiset.errors": (
        "FeedError ImeiError ImeiWarning ImeisetError ImsiError ParseStatus SnapshotError StoreError"
    ),
    "imeiset.feeds": "LoadReport LoadResult LoadedRegister export load load_register",
    "imeiset.imei": "Imei",
    "imeiset.merging": "merge",
    "imeiset.opening": "open",
    "imeiset.register": "EquipmentStatus Policy Register Verdict",
    "imeiset.screening": "ScreenReport Screener screen",
    "imeiset.sets": "ImeiSet",
    "imeiset.store": "Delta Store",
}
_ROOMS = "columns deltas errors feeds integrations register screening serve sets snapshot store trust"
# Without `open`, which `from imeiset import *` must not put in the place of the built-in one.
__all__ = [
    "ApplyReport", "Delta", "EquipmentStatus", "FeedError", "Imei", "ImeiError", "ImeiSet", "ImeiWarning",
    "ImeisetError", "ImsiError", "LoadReport", "LoadResult", "LoadedRegister", "ParseStatus", "Policy",
    "Register", "ScreenReport", "Screener", "SnapshotError", "Store", "StoreError", "Verdict", "apply",
    "are_valid", "check_digit", "diff", "export", "feed", "is_valid", "load", "load_register", "merge",
    "parse", "screen", "tacs", "to_arrow",
]  # fmt: skip
__version__ = "0.1.0"


if not TYPE_CHECKING:  # a checker would take every name for one that there is

    def __getattr__(name):
        from importlib import import_module

        for module, names in _MODULES.items():
            if name in names.split():
                return globals().setdefault(name, getattr(import_module(module), name))
        if name in _ROOMS.split():
            return import_module(f"imeiset.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS.split(), "open"})

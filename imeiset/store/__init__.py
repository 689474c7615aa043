"""Stores: a directory whose register changes while it serves."""

from imeiset.store.changes import Delta
from imeiset.store.store import Status, Store

__all__ = ["Delta", "Status", "Store"]

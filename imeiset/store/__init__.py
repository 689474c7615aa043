"""Stores: a directory whose register changes while it serves."""

from imeiset.store.store import Delta, Status, Store

__all__ = ["Delta", "Status", "Store"]

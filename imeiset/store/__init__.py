"""Stores: a directory whose register changes while it serves."""

from imeiset.store.changes import Delta
from imeiset.store.events import Event
from imeiset.store.following import FollowStatus
from imeiset.store.status import FeedStatus, ListStatus, Status
from imeiset.store.store import Store

__all__ = ["Delta", "Event", "FeedStatus", "FollowStatus", "ListStatus", "Status", "Store"]

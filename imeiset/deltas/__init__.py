"""Files of changes: applied to a set or to a list of a store, and written from one set to another."""

from .apply import ApplyReport, apply
from .diff import diff

__all__ = ["ApplyReport", "apply", "diff"]

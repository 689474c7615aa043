"""Files of changes: applied to a set or to a list of a store, and written from one set to another."""

from .apply import apply
from .diff import diff
from .feeding import FeedStep, feed
from .lists import Difference, differences
from .report import ApplyReport

__all__ = ["ApplyReport", "Difference", "FeedStep", "apply", "diff", "differences", "feed"]

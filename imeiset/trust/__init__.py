"""Lists that travel: a store published, signed, and followed by others, over any kind of place."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imeiset.trust.follower import Follower, follow_again
    from imeiset.trust.mirroring import mirror
    from imeiset.trust.publisher import publish
    from imeiset.trust.reports import FollowReport, ListReport, MirrorReport, PublishReport, StepReport
    from imeiset.trust.rotation import RotateReport, rotate

_MODULES = {
    "imeiset.trust.follower": "Follower follow_again",
    "imeiset.trust.mirroring": "mirror",
    "imeiset.trust.publisher": "publish",
    "imeiset.trust.reports": "FollowReport ListReport MirrorReport PublishReport StepReport",
    "imeiset.trust.rotation": "RotateReport rotate",
}
__all__ = [
    "FollowReport", "Follower", "ListReport", "MirrorReport", "PublishReport", "RotateReport",
    "StepReport", "follow_again", "mirror", "publish", "rotate",
]  # fmt: skip


if not TYPE_CHECKING:  # a name brings its module when it is asked for

    def __getattr__(name):
        from importlib import import_module

        for module, names in _MODULES.items():
            if name in names.split():
                return globals().setdefault(name, getattr(import_module(module), name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

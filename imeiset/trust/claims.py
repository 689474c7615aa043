"""Who is publishing to a place just now, so that two publishers do not write over each other.

    metadata/publisher.json    {"by": who, as 16 hexadecimal digits, "imeiset": 1, "time": when it began}

Places promise nothing about two who write at once, so this is a courtesy between publishers, and not what
keeps followers safe: whatever two of them make of a place, followers take one edition whole, or none. A claim
ends by itself; a publisher that was killed takes up its own at once.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from imeiset.errors import TrustError, TrustMissing, TrustRefused
from imeiset.register.dumps import dump
from imeiset.trust.metadata import now
from imeiset.trust.places import Place

NAME = "metadata/publisher.json"
LASTS = timedelta(minutes=10)
_LIMIT = 1000  # bytes
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Claim:
    """To be the one who publishes. by: the store or the folder of keys on this host."""

    place: Place
    by: str

    @classmethod
    def of(cls, place: Place, path: str | os.PathLike[str]) -> "Claim":
        """Of who publishes from a path of this host."""
        whole = f"{socket.gethostname()}:{os.path.realpath(path)}"
        return cls(place, hashlib.sha256(whole.encode()).hexdigest()[:16])

    @contextmanager
    def held(self) -> Iterator[None]:
        """While that is so. TrustRefused while another publisher says that it is."""
        by, began = self._there()
        if by not in ("", self.by) and abs(now() - began) < LASTS:
            got = f"another since {began:%H:%M} UTC; if it has died, its claim ends at {began + LASTS:%H:%M}"
            raise TrustRefused(str(self.place), "no other publisher at work", got)
        self._put()
        try:
            self.expect_ours()
            yield
        finally:
            with suppress(TrustError):
                if self._there()[0] == self.by:
                    self.place.remove(NAME)

    def expect_ours(self) -> None:
        """Raise TrustRefused if another publisher has come."""
        if self._there()[0] != self.by:
            got = "another, which has just begun: see which of the two should publish"
            raise TrustRefused(str(self.place), "no other publisher at work", got)

    def _put(self) -> None:
        about = {"by": self.by, "imeiset": 1, "time": now().strftime(_TIME)}
        self.place.put_bytes(NAME, dump(about) + b"\n")

    def _there(self) -> tuple[str, datetime]:
        """Who says so, and since when; '' for nobody, and for what is not understood."""
        try:
            about = json.loads(self.place.read(NAME, _LIMIT))
            began = datetime.strptime(about["time"], _TIME).replace(tzinfo=now().tzinfo)
            return str(about["by"]), began
        except (TrustMissing, TrustRefused, ValueError, LookupError, TypeError, RecursionError):
            return "", now()

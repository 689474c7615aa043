"""Who is publishing to a place just now, so that two publishers do not write over each other.

    metadata/publisher.json    {"host": 16 hexadecimal digits, "imeiset": 1, "process": number, "time": when}

Places promise nothing about two who write at once, so this is a courtesy between publishers, and not what
keeps followers safe: whatever two of them make of a place, followers take one edition whole, or none. A claim
ends by itself, and at once when a process of the same host sees that its process is gone.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from imeiset.errors import TrustError, TrustMissing, TrustRefused
from imeiset.register.dumps import dump
from imeiset.trust.metadata import now
from imeiset.trust.places import Place

NAME = "metadata/publisher.json"
LASTS = timedelta(minutes=10)
_LIMIT = 1000  # bytes
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class _Who(NamedTuple):
    host: str
    process: int

    @classmethod
    def here(cls) -> "_Who":
        return cls(hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16], os.getpid())

    def is_gone(self) -> bool:
        """Whether it was of this host, and has ended."""
        if self.host != _Who.here().host:
            return False
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, OverflowError, ValueError):
            return True
        except OSError:
            pass  # it is another user's
        return False


@dataclass(frozen=True, slots=True)
class Claim:
    """To be the one who publishes to a place."""

    place: Place

    @contextmanager
    def held(self) -> Iterator[None]:
        """While that is so. TrustRefused while another publisher says that it is."""
        who, began = self._there()
        if who not in (None, _Who.here()) and not who.is_gone() and abs(now() - began) < LASTS:
            got = f"another since {began:%H:%M} UTC; if it has died, its claim ends at {began + LASTS:%H:%M}"
            raise TrustRefused(str(self.place), "no other publisher at work", got)
        self._put()
        try:
            self.expect_ours()
            yield
        finally:
            with suppress(TrustError):
                if self._there()[0] == _Who.here():
                    self.place.remove(NAME)

    def expect_ours(self) -> None:
        """Raise TrustRefused if another publisher has come."""
        if self._there()[0] != _Who.here():
            got = "another, which has just begun: see which of the two should publish"
            raise TrustRefused(str(self.place), "no other publisher at work", got)

    def _put(self) -> None:
        about = {**_Who.here()._asdict(), "imeiset": 1, "time": now().strftime(_TIME)}
        self.place.put_bytes(NAME, dump(about) + b"\n")

    def _there(self) -> tuple[_Who | None, datetime]:
        """Who says so, and since when; None for nobody, and for what is not understood."""
        try:
            about = json.loads(self.place.read(NAME, _LIMIT))
            began = datetime.strptime(about["time"], _TIME).replace(tzinfo=now().tzinfo)
            return _Who(str(about["host"]), int(about["process"])), began
        except (TrustMissing, TrustRefused, ValueError, LookupError, TypeError, RecursionError):
            return None, now()

"""What a store last published to a place, and what it was about to: in a folder of the store for each place.

    published/PLACE/lock        held by who publishes
    published/PLACE/state.json  the edition that the store published last, see `Said`
    published/PLACE/next.json   the one that it was about to, until the place has it
    published/PLACE/N.imei      the lists as of edition N, as they were published: owners "", all in one base

PLACE is the first 16 digits of the SHA-256 of the URL, credentials and query left out, of a folder its full
path. A publisher that died after its edition was committed, and before it kept that, finds it as `next`.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from imeiset import snapshot
from imeiset._files import Opened, publish
from imeiset.errors import StoreLocked, TrustRefused, mask_text, mask_url
from imeiset.register.dumps import dump
from imeiset.register.layout import KIND, Contents
from imeiset.trust.places import Place

FOLDER = "published"
_FORMAT = 1
_STATE, _NEXT = "state.json", "next.json"
_LISTS = re.compile(r"[1-9][0-9]{0,18}\.imei")


@dataclass(frozen=True, slots=True)
class Said:
    """What a store said last at a place.

    Attributes
    ----------
    edition : int
    lists : mapping of str to str
        The digests of its lists, by name.
    versions : mapping of str to int
        Of the metadata, by role: numbers never go back, even where the place has lost them.
    above : int
        The next edition is above this one: what a thief of keys published is not to be followed by less.
    """

    edition: int
    lists: Mapping[str, str]
    versions: Mapping[str, int] = field(default_factory=dict)
    above: int = 0


class Memory:
    """Of one store and one place."""

    def __init__(self, store: Path, place: Place) -> None:
        self.place = place
        name = hashlib.sha256(_plain(place).encode()).hexdigest()[:16]
        self.folder = store / FOLDER / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """As the only one that publishes this store there. StoreLocked while another does."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Opened(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as lock:
            try:
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                got = "another process that does: it holds the lock until it ends"
                raise StoreLocked(self.folder, "nobody else who publishes this store there", got) from None
            yield

    def last(self) -> Said | None:
        """What was said last; None if nothing was. TrustRefused for what nobody writes."""
        return self._read(_STATE)

    def prepared(self) -> Said | None:
        """What was about to be said."""
        return self._read(_NEXT)

    def lists_path(self, edition: int) -> Path:
        """The file of the lists as of an edition."""
        return self.folder / f"{edition}.imei"

    def contents(self, edition: int) -> Contents:
        """The lists as of an edition, whole. Raises a kind of SnapshotError."""
        file = snapshot.open(self.lists_path(edition), "mmap", kind=KIND)
        file.verify()
        return Contents.read(file.sections, file.path)

    def prepare(self, said: Said) -> None:
        """Keep what is about to be said; its lists have been written."""
        self._write(_NEXT, said)

    def adopt(self) -> None:
        """What was prepared was said."""
        (self.folder / _NEXT).replace(self.folder / _STATE)
        self._forget_others()

    def keep(self, said: Said) -> None:
        """Keep other versions or numbers of what was said."""
        self._write(_STATE, said)

    def _forget_others(self) -> None:
        last = self.last()
        for path in self.folder.iterdir():
            if _LISTS.fullmatch(path.name) and (last is None or path != self.lists_path(last.edition)):
                with suppress(OSError):
                    path.unlink()

    def _write(self, name: str, said: Said) -> None:
        about = {"imeiset": _FORMAT, "url": mask_url(self.place.url), **asdict(said)}
        with publish(self.folder / name) as file:
            file.write(dump(about) + b"\n")

    def _read(self, name: str) -> Said | None:
        path = self.folder / name
        try:
            about = json.loads(path.read_bytes())
            if about["imeiset"] != _FORMAT:
                raise ValueError(f"format {about['imeiset']}: update imeiset")
            said = Said(
                int(about["edition"]),
                {str(one): str(digest) for one, digest in about["lists"].items()},
                {str(role): int(version) for role, version in about["versions"].items()},
                int(about["above"]),
            )
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            got = f"{mask_text(str(error))}; "
            got += "`imeiset publish --base`, or base=True, publishes all lists without it"
            raise TrustRefused(str(path), "what was published last", got) from None
        return said


def _plain(place: Place) -> str:
    """What makes a place the same whatever it is called."""
    if place.local is not None:
        return str(place.local.resolve())
    return mask_url(place.url).replace("***@", "").removesuffix("?***").rstrip("/")

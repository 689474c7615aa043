"""The keys of a publisher: made, kept in a folder, and taken from it when something is to be signed.

    root.json       the first root: what followers are given, and what their trust begins with
    N.root.json     the roots after it, as they were made
    ROLE-ID.pem     a key: PKCS#8 in PEM, Ed25519, mode 0600, perhaps with a passphrase; ROLE is root, targets
                    or online, ID the first 16 digits of its key ID in the metadata

A file is never overwritten and never removed: a key that is replaced stays, of no use. Those that a command
does not need may be elsewhere.
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imeiset.errors import TrustError, TrustKey, TrustRefused
from imeiset.errors.extras import extra
from imeiset.trust.metadata import ROLES, fingerprint, first_root, load, signed

FIRST = "root.json"
_ROOT = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
_SHOWN = 16  # digits of a key ID
Passphrase = bytes | Callable[[Path], bytes] | None
"""Of all keys, or a function that asks for that of a file. None: they have none."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder of keys, and others that have some of them too.

    Parameters
    ----------
    folders
        The first has `root.json`, and new keys are written there.
    passphrase
        Of the keys that have one.
    """

    folders: tuple[Path, ...]
    passphrase: Passphrase = None

    @classmethod
    def of(
        cls, folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], passphrase: Passphrase = None
    ) -> "Keys":
        """One folder, or several."""
        some = [folders] if isinstance(folders, str | os.PathLike) else folders
        return cls(tuple(map(Path, some)), passphrase)

    def roots(self) -> list[bytes]:
        """The first root and those after it, as far as they are here without a gap."""
        folder = self.folders[0]
        try:
            found = [(folder / FIRST).read_bytes()]
        except OSError as error:
            got = f"{error.strerror}: `imeiset keys new` makes one with keys"
            raise TrustKey(str(folder / FIRST), "the first root", got) from None
        version = load("root", found[0], str(folder / FIRST)).signed.version + 1
        with suppress(FileNotFoundError):
            while True:
                found.append((folder / f"{version}.root.json").read_bytes())
                version += 1
        return found

    def keep_root(self, data: bytes, version: int) -> None:
        """Keep a root that was made or found."""
        path = self.folders[0] / f"{version}.root.json"
        with suppress(FileExistsError):
            _write(path, data, 0o644)
            return
        if path.read_bytes() != data:
            raise TrustRefused(str(path), f"root {version} of the place", "another")

    def has(self, role: str, root: Any) -> bool:
        """Whether there are enough keys to sign for a role of a root."""
        about = _role(role, root)
        there = [key for key in about.keyids if self._file(role, key)]
        return len(there) >= int(about.threshold)

    def signers(self, role: str, root: Any) -> list[Any]:
        """As many keys as have to sign for a role of a root. TrustKey names those that are missing."""
        about = _role(role, root)
        files = {key: self._file(role, key) for key in about.keyids}
        there = {key: path for key, path in files.items() if path is not None}
        if len(there) < about.threshold:
            absent = ", ".join(file_name(role, key) for key, path in files.items() if path is None)
            few = f"{about.threshold} key{'s' * (about.threshold > 1)} of role {role}"
            got = f"{len(there)}: bring {about.threshold - len(there)} of {absent}"
            raise TrustKey(", ".join(map(str, self.folders)), few, got)
        return [
            self._signer(path, root.signed.keys[key]) for key, path in [*there.items()][: about.threshold]
        ]

    def add(self, role: str, number: int) -> list[Any]:
        """Make new keys for a role in the first folder, with a passphrase if others have one."""
        form, kinds = _cryptography("serialization"), _cryptography("asymmetric.ed25519")
        made = []
        asked = not callable(self.passphrase) or any(
            b"ENCRYPTED" in key.read_bytes() for key in self._every()
        )
        for _ in range(number):
            private = kinds.Ed25519PrivateKey.generate()
            made.append(_crypto().CryptoSigner(private))
            path = self.folders[0] / file_name(role, made[-1].public_key.keyid)
            word = self._passphrase(path) if asked else None
            hidden = form.BestAvailableEncryption(word) if word else form.NoEncryption()
            _write(path, private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, hidden), 0o600)
        return made

    def files_of(self, role: str, root: Any) -> set[str]:
        """The names of the files of a role's keys, as a root has them."""
        return {file_name(role, key) for key in _role(role, root).keyids}

    def others_can_read(self) -> list[Path]:
        """The keys that not only their owner can read."""
        return [path for path in self._every() if path.stat().st_mode & 0o077]

    def _every(self) -> list[Path]:
        return [path for folder in self.folders for path in sorted(folder.glob("*.pem"))]

    def _file(self, role: str, key: str) -> Path | None:
        paths = (folder / file_name(role, key) for folder in self.folders)
        return next((path for path in paths if path.exists()), None)

    def _passphrase(self, path: Path) -> bytes | None:
        return self.passphrase(path) if callable(self.passphrase) else self.passphrase

    def _signer(self, path: Path, public: Any) -> Any:
        serialization = _cryptography("serialization")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TrustKey(str(path), "a key that can be read", error.strerror or str(error)) from None
        word = self._passphrase(path) if b"ENCRYPTED" in data else None
        if b"ENCRYPTED" in data and not word:
            raise TrustKey(str(path), "its passphrase", "none: --passphrase-file has it")
        try:
            private = serialization.load_pem_private_key(data, word)
            signer = _crypto().CryptoSigner(private)
        except Exception:  # what it says may quote the key
            got = "a wrong passphrase, or a damaged file" if word else "something else"
            raise TrustKey(str(path), "a private key in PEM", got) from None
        if signer.public_key.keyid != public.keyid:
            got = f"another: {signer.public_key.keyid[:_SHOWN]}"
            raise TrustKey(str(path), f"key {public.keyid[:_SHOWN]}", got)
        return signer


def new(
    folder: str | os.PathLike[str],
    *,
    threshold: int = 2,
    number: int = 3,
    passphrase: Passphrase = None,
) -> str:
    """Make the keys of a publisher, and the root that followers are given.

    Parameters
    ----------
    folder
        It is made, with mode 0700; one that is there has to be empty.
    threshold, number
        So many of so many root keys have to sign the next root.
    passphrase
        Of all keys; None leaves them without one.

    Returns
    -------
    str
        The fingerprint of the root, which followers compare, and call the feed by.

    Raises
    ------
    TrustError
        The folder is not empty.
    OSError
        It cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from imeiset.trust import keys
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fingerprint = keys.new(f"{folder}/keys", threshold=1, number=1)
    ...     len(fingerprint), len(list(Path(folder).glob("keys/*.pem")))
    (64, 3)
    """
    if not 1 <= threshold <= number <= 32:
        raise ValueError(f"threshold: expected 1 to {number} of at most 32 keys, got {threshold}/{number}")
    path = Path(folder)
    _crypto()  # before there is a folder: what is missing is said first
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise TrustError(
            str(path), "an empty folder, or none", "one with files in it: keys are not overwritten"
        )
    path.chmod(0o700)
    keys = Keys((path,), passphrase)
    try:
        made = {role: keys.add(role, number if role == "root" else 1) for role in ROLES}
        public = {role: [signer.public_key for signer in some] for role, some in made.items()}
        root = signed(first_root(public, threshold), made["root"])
        _write(path / FIRST, root.to_bytes(), 0o644)
    except BaseException:
        for file in path.iterdir():
            file.unlink()
        raise
    return fingerprint(root.to_bytes())


def file_name(role: str, key: str) -> str:
    """The name of a key's file."""
    return f"{role}-{key[:_SHOWN]}.pem"


def _role(role: str, root: Any) -> Any:
    return root.signed.roles["timestamp" if role == "online" else role]


def _write(path: Path, data: bytes, mode: int) -> None:
    """A file that was not there, and is whole after a crash or damaged in a way that is noticed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _crypto() -> Any:
    return extra("securesystemslib.signer", "to sign needs securesystemslib", "follow")


def _cryptography(module: str) -> Any:
    name = f"cryptography.hazmat.primitives.{module}"
    return extra(name, "to read and make keys needs cryptography", "follow")

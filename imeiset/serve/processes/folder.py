"""The private folder of a run, and the copies of files that are in it."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from imeiset.errors import ServeConfigError
from imeiset.serve.processes.board import write

_PREFIX = "imeiset-serve-"


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for its owner only, under $RUNTIME_DIRECTORY or where temporary files are.

    The folder is locked while it is used, so that programs that tidy up there leave it alone. Folders of
    runs that were killed are removed.
    """
    parent = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir()
    for old in Path(parent).glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(old):
            shutil.rmtree(old, ignore_errors=True)
    with ExitStack() as stack:
        folder = None
        while folder is None:
            folder = _new(parent, stack)
        yield folder


def _new(parent: str, stack: ExitStack) -> Path | None:
    """A folder, locked; None if another run took it for one of a dead run before it was."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        opened = stack.enter_context(_locked(folder))
        there = folder.stat()
    except (BlockingIOError, FileNotFoundError):
        return None
    if not os.path.samestat(there, os.fstat(opened)):
        return None
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Lock a folder of ours, which is opened; OSError if it is not, or another one has locked it."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(opened).st_uid != os.geteuid():
            raise PermissionError(f"{folder}: another user's")
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield opened
    finally:
        os.close(opened)


class Copies:
    """Copies of the files that a configuration names, as they were when it was read. Later changes of the
    files do not count until the configuration is read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sources: dict[Path, Path] = {}
        self._data: dict[Path, bytes] = {}

    def keep(self, path: Path) -> Path:
        """The copy of a file. Another content is another copy."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ServeConfigError(path, "a readable file", error.strerror or str(error)) from None
        copy = self._folder / f"{sha256(data).hexdigest()[:32]}.pem"
        self._sources[copy], self._data[copy] = path, data
        if not copy.exists():
            write(copy, data)
        return copy

    def restore(self) -> None:
        """Write them all again."""
        for copy, data in self._data.items():
            write(copy, data)

    def by_source(self, text: str) -> str:
        """A text that names files as their owner knows them."""
        for copy, path in self._sources.items():
            text = text.replace(str(copy), str(path))
        return text

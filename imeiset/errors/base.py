"""What all exceptions of imeiset are made of."""

import errno
import os


class ImeisetError(Exception):
    """Base of every error that imeiset raises on purpose, wrong argument types aside.

    Examples
    --------
    >>> try:
    ...     imeiset.open("nowhere.imei")
    ... except imeiset.ImeisetError as error:
    ...     print(error)
    nowhere.imei: expected a readable file, got No such file or directory
    """

    __str__ = Exception.__str__  # that of OSError would add an errno


class FileError(ImeisetError):
    """A file, or the directory of a store: `path`, `line`, and what was `expected` and `got`, in words."""

    def __init__(
        self,
        path: str | os.PathLike[str] = "",
        expected: str = "",
        got: str = "",
        *,
        line: int | None = None,
        key: str = "",
    ):
        name = os.fspath(path)
        place = ": ".join(filter(None, (name if line is None else f"{name}, line {line}", key)))
        super().__init__(f"{place}: expected {expected}, got {got}" if expected else name)
        self.path, self.line, self.key = name if expected else "", line, key
        self.expected, self.got = expected, got


class FileSystemError(FileError, OSError):
    """One that is an OSError too, with the attributes of one."""

    errno: int = errno.ENOENT  # not that of OSError, which pickles would lose

    @property
    def filename(self) -> str | None:
        """The file."""
        return self.path or None

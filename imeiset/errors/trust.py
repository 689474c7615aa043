"""Errors of lists that travel: what was published cannot be had, is out of date, or is not to be trusted."""

import errno

from imeiset.errors.base import FileError, FileSystemError
from imeiset.errors.masking import mask_url


class TrustError(FileError):
    """Lists that cannot be published or followed: the kind of the error says why.

    Attributes
    ----------
    place : str
        Where: a path, or a URL without its credentials.
    expected, got : str
        In words.

    Examples
    --------
    >>> try:
    ...     raise imeiset.errors.TrustRefused("https://cloud:secret@lists.example/eir", "edition 8", "7")
    ... except imeiset.errors.TrustError as error:
    ...     print(error)
    https://***@lists.example/eir: expected edition 8, got 7
    """

    def __init__(self, place: str = "", expected: str = "", got: str = ""):
        super().__init__(mask_url(place) if expected else place, expected, got)

    @property
    def place(self) -> str:
        """Where."""
        return self.path


class TrustUnreachable(TrustError, FileSystemError):
    """The place, or the disk here, does not do what it was asked. See whether it is there, and try again."""

    errno = errno.EIO


class TrustMissing(TrustUnreachable, FileNotFoundError):
    """No such file in the place. See whether the URL is the right one, and whether anything was published."""

    errno = errno.ENOENT


class TrustKey(TrustError):
    """A key that is to sign is not at hand, or cannot be read. Bring the file that the message names."""


class TrustStale(TrustError):
    """What is published has expired. See whether its publisher goes on, and whether the clock is right.

    Whoever holds back newer editions makes it look the same.
    """


class TrustRefused(TrustError):
    """What is published is not what its publisher signed, or not what may follow. Nothing was taken over.

    A signature, a hash or a digest is wrong, an edition is older than the one that is here, a list is not the
    publisher's, or too much of it is gone. Ask the publisher, by another way than this place.
    """

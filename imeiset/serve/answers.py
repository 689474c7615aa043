"""What an HTTP front answers, whichever server carries it."""

from typing import NamedTuple


class Answer(NamedTuple):
    """A status, headers with lower-case names, and a body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

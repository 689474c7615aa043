"""The journal of a store: an append-only file of numbered changes.

Numbers are little-endian, checksums are 64-bit XXH3.

    journal   := header record*
    header    := magic       8 bytes: 89 'IMEJ' 0D 0A 1A
                 version     4: 2, or 1: see `payload`. Otherwise they are the same
                 padding     4: 0
                 generation  8: of the base that the changes are of
                 sequence    8: the last change that is in the base
                 digest      8: of the base file
                 time        8: of the last change that is in the base, ns since 1970, signed
                 checksum    8: of the 48 bytes before this
                 committed   8: bytes of the journal that are known to be on the disk
                 complement  8: the same, every bit turned
    record    := length      8: of the payload
                 sequence    8: one more than that of the record before
                 time        8: ns since 1970, signed, by the writer's clock: it may go back
                 digest      8: of the digest before this and the payload: of the state
                 checksum    8: of the 32 bytes before this and the payload
                 payload

The digests are a chain: equal ones say that the base and all changes since are equal. So a state is in a
journal if the record that it begins to be at has its number, its time and its digest.

A record counts when it is whole. What follows the last whole one is the torn tail of a writer that died,
and is cut; but nothing before `committed` may be broken: that is damage, and an error.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from imeiset._files import Opened, publish
from imeiset.errors import StoreDamaged, StoreMissing

MAGIC = b"\x89IMEJ\r\n\x1a"
VERSION = 2
_HEADER = struct.Struct("<8sIIQQQq")
_NUMBER = struct.Struct("<Q")
_COMMITTED = struct.Struct("<QQ")
_COMMITTED_AT = _HEADER.size + _NUMBER.size
HEADER_SIZE = _COMMITTED_AT + _COMMITTED.size
_RECORD = struct.Struct("<QQqQ")
RECORD_SIZE = _RECORD.size + _NUMBER.size
_ALL = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Record:
    """One change. position: of the state after it."""

    position: "Position"
    payload: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Where in a journal a state is: its last change, when that was made, and the bytes around its record."""

    sequence: int
    digest: int
    time: int
    end: int = HEADER_SIZE
    begin: int = 0  # of the record; that of the header for the state of the base


def after(position: Position, time: int, payload: bytes) -> tuple[bytes, Position]:
    """The record of a change of a state, and the position of the state after it."""
    digest = xxhash.xxh3_64_intdigest(_NUMBER.pack(position.digest) + payload)
    head = _RECORD.pack(len(payload), position.sequence + 1, time, digest)
    record = head + _NUMBER.pack(xxhash.xxh3_64_intdigest(head + payload)) + payload
    end = position.end + len(record)
    return record, Position(position.sequence + 1, digest, time, end, position.end)


def create(path: Path, generation: int, start: Position, changes: Iterable[Record] = ()) -> None:
    """Publish a journal that begins after a state and has these changes already, numbered on from there."""
    create_of(path, generation, start, ((change.position.time, change.payload) for change in changes))


def create_of(path: Path, generation: int, start: Position, changes: Iterable[tuple[int, bytes]]) -> None:
    """The same of times and payloads, one of which is in memory at a time."""
    header = _HEADER.pack(MAGIC, VERSION, 0, generation, start.sequence, start.digest, start.time)
    position = Position(start.sequence, start.digest, start.time)
    with publish(path, private=False, of_store=True) as file:
        file.write(header + _NUMBER.pack(xxhash.xxh3_64_intdigest(header)) + _COMMITTED.pack(0, 0))
        for time, payload in changes:
            record, position = after(position, time, payload)
            file.write(record)
        file.seek(_COMMITTED_AT)
        file.write(_COMMITTED.pack(position.end, position.end ^ _ALL))


class Journal(Opened):
    """An open journal file, to read and, where `writable`, to append to."""

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        try:
            super().__init__(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC))
        except OSError as error:
            raise StoreMissing(path, "a readable journal", error.strerror or str(error)) from error
        try:
            head = os.pread(self._descriptor, HEADER_SIZE, 0)
            if len(head) < HEADER_SIZE or head[:8] != MAGIC:
                raise StoreDamaged(path, "a journal", f"{len(head)} bytes that begin {head[:8]!r}")
            _, self.version, _, self.generation, sequence, digest, time = _HEADER.unpack(head[: _HEADER.size])
            (checksum,) = _NUMBER.unpack_from(head, _HEADER.size)
            if not 0 < self.version <= VERSION:
                raise StoreDamaged(path, f"journal version 1 to {VERSION}", f"{self.version}: update imeiset")
            found = xxhash.xxh3_64_intdigest(head[: _HEADER.size])
            if checksum != found:
                raise StoreDamaged(path, f"checksum {checksum:016x} of the header", f"{found:016x}")
        except BaseException:
            self.close()
            raise
        self.start = Position(sequence, digest, time)

    def expect_of(self, generation: int, base: int) -> None:
        """Raise StoreDamaged if it is the journal of another generation or of another base."""
        if (self.generation, self.start.digest) != (generation, base):
            got = f"of generation {self.generation} and base {self.start.digest:016x}"
            raise StoreDamaged(self.path, f"the journal of generation {generation} and base {base:016x}", got)

    def ends_at(self, position: Position) -> bool:
        """Whether it is still the file of its name, and that state is its last."""
        return self.nbytes == position.end and self.is_at(self.path) and self.holds(position)

    def holds(self, position: Position) -> bool:
        """Whether that state is in this journal: after the same changes of the same base."""
        if not position.begin:
            return position == self.start
        length = position.end - position.begin - RECORD_SIZE
        head = _RECORD.pack(length, position.sequence, position.time, position.digest)
        return self.nbytes >= position.end and os.pread(self._descriptor, len(head), position.begin) == head

    @property
    def nbytes(self) -> int:
        """Of the file."""
        return os.fstat(self._descriptor).st_size

    @property
    def committed(self) -> int:
        """Bytes that are known to be on the disk."""
        end, complement = _COMMITTED.unpack(os.pread(self._descriptor, _COMMITTED.size, _COMMITTED_AT))
        return int(min(end, complement ^ _ALL))  # of a torn one, the older

    def records(self, since: Position) -> Iterator[Record]:
        """The whole records after a state. StoreDamaged where a committed one is broken."""
        committed, position = self.committed, since
        while True:
            record = self._record(position)
            if isinstance(record, Record):
                position = record.position
                yield record
            elif position.end < committed:
                expected = f"whole records up to byte {committed}"
                raise StoreDamaged(self.path, expected, f"{record} at byte {position.end}: restore a copy")
            else:
                return

    def _record(self, before: Position) -> Record | str:
        """The record after a state, or what is wrong with it."""
        head = os.pread(self._descriptor, RECORD_SIZE, before.end)
        if len(head) < RECORD_SIZE:
            return "a record that is cut off"
        length, sequence, time, _ = _RECORD.unpack_from(head)
        payload = None
        if length <= self.nbytes - before.end - RECORD_SIZE:
            payload = self._read(length, before.end + RECORD_SIZE)
        if payload is None:
            return "a record that is cut off"
        record, position = after(before, time, payload)
        if record[:RECORD_SIZE] != head:
            return f"record {sequence} with other checksums"
        return Record(position, payload)

    def _read(self, size: int, at: int) -> bytes | None:
        parts = []
        while size:
            part = os.pread(self._descriptor, min(size, 1 << 30), at)
            if not part:
                return None
            parts.append(part)
            size, at = size - len(part), at + len(part)
        return b"".join(parts)

    def append(self, record: bytes, at: int) -> None:
        """Write a record at the end and wait for the disk. OSError; where it says that syncing failed, the
        record may be there or not."""
        done = 0
        try:
            while done < len(record):
                done += os.pwrite(self._descriptor, record[done:], at + done)
        except OSError:
            os.ftruncate(self._descriptor, at)
            raise
        os.fsync(self._descriptor)

    def commit(self, end: int) -> None:
        """Note that so many bytes are on the disk."""
        os.pwrite(self._descriptor, _COMMITTED.pack(end, end ^ _ALL), _COMMITTED_AT)

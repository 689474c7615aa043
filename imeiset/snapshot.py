"""The snapshot file: a container of named sections. What the sections hold is their writer's business.

Invariant: a snapshot is published whole by rename and never changed. The same sections give the same
bytes. Every byte is covered by a checksum or required to be zero.

Numbers are unsigned and little-endian, checksums are 64-bit XXH3, text is printable ASCII padded with NUL.

    snapshot := header table padding (section padding)*
    header   := magic       8 bytes: 89 'IMEI' 0D 0A 1A
                byte order  4: 0x01020304
                version     4: 1
                length      8: of the whole file
                generation  8: the writer's
                count       8: members, below 2**63
                kind        8, text: what the sections are, for example 'set'
                sections    8: how many, at most 1,024
                checksum    8: of the table
                checksum    8: of the 64 bytes of the header before this
    table    := entry, once per section
    entry    := name        8, text: unlike the other names
                offset      8: from the start of the file; where the padding before the section ends
                length      8: in bytes, without padding
                checksum    8: of the section
    padding  := zeros up to the next multiple of 64

Opening reads the header and the table and checks all of this but the sections' checksums and the
padding, which `Snapshot.verify` does: it takes time in proportion to the number of sections, not to
the size. A version is never given a new meaning; later ones stay able to read this one.
"""

import mmap
import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar

import numpy as np
import xxhash

from imeiset import errors
from imeiset._files import publish
from imeiset._native.background import write_all

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MAGIC = b"\x89IMEI\r\n\x1a"  # as PNG's: shows 7-bit and end-of-line conversions
BYTE_ORDER = 0x01020304
VERSION = 1
MAX_SECTIONS = 1024
ALIGNMENT = 64  # a cache line

_HEADER = struct.Struct("<8sIIQQQ8sQQ")
_ENTRY = struct.Struct("<8sQQQ")
_CHECKSUM = struct.Struct("<Q")
_HEADER_SIZE = _HEADER.size + _CHECKSUM.size
_CHUNK = 1 << 22  # bytes hashed and written at a time, up to a multiple: a large page is written at once
_KEPT = 1 << 19  # rows that a walk reads before it lets go of their pages: some MB

_Piece = TypeVar("_Piece", bound=Sized)


class _FilePages(mmap.mmap):
    """A file's pages, read-only and shared. Only such can be let go: memory of our own would be zeroed."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """An open snapshot: what its header says, and its sections as read-only bytes.

    The bytes stay valid for as long as something refers to them; there is nothing to close.
    """

    path: str
    kind: str
    version: int
    generation: int
    count: int
    nbytes: int
    sections: dict[str, memoryview] = field(repr=False)
    _data: memoryview = field(repr=False)
    _checksums: dict[str, int] = field(repr=False)
    _stat: os.stat_result = field(repr=False)

    @property
    def digest(self) -> int:
        """The checksum of the header, and so of all other checksums: 64 bits that tell files apart."""
        return int.from_bytes(self._data[_HEADER.size : _HEADER_SIZE], "little")

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether it is still the file of that name, not one that was put in its place."""
        try:
            return os.path.samestat(self._stat, os.stat(path))  # noqa: PTH116 (half the time)
        except OSError:
            return False

    def verify(self) -> None:
        """Read every byte and compare the checksums; the rest was checked by opening.

        Raises SnapshotSectionChecksum, or SnapshotBounds if the padding is not zero.
        """
        end = _HEADER_SIZE + _ENTRY.size * len(self.sections)
        for name, section in self.sections.items():
            found = _checksum(section)
            if found != self._checksums[name]:
                expected = f"checksum {self._checksums[name]:016x} of section {name!r}"
                raise errors.SnapshotSectionChecksum(self.path, expected, f"{found:016x}")
            self._verify_padding(end)
            end = _aligned(end) + len(section)
        self._verify_padding(end)

    def _verify_padding(self, begin: int) -> None:
        padding = self._data[begin : _aligned(begin)]
        if any(padding):
            raise errors.SnapshotBounds(self.path, f"zeros from byte {begin}", bytes(padding).hex())


def write(
    path: str | os.PathLike[str],
    kind: str,
    sections: "Iterable[tuple[str, ReadableBuffer]]",
    *,
    count: int,
    generation: int = 0,
) -> None:
    """Publish a snapshot at `path`, in place of the one that is there.

    sections: names of 1 to 8 ASCII characters and contiguous buffers, which are not copied; numbers
    in them must be little-endian. Until the file is complete and synced, `path` is untouched.
    Raises ValueError for arguments the format cannot hold, and OSError, with the file's name, if it
    cannot be written.
    """
    parts = [(_packed(name), _raw(buffer)) for name, buffer in sections]
    if len(parts) > MAX_SECTIONS:
        raise ValueError(f"expected at most {MAX_SECTIONS} sections, got {len(parts)}")
    if len({name for name, _ in parts}) < len(parts):
        raise ValueError(f"expected different section names, got {[name.decode() for name, _ in parts]}")
    if not 0 <= count < 1 << 63 or not 0 <= generation < 1 << 64:
        raise ValueError(f"expected 64-bit counts, got count {count}, generation {generation}")
    packed_kind = _packed(kind)

    with publish(path, private=False) as file:
        offset = _HEADER_SIZE + _ENTRY.size * len(parts)
        file.write(bytes(_aligned(offset)))
        table = bytearray()
        for name, data in parts:
            offset = _aligned(offset)
            table += _ENTRY.pack(name, offset, len(data), _write_section(file, data))
            offset += len(data)
        header = _HEADER.pack(
            MAGIC,
            BYTE_ORDER,
            VERSION,
            _aligned(offset),
            generation,
            count,
            packed_kind,
            len(parts),
            xxhash.xxh3_64_intdigest(table),
        )
        file.seek(0)
        file.write(header + _CHECKSUM.pack(xxhash.xxh3_64_intdigest(header)) + table)


def open(
    path: str | os.PathLike[str], mode: Literal["mmap", "memory"] = "mmap", *, kind: str | None = None
) -> Snapshot:
    """The snapshot at `path`, its header and table checked (see `Snapshot.verify` for the rest).

    mode: 'mmap' shares the file's pages with every process that opens it, and needs the file to be
    left alone: one that is truncated under its readers kills them. 'memory' copies the file in.
    kind: what it must hold; None accepts anything.
    Raises a kind of SnapshotError that says what is wrong. Costs microseconds, whatever the size.
    """
    if mode not in ("mmap", "memory"):
        raise ValueError(f"expected mode 'mmap' or 'memory', got {mode!r}")
    file_path = Path(path)
    try:
        if not stat.S_ISREG(file_path.stat().st_mode):  # to open a FIFO would wait for its writer
            got = "a directory" if file_path.is_dir() else "a device or a pipe"
            raise errors.SnapshotMissing(path, "a regular file", got)
        with file_path.open("rb", buffering=0) as file:
            snapshot = _open(file, mode)
    except errors.SnapshotMissing:
        raise
    except OSError as error:
        raise errors.SnapshotMissing(path, "a readable file", error.strerror or str(error)) from error
    if kind is not None and snapshot.kind != kind:
        raise errors.SnapshotKind(path, f"a snapshot of kind {kind!r}", repr(snapshot.kind))
    return snapshot


def _open(file: FileIO, mode: str) -> Snapshot:
    path = str(file.name)
    status = os.fstat(file.fileno())
    size = status.st_size
    head = _read(file, _HEADER_SIZE)
    if not head:
        raise errors.SnapshotEmpty(path, "a snapshot", "an empty file")
    if head[: len(MAGIC)] != MAGIC[: len(head)]:
        raise errors.SnapshotMagic(path, f"a snapshot, which begins {MAGIC!r}", repr(head[: len(MAGIC)]))
    if len(head) < _HEADER_SIZE:
        raise errors.SnapshotTruncated(path, f"at least {_HEADER_SIZE} bytes", f"{size}")
    fields, checksum = head[: _HEADER.size], head[_HEADER.size :]
    _, byte_order, version, length, generation, count, packed_kind, entries, table_checksum = _HEADER.unpack(
        fields
    )
    # These two come before the checksum, whose place and meaning they decide.
    if byte_order == int.from_bytes(BYTE_ORDER.to_bytes(4, "little"), "big"):
        raise errors.SnapshotEndianness(path, "little-endian numbers", "big-endian ones")
    if byte_order == BYTE_ORDER and version > VERSION:
        raise errors.SnapshotVersion(path, f"format version {VERSION} or older", f"{version}: update imeiset")
    _expect_checksum(path, "the header", checksum, fields)
    if byte_order != BYTE_ORDER:
        raise errors.SnapshotEndianness(path, f"byte order mark {BYTE_ORDER:#010x}", f"{byte_order:#010x}")
    if version < 1:
        raise errors.SnapshotVersion(path, "format version 1 or later", f"{version}")
    if size < length:
        raise errors.SnapshotTruncated(path, f"{length} bytes", f"{size}")
    if size > length:
        raise errors.SnapshotBounds(path, f"{length} bytes", f"{size}")
    if count >= 1 << 63:
        raise errors.SnapshotBounds(path, f"a count below {1 << 63}", f"{count}")
    if entries > MAX_SECTIONS:
        raise errors.SnapshotBounds(path, f"at most {MAX_SECTIONS} sections", f"{entries}")
    table = _read(file, _ENTRY.size * entries)
    _expect_checksum(path, "the section table", _CHECKSUM.pack(table_checksum), table)
    if len(table) < _ENTRY.size * entries:
        raise errors.SnapshotBounds(path, f"{entries} sections", f"a file of {size} bytes")
    kind = _unpacked(path, packed_kind, "a kind")

    places: dict[str, slice] = {}
    checksums: dict[str, int] = {}
    end = _HEADER_SIZE + len(table)
    for packed_name, offset, section_length, section_checksum in _ENTRY.iter_unpack(table):
        name = _unpacked(path, packed_name, "a section name")
        if name in places:
            raise errors.SnapshotBounds(path, "different section names", f"{name!r} twice")
        if offset != _aligned(end):
            raise errors.SnapshotBounds(path, f"section {name!r} at {_aligned(end)}", f"{offset}")
        end = offset + section_length
        if end > length:
            raise errors.SnapshotBounds(path, f"section {name!r} to end by {length}", f"{end}")
        places[name], checksums[name] = slice(offset, end), section_checksum
    if _aligned(end) != length:
        raise errors.SnapshotBounds(path, f"sections that end by {length}", f"{_aligned(end)}")

    data = memoryview(_load(file, size) if mode == "memory" else _map(file, size)).toreadonly()
    sections = {name: data[place] for name, place in places.items()}
    return Snapshot(path, kind, version, generation, count, length, sections, data, checksums, status)


def _map(file: FileIO, size: int) -> mmap.mmap:
    """The file's pages, read and mapped as large ones where its file system has such."""
    data = _FilePages(file.fileno(), size, access=mmap.ACCESS_READ)
    _ask_for_large_pages(data)
    return data


def walked(pieces: Iterable[_Piece], buffers: "Iterable[ReadableBuffer]") -> Iterator[_Piece]:
    """The pieces that a walk over some buffers makes, in memory that stays small: whenever some MB were read,
    the pages of the buffers that are a file's go back to the system. Who reads them again, here or in another
    thread, gets them from the file again. Buffers in memory of our own stay as they are."""
    places = [place for buffer in buffers if (place := _place_in_file(buffer))]
    rows = 0
    for piece in pieces:
        yield piece
        rows += len(piece)
        if rows >= _KEPT:
            _let_go(places)
            rows = 0
    _let_go(places)


def _place_in_file(buffer: Any) -> tuple[_FilePages, int, int] | None:
    """The mapped file that a buffer is of, and the first and the number of its bytes, in whole pages."""
    owner: Any = buffer
    while isinstance(owner, memoryview | np.ndarray):
        owner = owner.obj if isinstance(owner, memoryview) else owner.base
    if not isinstance(owner, _FilePages) or not memoryview(buffer).nbytes:
        return None
    begin, start = (np.frombuffer(one, np.uint8).__array_interface__["data"][0] for one in (owner, buffer))
    first = (start - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    return owner, first, start - begin - first + memoryview(buffer).nbytes


def _let_go(places: Iterable[tuple[_FilePages, int, int]]) -> None:
    if hasattr(mmap, "MADV_DONTNEED"):
        for pages, first, size in places:
            with suppress(OSError):  # locked in memory, as whoever runs the process has it
                pages.madvise(mmap.MADV_DONTNEED, first, size)


def _load(file: FileIO, size: int) -> mmap.mmap:
    """The whole file in memory of our own, which is page-aligned and may have large pages."""
    data = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    _ask_for_large_pages(data)
    file.seek(0)
    with memoryview(data) as view:
        done = 0
        while done < size:
            got = file.readinto(view[done:])
            if not got:
                raise errors.SnapshotTruncated(str(file.name), f"{size} bytes", f"{done}")
            done += got
    return data


def _ask_for_large_pages(data: mmap.mmap) -> None:
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel built without them
            data.madvise(mmap.MADV_HUGEPAGE)


def _read(file: FileIO, size: int) -> bytes:
    """`size` bytes, or fewer at the end of the file."""
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _write_section(file: BinaryIO, data: memoryview) -> int:
    """Write and pad a section; its checksum."""
    file.flush()
    start, end = 0, _CHUNK - file.tell() % _CHUNK
    hasher = xxhash.xxh3_64()
    while start < len(data):
        chunk = data[start:end]
        hasher.update(chunk)
        write_all(file.fileno(), chunk)
        start, end = end, end + _CHUNK
    file.write(bytes(-len(data) % ALIGNMENT))
    return hasher.intdigest()


def _checksum(data: memoryview) -> int:
    """Of a section; other threads run meanwhile, for which pieces must be small."""
    hasher = xxhash.xxh3_64()
    for start in range(0, len(data), _CHUNK):
        hasher.update(data[start : start + _CHUNK])
    return hasher.intdigest()


def _raw(buffer: "ReadableBuffer") -> memoryview:
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise ValueError("expected contiguous sections, got one with strides")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _packed(text: str) -> bytes:
    if not (1 <= len(text) <= 8 and text.isascii() and text.isprintable()):
        raise ValueError(f"expected 1 to 8 printable ASCII characters, got {text!r}")
    return text.encode().ljust(8, b"\0")


def _unpacked(path: str, packed: bytes, what: str) -> str:
    text = packed.rstrip(b"\0").decode("latin-1")
    if not (text and text.isascii() and text.isprintable()):
        raise errors.SnapshotBounds(path, f"{what} of printable ASCII", repr(packed))
    return text


def _expect_checksum(path: str, what: str, expected: bytes, data: bytes) -> None:
    found = xxhash.xxh3_64_intdigest(data)
    if _CHECKSUM.pack(found) != expected:
        written = int.from_bytes(expected, "little")
        raise errors.SnapshotHeaderChecksum(path, f"checksum {written:016x} of {what}", f"{found:016x}")


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT

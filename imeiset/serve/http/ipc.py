"""Arrow IPC streams of texts, read without trust: every length and every offset is checked before it is used.
Libraries that read such streams fast crash over some that lie.

A stream is messages one after another: four bytes of 1, the length of the metadata, the metadata, which is
a flatbuffer, and a body of buffers. The names and numbers are those of the Arrow columnar format, version 1.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from imeiset import readers
from imeiset._native import parse as _parse
from imeiset.errors import ParseStatus, mask_text
from imeiset.serve.http.checks import Refused, expect_rows

KIND = "application/vnd.apache.arrow.stream"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # of messages
_VERSIONS = (3, 4)  # of metadata: V4 and V5
_MESSAGES = 1000
_FIELDS = 3  # that are looked at: one more than are taken
_NULL = 1  # of types
_WIDTHS = {4: 4, 5: 4, 19: 8, 20: 8}  # of the offsets of binary, string and their large types, in bytes
_VIEWS = (23, 24)  # binary and string
_INTEGERS = 2
_Bits = NDArray[np.bool_]
_CONTINUES = b"\xff\xff\xff\xff"


def _refuse(detail: str) -> NoReturn:
    raise Refused("malformed_body", detail)


def _unsound(what: str) -> NoReturn:
    _refuse(f"expected a sound Arrow IPC stream, got {what}")


# ---- flatbuffers ----


def _number(data: bytes, form: str, at: int) -> int:
    if not 0 <= at <= len(data) - struct.calcsize(form):
        _unsound("metadata that leads outside of itself")
    (found,) = struct.unpack_from(form, data, at)
    return int(found)


class _Table:
    """A table of a flatbuffer: fields by their numbers, each of which may be absent."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - _number(data, "<i", at)
        self._size = _number(data, "<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, _number(data, "<I", 0))

    def _place(self, field: int) -> int:
        if 6 + 2 * field > self._size:
            return 0
        offset = _number(self._data, "<H", self._fields + 4 + 2 * field)
        return self._at + offset if offset else 0

    def number(self, field: int, form: str, default: int = 0) -> int:
        place = self._place(field)
        return _number(self._data, form, place) if place else default

    def _pointed(self, field: int) -> int:
        place = self._place(field)
        return place + _number(self._data, "<I", place) if place else 0

    def table(self, field: int) -> "_Table | None":
        place = self._pointed(field)
        return _Table(self._data, place) if place else None

    def expected(self, field: int, what: str) -> "_Table":
        return self.table(field) or _unsound(f"a message without {what}")

    def vector(self, field: int, width: int) -> bytes:
        """The bytes of a vector whose items have this width."""
        place = self._pointed(field)
        if not place:
            return b""
        size = _number(self._data, "<I", place) * width
        if size > len(self._data) - place - 4:
            _unsound("metadata that leads outside of itself")
        return self._data[place + 4 : place + 4 + size]

    def tables(self, field: int) -> list["_Table"]:
        """The first tables of a vector of some."""
        place = self._pointed(field) + 4
        places = range(place, place + len(self.vector(field, 4)), 4)[:_FIELDS]
        return [_Table(self._data, at + _number(self._data, "<I", at)) for at in places]

    def text(self, field: int) -> str:
        return self.vector(field, 1).decode(errors="replace")

    def integers(self, field: int, each: int = 1) -> NDArray[np.int64]:
        """A vector of 64-bit numbers, or of structs of so many."""
        return np.frombuffer(self.vector(field, 8 * each), "<i8").reshape(-1, each)


# ---- messages ----


def _messages(stream: bytes) -> Iterator[tuple[int, _Table, bytes]]:
    """The kind of each message, its header and its body, until the end of the stream."""
    at = 0
    for _ in range(_MESSAGES):
        if at == len(stream):
            return
        if stream[at : at + 4] != _CONTINUES:
            _unsound("no message where one should begin")
        size = _number(stream, "<I", at + 4)
        at += 8
        if size == 0:
            if at != len(stream):
                _unsound("more after its end")
            return
        if size > len(stream) - at:
            _unsound("a message that is cut off")
        message = _Table.root(stream[at : at + size])
        at += size
        if message.number(0, "<h") not in _VERSIONS:
            _refuse("expected metadata of version 4 or 5, got another")
        length = message.number(3, "<q")
        if not 0 <= length <= len(stream) - at:
            _unsound("a message that is cut off")
        yield message.number(1, "<B"), message.expected(2, "a header"), stream[at : at + length]
        at += length
    _refuse(f"expected at most {_MESSAGES:,} messages, got more: make larger batches")


class _Field(NamedTuple):
    """A column. number: of its dictionary, None where it has none; places: their type."""

    name: str
    kind: int
    number: int | None
    places: np.dtype[Any]


def _fields(schema: _Table) -> list[_Field]:
    if schema.number(0, "<h"):
        _refuse("expected little-endian buffers, got big-endian ones")
    found = [_field(one) for one in schema.tables(1)]
    names = sorted(one.name for one in found)
    if names not in (["imei"], ["imei", "imsi"]):
        got = ", ".join(mask_text(name) for name in names[:3]) or "none"
        _refuse(f"expected the column imei, and maybe imsi, got {got}")
    return found


def _field(field: _Table) -> _Field:
    name, kind, coded = field.text(0), field.number(2, "<B"), field.table(4)
    if kind not in (_NULL, *_WIDTHS, *_VIEWS):
        got = "integers: they may have lost zeros" if kind == _INTEGERS else "another type"
        _refuse(f"{mask_text(name)}: expected a column of texts, got {got}")
    if coded is None:
        return _Field(name, kind, None, np.dtype(np.int32))
    of = coded.table(1)
    bits, is_signed = (32, 1) if of is None else (of.number(0, "<i"), of.number(1, "<B"))
    if bits not in (8, 16, 32, 64) or kind == _NULL:
        _unsound("a dictionary that is not one")
    return _Field(name, kind, coded.number(0, "<q"), np.dtype(f"<{'i' if is_signed else 'u'}{bits // 8}"))


# ---- columns ----


class Part(NamedTuple):
    """Some rows of a column.

    Attributes
    ----------
    keys, status
        As `imeiset.parse` has them.
    value : callable
        The text in a row, None for a null.
    """

    keys: NDArray[np.uint64]
    status: NDArray[np.uint8]
    value: Callable[[int], bytes | None]

    @classmethod
    def of(
        cls, rows: int, there: _Bits, parse: Callable[..., object], value: Callable[[int], bytes | None]
    ) -> "Part":
        """Rows of which some are null. parse: reads the others into keys and statuses."""
        keys, status = readers.buffers(rows)
        try:
            parse(keys, status)
        except ValueError:  # a place outside
            _unsound("texts outside of their buffers")
        _parse.apply_policy("ignore", keys, status)  # whatever the check digit is
        keys[~there], status[~there] = _parse.NO_KEY, ParseStatus.MISSING
        return cls(keys, status, lambda row: value(row) if there[row] else None)


class _Batch:
    """The buffers of one batch, taken one after another."""

    def __init__(self, batch: _Table, body: bytes) -> None:
        if batch.table(3) is not None:
            _refuse("expected buffers that are not compressed, got compressed ones")
        self.length = batch.number(0, "<q")
        if self.length < 0:
            _unsound("a negative number of rows")
        self._nodes = iter(batch.integers(1, 2).tolist())
        self._places = iter(batch.integers(2, 2).tolist())
        self._variadic = iter(batch.integers(4)[:, 0].tolist())
        self._body = body
        self._left = len(body)

    def part(self, field: _Field, known: Mapping[int, Part]) -> Part:
        """The rows of the next column."""
        if field.number is None:
            return self.texts(field.kind)
        if field.number not in known:
            _unsound("a column before its dictionary")
        self._expect_node()
        there, entries = self._there(), known[field.number]
        size = self.length * field.places.itemsize
        places = np.frombuffer(self._buffer(size)[:size], field.places)
        used = places[there]  # that of a null may be anything
        if used.size and (int(used.min()) < 0 or int(used.max()) >= len(entries.keys)):
            _unsound("an index outside of its dictionary")
        at = np.where(there, places, field.places.type(0))

        def parse(keys: NDArray[np.uint64], status: NDArray[np.uint8]) -> None:
            if len(entries.keys):
                keys[:], status[:] = entries.keys[at], entries.status[at]

        return Part.of(self.length, there, parse, lambda row: entries.value(int(at[row])))

    def texts(self, kind: int) -> Part:
        """The next texts."""
        self._expect_node()
        if kind == _NULL:
            nothing = np.zeros(self.length, np.bool_)
            return Part.of(self.length, nothing, lambda keys, status: None, lambda row: None)
        return self._views() if kind in _VIEWS else self._spans(_WIDTHS[kind])

    def _spans(self, width: int) -> Part:
        there = self._there()
        size = (self.length + 1) * width
        offsets = self._buffer(size if self.length else 0)[:size].ljust(size, b"\0")  # no rows: maybe none
        ends, data = np.frombuffer(offsets, f"<i{width}"), self._buffer()
        return Part.of(
            self.length,
            there,
            lambda keys, status: _parse.spans(data, ends[:-1], ends[1:], keys, status),
            lambda row: data[ends[row] : ends[row + 1]],
        )

    def _views(self) -> Part:
        there = self._there()
        views = np.frombuffer(self._buffer(self.length * 16), np.uint8)[: self.length * 16].reshape(-1, 16)
        views = np.where(there[:, None], views, np.uint8(0))  # that of a null may be anything
        data: list[bytes] = []
        for _ in range(next(self._variadic, 0)):
            data.append(self._buffer())
        buffers = _parse.Buffers(data)

        def value(row: int) -> bytes:
            length, _, buffer, start = views[row].view("<i4").tolist()
            return views[row, 4:].tobytes()[:length] if length <= 12 else data[buffer][start : start + length]

        return Part.of(
            self.length,
            there,
            lambda keys, status: _parse.views(views.reshape(-1), buffers, keys, status),
            value,
        )

    def expect_end(self) -> None:
        """Refuse buffers that no column has."""
        if any(True for left in (self._nodes, self._places, self._variadic) for _ in left):
            _unsound("more buffers than its columns have")

    def _expect_node(self) -> None:
        length, _ = next(self._nodes, (-1, 0))
        if length != self.length:
            _unsound("columns of several lengths")

    def _buffer(self, least: int = 0) -> bytes:
        """The next buffer, which has so many bytes or more."""
        offset, size = next(self._places, (-1, 0))
        if not (0 <= offset <= len(self._body) and least <= size <= len(self._body) - offset):
            _unsound("a buffer that is too short, or outside of its message")
        self._left -= size
        if self._left < 0:  # each is a copy: a small message would take all memory
            _unsound("buffers that overlap")
        return self._body[offset : offset + size]

    def _there(self) -> _Bits:
        """The next buffer, of a bit for each row; or an empty one: all rows are there."""
        bits = self._buffer()
        if not bits:
            return np.ones(self.length, np.bool_)
        if len(bits) < -(-self.length // 8):
            _unsound("a buffer that is too short")
        return np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: self.length] > 0


def read(stream: bytes, limit: int) -> dict[str, list[Part]]:
    """The columns of a stream, imei and maybe imsi, in parts.

    Raises Refused for a stream of others, for more rows than the limit, and for one that is not sound.
    """
    fields: list[_Field] = []
    found: dict[str, list[Part]] = {}
    known: dict[int, Part] = {}
    rows = 0
    for kind, header, body in _messages(stream):
        if (kind == _SCHEMA) == bool(fields):
            _unsound("no schema, or two")
        if kind == _SCHEMA:
            fields = _fields(header)
            found = {field.name: [] for field in fields}
        elif kind == _DICTIONARY:
            number, batch = header.number(0, "<q"), _Batch(header.expected(1, "a batch"), body)
            kinds = {field.kind for field in fields if field.number == number}
            if header.number(2, "<B") or len(kinds) != 1:
                _unsound("a part of a dictionary, or one of no column")
            if batch.length > len(body):  # before memory is taken for that many
                _unsound("a dictionary of more texts than bytes")
            known[number] = batch.texts(kinds.pop())
            batch.expect_end()
        elif kind == _BATCH:
            batch = _Batch(header, body)
            rows += batch.length
            expect_rows(rows, limit)
            for field in fields:
                found[field.name].append(batch.part(field, known))
            batch.expect_end()
        else:
            _unsound("a message of another kind")
    if not fields:
        _unsound("no schema")
    return found

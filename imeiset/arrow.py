"""Arrow columns, read where they lie, through the PyCapsule protocol.

nanoarrow checks the structures and says how long each buffer is; what the buffers hold is checked here
and in the kernels: no offset, view or index leads outside them.
"""

import ctypes
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset._native import parse as _parse
from imeiset.errors import OF_FLOATS, ExtraMissing, ParseStatus, mask_text

_Keys = NDArray[np.uint64]
_Statuses = NDArray[np.uint8]
_How = tuple[int, bool]  # digits and exact, as of `columns.source`

_EXTENSION = b"ARROW:extension:name"
INTEGERS = ("int64", "uint64")
_FLOATS = ("half_float", "float", "double")
ACCEPTED = (
    "an Arrow column of string, binary, their large and view forms, a dictionary of those, int64 or uint64"
)


def speaks(column: object) -> bool:
    """Whether a column comes by the PyCapsule protocol. One that NumPy holds is better left to NumPy."""
    given = hasattr(column, "__arrow_c_stream__") or hasattr(column, "__arrow_c_array__")
    return given and not isinstance(getattr(column, "dtype", None), np.dtype)


def to_arrow(values: Any, /, *, valid: NDArray[np.bool_] | None = None) -> Any:
    """A NumPy array of results as one of Arrow, for pyarrow, polars, pandas, DuckDB and others to read.

    Parameters
    ----------
    values
        Numbers, truth values or texts (S): what `parse`, `tacs`, `are_valid`, `ImeiSet.contains`,
        `ImeiSet.positions` and `Register.check_many` return, its columns of texts too. Empty texts are null.
    valid
        Which rows are not null; None for all of them.

    Returns
    -------
    nanoarrow.Array
        Of the same type, large_string for texts. Nothing is copied but truth values, which Arrow packs
        eight to a byte, and texts that do not fill their items.

    Raises
    ------
    TypeError, ValueError
        For an array of another type or of two dimensions, or of another length than `valid`.
    ModuleNotFoundError
        Without nanoarrow.

    Examples
    --------
    >>> import imeiset
    >>> column = ["490154203237518", None, "352099001761481"]
    >>> blocked = imeiset.ImeiSet(["490154203237518"])
    >>> keys, status = imeiset.parse(column)
    >>> answers = blocked.contains(keys, malformed=False)
    >>> imeiset.to_arrow(answers, valid=status == imeiset.ParseStatus.OK).to_pylist()
    [True, None, False]
    """
    na = _nanoarrow()
    if hasattr(values, "__arrow_c_array__") and valid is None:
        return na.Array(values)
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    if values.ndim != 1:
        raise ValueError(f"expected an array of one dimension, got {values.ndim}")
    if valid is not None and valid.shape != values.shape:
        raise ValueError(f"valid: expected {len(values)} rows, got {valid.shape}")
    kind = values.dtype.kind
    buffers: list[NDArray[Any]]
    if kind == "b":
        of_type, buffers = na.bool_(), [_packed(values)]
    elif kind in "iuf" and hasattr(na, values.dtype.name):
        of_type, buffers = getattr(na, values.dtype.name)(), [values]
    elif values.dtype == "datetime64[D]":
        valid = ~np.isnat(values) if valid is None else valid & ~np.isnat(values)
        of_type, buffers = na.date32(), [values.view(np.int64).astype(np.int32)]
    elif kind == "S":
        width, ends = values.itemsize, np.arange(len(values) + 1, dtype=np.int64) * values.itemsize
        texts = values.view(np.uint8).reshape(-1, width)
        short = np.flatnonzero(texts[:, -1] == 0)
        if short.size:
            lengths = np.full(len(values), width)
            lengths[short] = np.char.str_len(values[short])
            valid = lengths > 0 if valid is None else valid & (lengths > 0)
            lengths[~valid] = width  # whatever stands there: not a copy for nulls alone
            if (lengths != width).any():
                texts = texts[np.arange(width) < lengths[:, None]]
                ends[1:] = np.cumsum(lengths)
        of_type, buffers = na.large_string(), [ends, texts.reshape(-1)]
    else:
        raise TypeError(f"expected an array of numbers, truth values, dates or S texts, got {values.dtype}")
    nulls = 0 if valid is None else len(valid) - int(np.count_nonzero(valid))
    mask = _packed(valid) if valid is not None and nulls else None
    return na.Array(na.c_array_from_buffers(of_type, len(values), [mask, *buffers], null_count=nulls))


Texts = tuple[NDArray[np.int32], NDArray[np.uint8]]
"""Where texts end, after a 0; and all of them in UTF-8."""


def text_buffers(texts: Iterable[str]) -> Texts:
    """Texts as Arrow has them."""
    encoded = [text.encode() for text in texts]
    ends = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(text) for text in encoded], out=ends[1:])
    return ends, np.frombuffer(b"".join(encoded), np.uint8)


def texts(ends: NDArray[np.int32], data: NDArray[np.uint8], *, nulls: bool = True) -> Any:
    """A column of utf8; nulls: empty texts are null."""
    na, valid = _nanoarrow(), np.diff(ends) > 0
    none = len(valid) - int(np.count_nonzero(valid)) if nulls else 0
    buffers = [_packed(valid) if none else None, ends, data]
    return na.c_array_from_buffers(na.string(), len(valid), buffers, null_count=none)


def record_batch(columns: dict[str, Any], rows: int) -> Any:
    """Columns of so many rows together, which a record batch is."""
    na = _nanoarrow()
    schema = na.struct({name: column.schema for name, column in columns.items()})
    children = [na.c_array(column) for column in columns.values()]
    return na.Array(na.c_array_from_buffers(schema, rows, [None], null_count=0, children=children))


def dictionary(words: Texts, codes: NDArray[np.int32]) -> Any:
    """Texts by their numbers, -1 for null, as a nanoarrow.Array of dictionary<int32, utf8>.

    nanoarrow makes such arrays with an empty dictionary; another is moved into its place, as the C data
    interface describes it.
    """
    na = _nanoarrow()
    from nanoarrow.c_array import CArrayBuilder

    valid = codes >= 0
    nulls = len(codes) - int(np.count_nonzero(valid))
    builder = CArrayBuilder.allocate()
    builder.init_from_schema(na.c_schema(na.dictionary(na.int32(), na.string())))
    if nulls:
        builder.set_buffer(0, na.c_buffer(_packed(valid)))
    builder.set_buffer(1, na.c_buffer(np.ascontiguousarray(codes, np.int32)))
    builder.set_length(len(codes))
    builder.set_null_count(nulls)
    array = builder.finish()
    values = texts(*words, nulls=False)
    empty, full = (_ArrowArray.from_address(one._addr()) for one in (array.dictionary, values))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(empty.release)(ctypes.addressof(empty))
    ctypes.memmove(ctypes.addressof(empty), ctypes.addressof(full), ctypes.sizeof(_ArrowArray))
    full.release = None
    return na.Array(array)


class _ArrowArray(ctypes.Structure):
    """As the C data interface has it."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        *(
            (name, ctypes.c_void_p)
            for name in ("buffers", "children", "dictionary", "release", "private_data")
        ),
    ]


def _packed(flags: NDArray[np.bool_]) -> _Statuses:
    return np.packbits(flags, bitorder="little")


def _nanoarrow() -> Any:
    try:
        import nanoarrow
    except ModuleNotFoundError as error:
        if error.name != "nanoarrow":
            raise
        raise ExtraMissing("Arrow columns need nanoarrow", "arrow", error.name) from None
    return nanoarrow


@cache
def warn_of_slowness() -> None:
    """Say once that Arrow columns are converted for want of a library."""
    warnings.warn(
        "nanoarrow is not installed: Arrow columns are converted through NumPy, 6 to 10 times slower; "
        "pip install nanoarrow",
        RuntimeWarning,
        stacklevel=4,
    )


class ArrowColumn:
    """The chunks of an Arrow column, or rows `start` to `stop` of them. A stream is read to its end."""

    def __init__(self, chunks: "list[_Chunk]", start: int, stop: int) -> None:
        self._chunks, self.start, self.stop = chunks, start, stop

    @classmethod
    def of(cls, column: Any) -> "ArrowColumn":
        """The column that an object gives; ExtraMissing without nanoarrow, TypeError for another type."""
        na = _nanoarrow()
        if type(column).__module__.startswith("pyarrow."):
            # It knows the sizes of its buffers, which the protocol does not pass on.
            column = column.read_all() if hasattr(column, "read_all") else column
            if hasattr(column, "validate"):
                column.validate()
        try:
            arrays = _arrays(na, column)
            dictionaries: _Dictionaries = {}
            chunks = [_chunk(array, dictionaries) for array in arrays]
        except RuntimeError as error:  # nanoarrow's
            raise ValueError(f"expected a sound Arrow column, got {error}") from None
        return cls(chunks, 0, sum(chunk.length for chunk in chunks))

    def __len__(self) -> int:
        return self.stop - self.start

    def split(self, parts: int) -> "list[ArrowColumn]":
        """Columns of about as many rows, one after another."""
        edges = [self.start + len(self) * part // parts for part in range(parts + 1)]
        return [ArrowColumn(self._chunks, start, stop) for start, stop in pairwise(edges)]

    def read(self, digits: int, start: int, keys: _Keys, status: _Statuses, exact: bool = False) -> int:
        """Parse rows from `start` on into both; returns how many. exact: see `columns.source`."""
        wanted = min(len(keys), len(self) - start)
        start += self.start
        done = 0
        for chunk in self._chunks:
            if done == wanted:
                break
            if start < chunk.length:
                rows = slice(start, min(start + wanted - done, chunk.length))
                into = slice(done, done + rows.stop - rows.start)
                chunk.read(rows, (digits, exact), keys[into], status[into])
                done, start = into.stop, chunk.length
            start -= chunk.length
        return done

    def __getitem__(self, row: int) -> object:
        """What stands in that row, None for a null."""
        row += self.start
        for chunk in self._chunks:
            if row < chunk.length:
                return chunk.value(row)
            row -= chunk.length
        raise IndexError(f"row: expected one of {len(self)}")


def _arrays(na: Any, column: Any) -> list[Any]:
    """The arrays of a column. A library that cannot make them of what it holds (texts and integers in one
    column, say) may show a value, and a number hidden in its place says as much."""
    try:
        if hasattr(column, "__arrow_c_array__"):
            return [na.c_array(column)]
        with na.c_array_stream(column) as stream:
            return list(stream)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"expected {ACCEPTED}, got one that cannot be read: {mask_text(str(error))}") from None


def _chunk(array: Any, dictionaries: "_Dictionaries", start: int = 0, stop: int | None = None) -> "_Chunk":
    """The reader of one array, or of rows of it; of the only field, if it is a struct, as tables come."""
    # `array.length` of a negative one is a SystemError on Python 3.11, and ends the process on 3.13.
    length = ctypes.c_int64.from_address(array._addr()).value  # the first field of an ArrowArray
    if length < 0:
        raise ValueError(f"expected a sound Arrow column, got one of {length} rows")
    stop = length if stop is None else stop
    if array.schema.format == "n":  # before nanoarrow counts its buffers: polars has one too many
        return _NullChunk(array, None, start, stop)
    view = array.view()
    given = array, view, start, stop
    if view.storage_type == "struct" and view.n_children == 1:
        rows = _Chunk(*given)
        valid = rows.valid(slice(0, rows.length))
        if valid is None or valid.all():
            return _chunk(array.child(0), dictionaries, rows.at.start, rows.at.stop)
    if view.dictionary is not None:
        return _DictionaryChunk(*given, dictionaries)
    # Dates, times, durations and what others store as int64 (periods of pandas) are not keys.
    held = "dates or times" if array.schema.format.startswith("t") else view.storage_type
    if held in INTEGERS and _EXTENSION in (metadata := array.schema.metadata or {}):
        held = mask_text(bytes(metadata[_EXTENSION]).decode(errors="replace"))
    for kind, storages in _KINDS.items():
        if held in storages:
            return kind(*given)
    raise TypeError(f"expected {ACCEPTED}, got one of {held}{OF_FLOATS * (held in _FLOATS)}")


class _Chunk:
    """Rows of one array. They are numbered from 0, wherever in the buffers they are."""

    def __init__(self, array: Any, view: Any, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= array.length:
            raise ValueError(f"rows: expected some of {array.length}, got {start} to {stop}")
        self.length: int = stop - start
        self.at = slice(array.offset + start, array.offset + stop)  # in the buffers
        self._array, self._view, self._addresses = array, view, array.buffers  # the array keeps them
        bits = self._buffer(0, np.uint8) if view and view.n_buffers and array.null_count else None
        self._valid = bits if bits is not None and len(bits) else None

    def _buffer(self, i: int, dtype: Any) -> NDArray[Any]:
        buffer = self._view.buffer(i)
        if not buffer.size_bytes:
            return np.empty(0, dtype)
        if not self._addresses[i]:
            raise ValueError(f"buffer {i}: expected {buffer.size_bytes} bytes, got a null pointer")
        return np.frombuffer(buffer, dtype)

    def valid(self, rows: slice) -> NDArray[np.bool_] | None:
        """Which rows hold a value; None if all do."""
        if self._valid is None:
            return None
        start = self.at.start + rows.start
        first = start // 8
        bits = self._valid[first : (start + rows.stop - rows.start + 7) // 8]
        flags = np.unpackbits(bits, bitorder="little")[start - 8 * first :][: rows.stop - rows.start]
        return flags.view(np.bool_)

    def read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        """Parse rows into both, which have room for exactly these."""
        self._read(rows, how, keys, status)
        if (valid := self.valid(rows)) is not None:
            keys[~valid] = _parse.NO_KEY
            status[~valid] = ParseStatus.MISSING

    def value(self, row: int) -> object:
        """What stands in that row, None for a null."""
        valid = self.valid(slice(row, row + 1))
        return self._value(row) if valid is None or valid[0] else None

    def _read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        raise NotImplementedError

    def _value(self, row: int) -> object:
        raise NotImplementedError


class _StringChunk(_Chunk):
    def __init__(self, array: Any, view: Any, start: int, stop: int) -> None:
        super().__init__(array, view, start, stop)
        width = np.int64 if view.storage_type.startswith("large") else np.int32
        offsets = self._buffer(1, width)[self.at.start : self.at.stop + 1]
        self._starts, self._ends = offsets[:-1], offsets[1:]
        self._data = self._buffer(2, np.uint8)

    def _read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        _parse.spans(self._data, self._starts[rows], self._ends[rows], keys, status, how[1])

    def _value(self, row: int) -> object:
        return bytes(self._data[self._starts[row] : self._ends[row]])


class _ViewChunk(_Chunk):
    def __init__(self, array: Any, view: Any, start: int, stop: int) -> None:
        super().__init__(array, view, start, stop)
        self._views = self._buffer(1, np.uint8).reshape(-1, 16)[self.at]
        self._data = [self._buffer(i, np.uint8) for i in range(2, view.n_buffers - 1)]
        self._buffers = _parse.Buffers(self._data)

    def _read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        views = self._views[rows]
        if (valid := self.valid(rows)) is not None:  # the view of a null may hold anything
            views = views.copy()
            views[~valid] = 0
        _parse.views(views.reshape(-1), self._buffers, keys, status, how[1])

    def _value(self, row: int) -> object:
        view = self._views[row].tobytes()
        length, _, buffer, start = np.frombuffer(view, np.int32).tolist()
        return view[4 : 4 + length] if length <= 12 else bytes(self._data[buffer][start : start + length])


class _IntegerChunk(_Chunk):
    def __init__(self, array: Any, view: Any, start: int, stop: int) -> None:
        super().__init__(array, view, start, stop)
        self._values = self._buffer(1, view.storage_type)[self.at]

    def _read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        _parse.integers(self._values[rows], how[0], 0, keys, status, how[1])

    def _value(self, row: int) -> object:
        return int(self._values[row])


class _NullChunk(_Chunk):
    def _read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        keys[:] = _parse.NO_KEY
        status[:] = ParseStatus.MISSING

    def _value(self, row: int) -> object:
        return None


class _DictionaryChunk(_Chunk):
    """Indices into a dictionary whose entries are parsed once."""

    def __init__(self, array: Any, view: Any, start: int, stop: int, dictionaries: "_Dictionaries") -> None:
        super().__init__(array, view, start, stop)
        self._indices = self._buffer(1, view.storage_type)[self.at]
        entries = array.dictionary
        if entries.dictionary is not None or entries.n_children:  # its buffers do not say what it holds
            raise TypeError(f"expected {ACCEPTED}, got a dictionary of {view.dictionary.storage_type}")
        place = entries.schema.format, entries.offset, entries.length, *entries.buffers
        # Chunks often have one dictionary in common: it is parsed for the first.
        self._entries, self._parsed = dictionaries.setdefault(place, (_chunk(entries, dictionaries), {}))

    def _parse_entries(self, how: _How) -> tuple[_Keys, _Statuses]:
        """Keys and statuses of the entries, and then those of a null."""
        if how not in self._parsed:  # two threads may both do it, and get the same
            n = self._entries.length
            keys = np.full(n + 1, _parse.NO_KEY, np.uint64)
            status = np.full(n + 1, ParseStatus.MISSING, np.uint8)
            self._entries.read(slice(0, n), how, keys[:n], status[:n])
            self._parsed[how] = keys, status
        return self._parsed[how]

    def _read(self, rows: slice, how: _How, keys: _Keys, status: _Statuses) -> None:
        of_entries, status_of_entries = self._parse_entries(how)
        entries = self._entries.length
        at = self._indices[rows].astype(np.int64)
        outside = (at < 0) | (at >= entries)
        if (valid := self.valid(rows)) is not None:  # the index of a null may be anything
            outside &= valid
            at[~valid] = entries
        if outside.any():
            raise ValueError(f"index: expected one of {entries} entries, got {at[outside][0]}")
        keys[:], status[:] = of_entries[at], status_of_entries[at]

    def _value(self, row: int) -> object:
        return self._entries.value(int(self._indices[row]))


# Dictionaries by the place of their buffers, with what was parsed of them.
_Dictionaries = dict[tuple[Any, ...], tuple[_Chunk, dict[_How, tuple[_Keys, _Statuses]]]]

_KINDS: dict[Callable[[Any, Any, int, int], _Chunk], tuple[str, ...]] = {
    _StringChunk: ("string", "large_string", "binary", "large_binary"),
    _ViewChunk: ("string_view", "binary_view"),
    _IntegerChunk: INTEGERS,
}

"""Parquet and Arrow files, read a batch of rows at a time. Columns of text are text: nothing is a number.

A row's line is its number in the file, from 1. A batch is written as delimited text and read as such, so that
it means what the same list means as text.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import FeedColumn, FeedEncoding, FeedMissing, FeedTruncated, mask_text
from ..errors.extras import extra
from .blocks import Block
from .dialect import Dialect, of_table
from .formats import NUMBERS, plain
from .reader import Blocks, Reader
from .sources import is_remote
from .titles import expect_full

_PARQUET, _ARROW = b"PAR1", b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_ROWS = 1 << 16
_FIRST = 100  # rows that are looked at
_TEXTS = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
_NUMERIC = ("int", "float", "double", "decimal")


def blocks(reader: Reader, path: str, delta: bool) -> Blocks | None:
    """The parts of a local Parquet or Arrow file; None of anything else."""
    head = _head(path)
    return None if head is None else _blocks(reader, path, head, delta)


def first_rows(path: str, count: int) -> tuple[tuple[str, ...], list[list[str]]] | None:
    """The titles of a local Parquet or Arrow file, and some rows as texts; None of anything else."""
    if (head := _head(path)) is None:
        return None
    with _opened(path, head) as table:
        schema, first = table.schema, table.first
        columns = [] if first is None else list(map(shown, first.slice(0, count).columns))
        return tuple(schema.names), [list(row) for row in zip(*columns, strict=True)]


def parquet_batches(path: str, file: Any, size: int, columns: list[str] | None = None) -> Iterator[Any]:
    """The batches of a Parquet file. Raises FeedTruncated if it has not as many rows as it says: pyarrow
    takes some damage for the end."""
    rows, said = 0, file.metadata.num_rows
    for batch in file.iter_batches(size, columns=columns):
        rows += batch.num_rows
        yield batch
    if rows != said:
        raise FeedTruncated(path, f"a whole Parquet file, of {said:,} rows", f"{rows:,}")


def is_table(path: str) -> bool:
    """Whether this is a local Parquet or Arrow file."""
    return _head(path) is not None


def is_parquet(path: str) -> bool:
    """Whether this is a local Parquet file."""
    return (_head(path) or b"").startswith(_PARQUET)


def _head(path: str) -> bytes | None:
    """The first bytes of a local Parquet or Arrow file; None of anything else."""
    if path == "-" or is_remote(path) or not Path(path).is_file():
        return None  # to look into a pipe would take from it
    try:
        with Path(path).open("rb") as file:
            head = file.read(8)
    except OSError:
        return None  # opened again, it is an error
    stream = head.startswith(_STREAM) and path.endswith((".arrows", ".ipc"))
    return head if stream or head.startswith((_PARQUET, _ARROW)) else None


class _Table(NamedTuple):
    """An open file. first: its first rows, or None. batches: those of some columns. samples: some rows of
    later parts."""

    schema: Any
    first: Any
    batches: Callable[[list[int]], Iterator[Any]]
    samples: Callable[[], Iterator[Any]]


@contextmanager
def _opened(path: str, head: bytes) -> Iterator[_Table]:
    """A file."""
    pa, pq = (
        extra(module, f"{path}: Parquet and Arrow files need pyarrow", "parquet")
        for module in ("pyarrow", "pyarrow.parquet")
    )
    try:
        if head.startswith(_PARQUET):
            with pq.ParquetFile(path, page_checksum_verification=True) as parquet:
                schema = parquet.schema_arrow

                def of_parquet(places: list[int]) -> Iterator[Any]:
                    names = [schema.names[place] for place in places]
                    if any(schema.names.count(name) > 1 for name in names):
                        every = parquet_batches(path, parquet, _ROWS)
                        return (_sound(whole).select(places) for whole in every)
                    some = parquet_batches(path, parquet, _ROWS, names)
                    return (_sound(batch.select(names)) for batch in some)

                def some_rows(**of: Any) -> Any:
                    return next(map(_sound, parquet.iter_batches(_FIRST, **of)), None)

                groups = _doubling(parquet.num_row_groups)
                yield _Table(
                    schema,
                    some_rows(),
                    of_parquet,
                    lambda: (some for group in groups if (some := some_rows(row_groups=[group]))),
                )
        else:
            with pa.memory_map(path) as file:
                later: list[int] = []
                if head.startswith(_ARROW):
                    opened = pa.ipc.open_file(file)
                    given = (opened.get_batch(i) for i in range(opened.num_record_batches))
                    later = _doubling(opened.num_record_batches)
                else:
                    opened = pa.ipc.open_stream(file)
                    given = iter(opened)
                first = next(given, None)
                whole = given if first is None else chain([first], given)
                yield _Table(
                    opened.schema,
                    None if first is None else _sound(first).slice(0, _FIRST),
                    lambda places: (_sound(batch.select(places)) for batch in whole),
                    lambda: (_sound(opened.get_batch(i)) for i in later),
                )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # a title may be no UTF-8
        if isinstance(error, OSError) and error.errno:
            raise FeedMissing(path, "a readable file", os.strerror(error.errno)) from error
        raise FeedEncoding(path, "a whole Parquet or Arrow file", mask_text(str(error))) from error


def _blocks(reader: Reader, path: str, head: bytes, delta: bool) -> Blocks:
    with _opened(path, head) as table:
        places, layout = _choose(reader, path, table, delta)
        yield from _batches(reader, path, table.batches(places), layout)
        for some in table.samples():
            if reader.watch:
                reader.watch.glance(_glance(some))


def _doubling(parts: int) -> list[int]:
    """Some parts of a file after the first: 1, 2, 4, ..., and the last."""
    return sorted({1 << i for i in range(parts.bit_length()) if 1 << i < parts} | {*range(1, parts)[-1:]})


def _glance(batch: Any) -> bytes:
    """The first rows of a batch as text; what cannot be text is long."""
    import pyarrow as pa

    some = batch.slice(0, _FIRST)
    cells = [one if _is_flat(one.type) else pa.array(["?" * 99] * len(one)) for one in some.columns]
    return _text(pa.record_batch(cells, some.schema.names))


def _is_flat(kind: Any) -> bool:
    """Whether a type can be written as text."""
    import pyarrow as pa

    return not (pa.types.is_nested(kind) or pa.types.is_duration(kind) or "interval" in str(kind))


def _sound(batch: Any) -> Any:
    """The batch, if no offset or index in it leads outside: a file may hold any. ArrowInvalid if one does."""
    batch.validate(full=True)
    return batch


def _choose(reader: Reader, path: str, table: _Table, delta: bool) -> tuple[list[int], Dialect]:
    """The columns to read, and their layout: the IMEIs, the status if it decides, what else is wanted, and
    what is watched."""
    schema, titles = table.schema, tuple(table.schema.names)
    if not delta:
        expect_full(path, titles, reader.options)
    dialect = of_table(path, titles, reader.options)
    if (form := dialect.format).identity != "imei":
        raise FeedColumn(path, "a column of IMEIs", f"a {form.name} list, which is read from text only")
    for place in dialect.columns:
        _expect_text(path, schema, place)
    dialect = reader.look(path, dialect, delta, b"" if table.first is None else _glance(table.first))
    dialect = replace(dialect, watched=tuple(at for at in dialect.watched if _is_flat(schema.types[at])))
    used = {name for name in dialect.places if name in reader.wanted}
    if dialect.counting is not None and "listed" in dialect.places:
        used.add("listed")
    others = {dialect.places[name] for name in used} | set(dialect.watched)
    places = [*dialect.columns, *sorted(others - set(dialect.columns))]
    for place in places:
        if place in dialect.columns or plain(titles[place]) in NUMBERS:
            _expect_text(path, schema, place)
    layout = replace(
        dialect,
        columns=tuple(range(len(dialect.columns))),
        fewest=len(places),
        most=len(places),
        titles=tuple(titles[place] for place in places),
        places={name: places.index(dialect.places[name]) for name in used},
        watched=tuple(map(places.index, dialect.watched)),
    )
    if reader.watch:
        reader.watch.move(places, layout)
    reader.open_rejects(layout, b",".join(map(str.encode, layout.titles)))
    return places, layout


def _expect_text(path: str, schema: Any, place: int) -> None:
    """Raise FeedColumn for a column that is not text."""
    kind = schema.types[place]
    if not is_text(kind):
        why = ": leading zeros may be lost" if any(word in str(kind) for word in _NUMERIC) else ""
        raise FeedColumn(path, f"column '{mask_text(schema.names[place])}' to be text", f"{kind}{why}")


def is_text(kind: Any) -> bool:
    """Whether a type is text, or a dictionary of texts."""
    return str(getattr(kind, "value_type", kind) if "dictionary" in str(kind) else kind) in _TEXTS


def _batches(reader: Reader, path: str, batches: Any, layout: Dialect) -> Blocks:
    size, rows = Path(path).stat().st_size, 0
    scanner = reader.scanner(layout)
    for batch in batches:  # Parquet's are in the order of the file
        for start in range(0, batch.num_rows, _ROWS):  # a batch of an Arrow file may have any number of rows
            block, _ = scanner.scan(memoryview(_text(batch.slice(start, _ROWS))), final=True)
            yield block, size, True
            reader.report.lines += block.rows
        reader.report.bytes += batch.nbytes
        rows += batch.num_rows
    if not rows:
        yield Block(), size, True


def _text(batch: Any) -> bytes:
    """A batch as delimited text, a line for each row: all cells quoted, missing ones empty."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    columns_of = []
    for column in map(trimmed, map(_as_text, batch.columns)):
        for end in "\n\r":  # no identity has one, and nothing else that counts
            column = pc.replace_substring(column, end, "\x1f")
        columns_of.append(column)
    out = pa.BufferOutputStream()
    options = csv.WriteOptions(include_header=False, quoting_style="all_valid")
    csv.write_csv(pa.record_batch(columns_of, batch.schema.names), out, options)
    text: bytes = out.getvalue().to_pybytes()
    return text


def _as_text(column: Any) -> Any:
    """A column of anything as text, dates as YYYYMMDD, missing values empty. Text is not looked at."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    column = column.cast(kind)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = pc.strftime(column, format="%Y%m%d")
    if is_text(kind):
        column = column.cast(pa.large_binary()).view(pa.large_string())
    return pc.fill_null(column.cast(pa.large_string()), "")


def shown(column: Any) -> list[str]:
    """The texts of a column of anything."""
    import pyarrow as pa

    try:
        return list(_as_text(column).to_pylist())
    except (pa.ArrowException, UnicodeDecodeError):
        return [str(value) for value in column.to_pylist()]


def trimmed(column: Any) -> Any:
    """A column of texts without the blanks and line ends around them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = column.cast(kind).cast(pa.large_binary()).view(pa.large_string())
    return pc.ascii_trim(text, " \t\r\n")

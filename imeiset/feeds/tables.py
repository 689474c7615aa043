"""What lists hold, as tables that others read: delimited text and Parquet."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .._native.codes import joined as joined_texts
from .._native.parse import rows_of
from ..arrow import Texts, text_buffers
from ..errors.extras import extra
from ..register.batches import DIGITS, subscribers
from ..register.claims import day
from ..register.details import Column
from ..register.entries import Entries
from ..register.kinds import ListRule
from ..register.untils import NO_DAY, days_of_texts

TITLES: dict[ListRule, tuple[str, ...]] = {
    "range": ("from", "to"),
    "tac": ("tac",),
    "pair": ("imei", "imsi"),
    "imsi": ("imsi",),
    "exact": ("imei",),
    "irregular": ("imei",),
}
"""What every row by a rule has."""
DETAILS = ("reasons", "date", "until")
_TAC = 10**6
_GROUP = 1 << 19  # rows of a row group
_QUOTED = ('"', ",", ";", "\t", "\n", "\r")
Cells = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]


def write_text(
    file: BinaryIO,
    titles: tuple[str, ...],
    some: Iterable[Entries],
    *,
    header: bool,
    told: Callable[[int], None],
) -> int:
    """Write rows as text; how many. told: of the bytes written so far."""
    rows, size = 0, 0
    if header:
        size += file.write((",".join(titles) + "\n").encode())
    for part in some:
        text, count = text_of(part, titles)
        size += file.write(text)
        rows += count
        told(size)
    return rows


def text_of(part: Entries, titles: tuple[str, ...], **fixed: str) -> tuple[bytes, int]:
    """Some rows as text, and how many. fixed: what stands in columns that are the same in all of them."""
    columns = [
        _constant(fixed[title], len(part)) if title in fixed else cells(part, title) for title in titles
    ]
    if part.texts:  # where '#' would begin a comment, it is quoted
        texts = [text.decode() for text in part.texts]
        columns[0] = _each(f'"{text}"' if text[:1] == "#" else text for text in texts)
    count = len(columns[0][2])
    row = [columns[0]]
    for title, column in zip(titles[1:], columns[1:], strict=True):
        row += [_constant(",", count), _constant(fixed[title], count) if title in fixed else column]
    return joined_texts(count, [*row, _constant("\n", count)]), count


def write_parquet(
    file: BinaryIO, titles: tuple[str, ...], some: Iterable[Entries], *, told: Callable[[int], None]
) -> int:
    """Write rows as Parquet: texts, reasons in a dictionary, dates as such; how many."""
    pa = extra("pyarrow", "Parquet files need pyarrow", "parquet")
    pq = extra("pyarrow.parquet", "Parquet files need pyarrow", "parquet")
    kinds = {"reasons": pa.dictionary(pa.int32(), pa.string()), "date": pa.date32(), "until": pa.date32()}
    kinds["block_date"] = pa.date32()
    schema = pa.schema([(title, kinds.get(title, pa.string())) for title in titles])
    plain = [title for title in titles if title in ("imei", "imsi")]
    rows = size = 0
    with pq.ParquetWriter(file, schema, use_dictionary=[one for one in titles if one not in plain]) as writer:
        for group in _groups(some):
            tables = [
                pa.table([_arrow(pa, part, title, kinds) for title in titles], schema=schema)
                for part in group
            ]
            table = pa.concat_tables(tables).unify_dictionaries()
            writer.write_table(table)
            rows, size = rows + table.num_rows, size + table.nbytes
            told(size)
    return rows


def _groups(some: Iterable[Entries]) -> Iterator[list[Entries]]:
    held, rows = list[Entries](), 0
    for part in some:
        held.append(part)
        rows += len(part)
        if rows >= _GROUP:
            yield held
            held, rows = [], 0
    if held:
        yield held


def _arrow(pa: Any, part: Entries, title: str, kinds: dict[str, Any]) -> Any:
    """One column of some rows."""
    count = len(part)
    if (column := _detail(part, title)) is not None or title in kinds:
        column = column or Column((), np.zeros(count, np.uint8))
        if title == "reasons":
            codes = pa.array(column.codes.astype(np.int32) - 1, mask=column.codes == 0)
            return pa.DictionaryArray.from_arrays(codes, pa.array(column.values, pa.string()))
        days = days_of_texts(["", *column.values], column.codes)
        return pa.array(days, mask=days == NO_DAY).view(pa.date32())
    ends, texts, codes = cells(part, title)
    if len(ends) != count + 1:
        ends = np.zeros(count + 1, np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(texts))


def cells(part: Entries, title: str) -> Cells:
    """The texts of one column of some rows."""
    count = len(part)
    if title == "tac":
        if part.highs is None or (part.keys % _TAC).any() or ((part.highs + np.uint64(1)) % _TAC).any():
            raise ValueError(f"list {part.list.name!r}: expected whole TACs, got parts of some")
        lows, ends = part.keys // np.uint64(_TAC), (part.highs + np.uint64(1)) // np.uint64(_TAC)
        tacs = np.concatenate([np.arange(*edges) for edges in np.stack([lows, ends], 1).tolist()])
        text = b"".join(b"%08d" % tac for tac in tacs.tolist())
        return _fixed(text, len(tacs), 8)
    if title in ("from", "imei") and not part.texts:
        return _fixed(rows_of(part.keys), count, DIGITS)
    if title == "to" and part.highs is not None:
        return _fixed(rows_of(part.highs), count, DIGITS)
    if title == "imei":
        return _each(map(bytes.decode, part.texts))
    if title == "imsi":
        return *subscribers(part.imsis, count), np.arange(count, dtype=np.int32)
    if (column := _detail(part, title)) is not None:
        texts = _quoted if title == "reasons" else _dates
        return *texts(column.values), column.codes.astype(np.int32)
    return _constant("", count)


def _detail(part: Entries, title: str) -> Column | None:
    name = {"block_date": "date"}.get(title, title)
    return part.details[DETAILS.index(name)] if name in DETAILS else None


def _fixed(text: bytes, count: int, width: int) -> Cells:
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return ends, np.frombuffer(text, np.uint8), np.arange(count, dtype=np.int32)


def _each(texts: Iterable[str]) -> Cells:
    ends, data = text_buffers(texts)
    return ends, data, np.arange(len(ends) - 1, dtype=np.int32)


def _constant(text: str, count: int) -> Cells:
    return *text_buffers([text]), np.zeros(count, np.int32)


@lru_cache(64)
def _quoted(values: tuple[str, ...]) -> Texts:
    """The texts of a column as cells, after an empty one."""
    return text_buffers(["", *map(quoted, values)])


@lru_cache(64)
def _dates(values: tuple[str, ...]) -> Texts:
    """The same of dates. Raises SnapshotBounds for others, of a damaged file."""
    for text in values:
        day(text)
    return text_buffers(["", *values])


def quoted(text: str) -> str:
    """A text as a cell."""
    return '"' + text.replace('"', '""') + '"' if any(one in text for one in _QUOTED) else text

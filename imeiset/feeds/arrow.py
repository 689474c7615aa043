"""Parquet and Arrow files, read a batch of rows at a time. Columns of text are text: nothing is a number.

A row's line is its number in the file, from 1.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import columns
from ..errors import FeedColumn, FeedEncoding, FeedMissing, ParseStatus
from .dialect import Dialect
from .formats import FORMATS, Format, plain, recognise
from .rows import Part, Rejected
from .sources import is_remote

if TYPE_CHECKING:
    from .reader import Reader

_PARQUET, _ARROW = b"PAR1", b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_ROWS = 1 << 16
_KNOWN = ("imei", "approved_imei")


def parts(reader: "Reader", path: str) -> Iterator[tuple[Part, int, bool]] | None:
    """The parts of a local Parquet or Arrow file; None of anything else."""
    if path == "-" or is_remote(path) or not Path(path).is_file():
        return None  # to look into a pipe would take from it
    try:
        with Path(path).open("rb") as file:
            head = file.read(8)
    except OSError:
        return None  # opened again, it is an error
    if head.startswith((_PARQUET, _ARROW)) or (
        head.startswith(_STREAM) and path.endswith((".arrows", ".ipc"))
    ):
        return _parts(reader, path, head)
    return None


def _parts(reader: "Reader", path: str, head: bytes) -> Iterator[tuple[Part, int, bool]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        message = f"{path}: Parquet and Arrow files need pyarrow: pip install 'imeiset[parquet]'"
        raise ModuleNotFoundError(message, name="pyarrow") from None
    try:
        if head.startswith(_PARQUET):
            with pq.ParquetFile(path) as parquet:
                names = _choose(reader, path, parquet.schema_arrow)
                yield from _batches(reader, path, parquet.iter_batches(_ROWS, columns=names), names)
        else:
            with pa.memory_map(path) as file:
                if head.startswith(_ARROW):
                    opened = pa.ipc.open_file(file)
                    batches = (opened.get_batch(i) for i in range(opened.num_record_batches))
                else:
                    batches = opened = pa.ipc.open_stream(file)
                names = _choose(reader, path, opened.schema)
                yield from _batches(reader, path, (_sound(batch.select(names)) for batch in batches), names)
    except pa.ArrowInvalid as error:
        raise FeedEncoding(path, "a whole Parquet or Arrow file", str(error)) from error
    except OSError as error:
        raise FeedMissing(path, "a readable file", error.strerror or str(error)) from error


def _sound(batch: Any) -> Any:
    """The batch, if no offset or index in it leads outside: a file may hold any. ArrowInvalid if one does."""
    batch.validate(full=True)
    return batch


def _choose(reader: "Reader", path: str, schema: Any) -> list[str]:
    """The columns to read: the IMEIs, and the status if it decides."""
    titles = tuple(schema.names)
    reader.expect_list(path, titles, delta=False)
    wanted, form = reader.options.column, FORMATS.get(reader.options.format or "")
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(titles):
            raise FeedColumn(path, f"a column {wanted}", f"a table of {len(titles)}")
        found = [wanted - 1]
    else:
        known = {plain(wanted)} if wanted else {plain(name) for name in _KNOWN}
        found = [at for at, title in enumerate(titles) if plain(title) in known]
    if len(found) != 1:
        expected = f"one column {wanted!r}" if wanted else "one column 'imei', or --column"
        raise FeedColumn(path, expected, f"columns {', '.join(map(repr, titles))}"[:200])
    kind = str(schema.types[found[0]])
    if not any(word in kind for word in ("string", "binary")):
        raise FeedColumn(
            path, f"column {titles[found[0]]!r} to be text", f"{kind}: leading zeros may be lost"
        )
    form = form or recognise(list(titles)) or FORMATS["table"]
    if form.identity != "imei":
        raise FeedColumn(path, "a column of IMEIs", f"a {form.name} list, which is read from text only")
    reader.report.formats.append(form.name)
    reader.open_rejects(Dialect(b",", 0, header=True, format=form), b"imei")
    status = [title for title in titles if plain(title) == "status"] if form.statuses else []
    return [titles[found[0]], *status]


def _batches(reader: "Reader", path: str, batches: Any, names: list[str]) -> Iterator[tuple[Part, int, bool]]:
    size = Path(path).stat().st_size
    form = FORMATS[reader.report.formats[-1]]
    for batch in batches:
        yield _part(reader, batch, form if len(names) > 1 else None), size, True
        reader.report.bytes += batch.nbytes
        reader.report.lines += batch.num_rows
    if not reader.report.lines:
        yield Part(), size, True


def _part(reader: "Reader", batch: Any, form: Format | None) -> Part:
    part = Part(rows=batch.num_rows, lines=batch.num_rows)
    rows = columns.source(batch.column(0))
    keys, status = np.empty(batch.num_rows, np.uint64), np.empty(batch.num_rows, np.uint8)
    rows.read(keys, status)
    counts = np.ones(batch.num_rows, bool)
    if form:
        coded = batch.column(1).dictionary_encode()
        values = [str(value or "").strip().lower() for value in coded.dictionary.to_pylist()]
        names = np.array([*values, ""], object)[
            coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        ]
        counts = np.isin(names, [value.decode() for value in form.statuses or ()])
        for name, count in zip(*np.unique(names[~counts].astype(str), return_counts=True), strict=True):
            part.ignored[str(name)] = int(count)
    accept = reader.accept[status].view(bool)
    for digits, number in _forms(batch.column(0), accept & counts):
        reader.report.forms[digits] += number
    if reader.options.irregular == "keep":
        before = accept
        places, texts = columns.regularise(rows, keys, status)
        part.texts = [bytes(text) for text, at in zip(texts, places, strict=True) if counts[at]]
        accept = reader.accept[status].view(bool)
        part.regular = int((accept & ~before & counts).sum())
        counts[places] = False
    good = accept & counts
    part.keys, part.accepted = [keys[good]], int(good.sum()) + len(part.texts)
    reader.report.wrong_check_digits += int((status[counts] == ParseStatus.CHECK_DIGIT).sum())
    reader.report.spare_check_digits += int((status[counts] == ParseStatus.CHECK_DIGIT_SPARE).sum())
    bad = np.flatnonzero(~accept & counts)
    if len(bad):
        cells = [_bytes(rows.value(row)) for row in bad.tolist()]
        part.rejected = [Rejected(bad.astype(np.int64), status[bad], cells, cells)]
    return part


def _forms(column: Any, rows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """How many of these rows, which are accepted, have 14, 15 and 16 digits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "view" in str(column.type):  # which cannot be filtered
        column = column.cast(pa.large_binary())
    texts = column.filter(pa.array(rows)).cast(pa.large_string())
    digits = pc.utf8_length(pc.replace_substring_regex(texts, "[- ]", "")).to_numpy()
    return [(length, int((digits == length).sum())) for length in (14, 15, 16)]


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()

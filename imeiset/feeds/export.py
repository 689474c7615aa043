"""A set back to a file that others read; `load` makes the same set of it."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO

from ..sets import ImeiSet

FORMS = ("plain", "dirbs", "parquet", "roaring")
_ROWS = 1 << 14


def export(members: ImeiSet, form: str, file: BinaryIO) -> None:
    """Write the set to a binary file, in order, as 15 digits with the check digit.

    form: 'plain', one a line; 'dirbs', a blacklist imei,block_date,reasons; 'parquet', a column of text
    (extra `parquet`); 'roaring', the keys as portable 64-bit Roaring. Irregular identities come last;
    Roaring cannot hold them: ValueError. Memory for some thousands; Roaring
    takes memory for all.
    """
    if form == "roaring":
        if members.irregular is not None and len(members.irregular):
            raise ValueError(f"expected no irregular identities for roaring, got {len(members.irregular):,}")
        file.write(members.to_roaring().serialize())
    elif form == "parquet":
        _parquet(members, file)
    elif form in FORMS:
        end = ",,\n" if form == "dirbs" else "\n"
        if form == "dirbs":
            file.write(b"imei,block_date,reasons\n")
        for texts in _pieces(members):  # '#' would begin a comment
            lines = (f'"{text}"{end}' if text[0] == "#" else f"{text}{end}" for text in texts)
            file.write("".join(lines).encode())
    else:
        raise ValueError(f"expected a form of {', '.join(FORMS)}, got {form!r}")


def _pieces(members: ImeiSet) -> Iterator[list[str]]:
    odd = () if members.irregular is None else members.irregular.tolist()
    texts = chain(members, map(bytes.decode, odd))
    while piece := list(islice(texts, _ROWS)):
        yield piece


def _parquet(members: ImeiSet, file: BinaryIO) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        message = "Parquet files need pyarrow: pip install 'imeiset[parquet]'"
        raise ModuleNotFoundError(message, name="pyarrow") from None
    schema = pa.schema([("imei", pa.string())])
    with pq.ParquetWriter(file, schema) as writer:
        for piece in _pieces(members):
            writer.write_table(pa.table({"imei": pa.array(piece, pa.string())}, schema))

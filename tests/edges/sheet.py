"""A list as its sender meant it, before it becomes bytes: titles, rows, comments, and options to read it."""

import csv
import gzip
import io
import zipfile
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass
class Sheet:
    """What a file holds. rows: cells; a text is a comment, None a blank line."""

    rows: list[list[str] | str | None]
    titles: list[str] | None = None
    name: str = "list.csv"
    delimiter: str = ","
    preamble: list[str] = field(default_factory=list)
    bom: bool = False
    ends: str = "\n"
    marker: bool = False  # a first line sep=;
    trailing: bool = False  # a delimiter at the end of each row
    quoting: str = "minimal"  # minimal, all, none
    last_end: bool = True
    wrap: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    dates: dict[str, Any] = field(default_factory=dict)  # options that a set has no use for
    themes: set[str] = field(default_factory=set)

    @property
    def width(self) -> int:
        """How many cells a row should have."""
        if self.titles is not None:
            return len(self.titles)
        return max((len(row) for row in self.rows if isinstance(row, list)), default=1)

    def but(self, **changes: Any) -> "Sheet":
        return replace(self, **changes)

    def data(self) -> bytes:
        """The bytes of the file."""
        text = self.text().encode("utf-8", "surrogateescape")
        return WRAPS[self.wrap](text)

    def text(self) -> str:
        lines = [f"sep={self.delimiter}"] if self.marker else []
        lines += self.preamble
        if self.titles is not None:
            lines.append(self.line(self.titles))
        lines += ["" if row is None else row if isinstance(row, str) else self.line(row) for row in self.rows]
        if not lines:
            return ""
        text = self.ends.join(lines)
        return ("\ufeff" if self.bom else "") + text + (self.ends if self.last_end else "")

    def line(self, cells: list[str]) -> str:
        cells = [*cells, ""] if self.trailing else cells
        if self.quoting == "none":
            return self.delimiter.join(cells)
        out = io.StringIO()
        quoting = csv.QUOTE_ALL if self.quoting == "all" else csv.QUOTE_MINIMAL
        csv.writer(out, delimiter=self.delimiter, quoting=quoting, lineterminator="").writerow(cells)
        return out.getvalue()


def zstd(data: bytes) -> bytes:
    try:
        from compression import zstd as library
    except ImportError:
        from backports import zstd as library
    options = {library.CompressionParameter.checksum_flag: 1}
    return library.compress(data, options=options)


def pzstd(data: bytes) -> bytes:
    """Frames of parts, each after a skippable frame that says how long it is, as `pzstd` writes them."""
    out, half = b"", max(1, len(data) // 2)
    for part in (data[:half], data[half:]):
        frame = zstd(part)
        out += b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + len(frame).to_bytes(4, "little") + frame
    return out


def zipped(data: bytes, *others: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in others:
            archive.writestr(other, b"\x00\x05\x16\x07\x00" * 4)
        archive.writestr("out/list.csv", data)
    return out.getvalue()


WRAPS = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
    "pzstd": pzstd,
    "zip": zipped,
    "zip of a Mac": lambda data: zipped(data, "__MACOSX/out/._list.csv", "out/.DS_Store", "out/Thumbs.db"),
}

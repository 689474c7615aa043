"""A sheet of a workbook (xlsx) as delimited text, a line for each of its rows, streamed.

openpyxl says what a cell holds. The rows are counted here: its own loop believes the size that a sheet
claims to have, and leaves out the rows beyond. Nothing is guessed. What spreadsheets do to numbers is for
those to judge who read the text, as it is in a CSV file.
"""

import datetime
import re
import warnings
import zipfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain, islice
from typing import Any
from xml.parsers import expat

from ..errors import FeedColumn, FeedEncoding, FeedLimit, FeedTruncated, ImeisetError, mask_text
from ..errors.extras import extra
from .inflate import Read, sound

_MANIFEST = "[Content_Types].xml"
_DOCUMENTS = {  # that are zip archives too, by a member
    "content.xml": "an OpenDocument file (save it as xlsx or CSV)",
    "xl/workbook.bin": "a workbook in the binary form xlsb (save it as xlsx or CSV)",
    "word/document.xml": "a text document (save its table as CSV)",
    "ppt/presentation.xml": "a presentation",
}
_STRICT = "purl.oclc.org/ooxml"  # the other namespace, in which openpyxl finds nothing
_MOST_ROWS, _MOST_COLUMNS = 1 << 20, 1 << 14  # of a sheet
_SAMPLE = 100  # rows that say how wide a sheet is
_TEXT = 1 << 16  # bytes of text made at a time
_PART = 1 << 16  # bytes of a part read at a time
_LAST_DAY = 2_958_465  # 9999-12-31
_EXACT = 1 << 54  # whole numbers of 16 digits that spreadsheets store are exact up to here
_SPECIAL = re.compile(r'[,;\t|"]')
_ZEROS = re.compile(r'[0 "\\-]+')
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})["']""")
_Row = tuple[int, list[str]]


def is_workbook(path: str, archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive is a workbook. Raises FeedEncoding for a document of another kind."""
    names = set(archive.namelist())
    if not names & {_MANIFEST, "mimetype"}:
        return False
    for name, kind in _DOCUMENTS.items():
        if name in names:
            raise FeedEncoding(path, "text or a workbook", kind)
    return _MANIFEST in names


@contextmanager
def _whole(path: str) -> Iterator[None]:
    """Whatever openpyxl raises of a damaged workbook, as the error of its feed."""
    try:
        with sound(path, "workbook"):
            yield
    except (ImeisetError, MemoryError):
        raise
    except Exception as error:
        got = mask_text(str(error).partition("\n")[0]) or type(error).__name__
        raise FeedTruncated(path, "a whole workbook", got) from error


class Workbook:
    """A workbook, of which one sheet is read.

    sheet: its name; None: the only visible one that has cells. limit: bytes that the workbook may have when
    it is unpacked. Raises a kind of FeedError, or ExtraMissing. `notes` say which sheet is read, and at its
    end what of it is hidden.
    """

    def __init__(self, path: str, archive: zipfile.ZipFile, sheet: str | None, limit: int) -> None:
        self.path = path
        self.notes: list[str] = []
        openpyxl = extra("openpyxl", f"{path}: workbooks need openpyxl", "xlsx")
        unpacked = sum(member.file_size for member in archive.infolist())  # zipfile gives no more than that
        if unpacked > limit:
            expected = f"a workbook of at most {limit:,} bytes when unpacked: save a larger one as CSV"
            raise FeedLimit(path, expected, f"{unpacked:,}")
        with _whole(path):
            for name in archive.namelist():
                if name.endswith((".xml", ".rels")):
                    _expect_simple(path, archive, name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of styles and extensions that it does not know
                self._book = openpyxl.load_workbook(
                    archive.fp, read_only=True, data_only=True, keep_links=False
                )
        self._sheet = self._choose(sheet)

    def _choose(self, name: str | None) -> "_Sheet":
        sheets = [_Sheet(self.path, one) for one in self._book.worksheets]
        if name is None:
            found = [one for one in sheets if not one.hidden and one.has_cells()]
            expected = "one visible sheet with cells, or --sheet with its name"
        else:
            found = [one for one in sheets if one.title.casefold() == name.casefold()]
            expected = f"a sheet '{mask_text(name)}'"
        if len(found) != 1:
            raise FeedColumn(self.path, expected, _named(found or sheets))
        self.notes.append(f"read: {_named(found)}")
        if others := [one for one in sheets if one is not found[0]]:
            self.notes.append(f"not read: {_named(others)}")
        return found[0]

    def text(self) -> Read:
        """A function that fills a buffer with the sheet as delimited text, in UTF-8."""
        pieces, rest = self._pieces(), memoryview(b"")

        def read(buffer: memoryview) -> int:
            nonlocal rest
            rest = rest or memoryview(next(pieces, b""))
            count = min(len(rest), len(buffer))
            buffer[:count], rest = rest[:count], rest[count:]
            return count

        return read

    def _pieces(self) -> Iterator[bytes]:
        """The text. Rows that begin a sheet and are narrower than its table, as titles of reports are, stay
        so; cells that are missing at the end of others are empty ones."""
        sheet, line, piece = self._sheet, 1, ""
        with closing(sheet.rows()) as rows:
            first = list(islice(rows, _SAMPLE))
            width, begun = max((len(cells) for _, cells in first), default=0), False
            for number, cells in chain(first, rows):
                begun = begun or len(cells) == width
                if cells and begun:
                    cells += [""] * (width - len(cells))
                piece += "\n" * (number - line) + ",".join(map(_quoted, cells)) + "\n"
                line = number + 1
                if len(piece) >= _TEXT:
                    yield piece.encode(errors="replace")
                    piece = ""
        yield piece.encode(errors="replace")
        if sheet.hidden_rows:
            self.notes.append(f"read though hidden: {sheet.hidden_rows:,} rows")


def _expect_simple(path: str, archive: zipfile.ZipFile, name: str) -> None:
    """Raise FeedEncoding for XML that declares its own entities, which may be a bomb, or of a dialect that
    openpyxl does not know."""
    begun = False

    def on_declaration(*_: object) -> None:
        raise FeedEncoding(path, "a workbook without a document type in its XML", f"one in {mask_text(name)}")

    def on_element(tag: str, attributes: dict[str, str]) -> None:
        nonlocal begun
        if not begun and any(_STRICT in value for value in attributes.values()):
            raise FeedEncoding(
                path, "an Excel workbook", "a 'Strict Open XML' one (save it as the usual kind)"
            )
        begun = True

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = on_declaration, on_element
    with archive.open(name) as part:
        while not begun and (text := part.read(_PART)):
            with suppress(expat.ExpatError):  # openpyxl says it, if it needs this part
                parser.Parse(text)
                continue
            return


def _named(sheets: "list[_Sheet]") -> str:
    names = ", ".join(repr(one.title) + " (hidden)" * one.hidden for one in sheets)
    return mask_text(f"sheet{'s' * (len(sheets) != 1)} {names or 'none'}")


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _SPECIAL.search(cell) else cell


class _Sheet:
    """A sheet of openpyxl in read-only mode. hidden_rows: rows with cells that were read so far and are."""

    def __init__(self, path: str, sheet: Any) -> None:
        self.title: str = sheet.title
        self.hidden: bool = sheet.sheet_state != "visible"
        self.hidden_rows = 0
        self._path, self._sheet, self._book = path, sheet, sheet.parent
        self._shown: dict[int, int] = {}  # by style, the digits that it shows at least
        self._reading = extra("openpyxl.worksheet._reader", path, "xlsx")

    def has_cells(self) -> bool:
        """Whether any cell holds something."""
        with closing(self.rows()) as rows:
            return any(cells for _, cells in rows)

    def rows(self) -> Generator[_Row, None, None]:
        """The number and the cells of each row, without empty ones at its end."""
        before, self.hidden_rows = 0, 0
        spans: dict[
            int, tuple[int, str]
        ] = {}  # by place, a cell merged over rows: the last one, and its text
        with _whole(self._path):
            merged = self._merged()
            for row, parser in self._elements():
                number = int(row.get("r") or before + 1)
                if not before < number <= _MOST_ROWS:
                    raise ValueError(f"row {number} after row {before}")
                cells, before = self._cells(row, parser), number
                for place, last in merged.get(number, ()):
                    spans[place] = last, cells[place] if place < len(cells) else ""
                for place, (last, text) in list(spans.items()):
                    if last < number:
                        del spans[place]
                    elif text:  # it is shown in all of the rows, and is stored in the first
                        cells += [""] * (place + 1 - len(cells))
                        cells[place] = text
                self.hidden_rows += bool(cells) and row.get("hidden") in ("1", "true")
                yield number, cells

    def _merged(self) -> dict[int, list[tuple[int, int]]]:
        """By first row, the place and the last row of each cell that is merged over several rows. They stand
        behind the rows, so the sheet is searched for them first, which costs little beside reading it."""
        found: dict[int, list[tuple[int, int]]] = {}
        with self._sheet._get_source() as part:
            rest = b""
            while text := part.read(_PART):
                text, used = rest + text, 0
                for match in _MERGED.finditer(text):
                    letters, first, last = match.groups()
                    if int(last) > int(first):
                        place = sum((letter - 64) * 26**at for at, letter in enumerate(reversed(letters))) - 1
                        found.setdefault(int(first), []).append((place, int(last)))
                    used = match.end()
                rest = text[max(used, len(text) - 200) :]  # no such element is longer
        return found

    def _elements(self) -> Iterator[tuple[Any, Any]]:
        """The rows as XML, and the parser of their cells."""
        book, reading = self._book, self._reading
        with self._sheet._get_source() as part:
            parser = reading.WorkSheetParser(
                part,
                self._sheet._shared_strings,
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
            )
            for _, element in reading.iterparse(part):
                if element.tag == reading.ROW_TAG:
                    parser.col_counter = 0
                    yield element, parser
                    element.clear()

    def _cells(self, row: Any, parser: Any) -> list[str]:
        cells: list[str] = []
        before = 0
        for element in row.iterfind(self._reading.CELL_TAG):
            text, place = self._cell(parser, element)
            if not before < place <= _MOST_COLUMNS:
                raise ValueError(f"a cell in column {place} after one in {before}")
            before = place
            if text:
                cells += [""] * (place - 1 - len(cells))
                cells.append(text)
        return cells

    def _cell(self, parser: Any, element: Any) -> tuple[str, int]:
        """What is in a cell, as text, and the number of its column."""
        style, kind = int(element.get("s") or 0), element.get("t", "n")
        stored = element.findtext(self._reading.VALUE_TAG)
        dated = kind == "n" and style and style in self._book._date_formats
        if dated and stored and not 0 <= float(stored) <= _LAST_DAY:
            del element.attrib["s"]  # shown as ####: no date
        formula = element.find(self._reading.FORMULA_TAG) is not None
        if formula and not stored and kind not in ("str", "inlineStr"):
            got = f"none in cell {element.get('r', '?')}: open it in the program that made it, and save it"
            raise FeedEncoding(self._path, "a workbook with the values of its formulas", got)
        found = parser.parse_cell(element)
        value = found["value"]
        if isinstance(value, str):
            text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value) if "_x" in value else value
            text = re.sub("[\n\r]", "\x1f", text.strip(" \t\n\v\f\r"))  # no identity has one inside
        elif isinstance(value, bool):
            text = str(value).upper()
        elif isinstance(value, int | float):
            text = str(int(value)) if value == int(value) and abs(value) < _EXACT else repr(value)
            text = text.zfill(self._digits(style)) if text.isdigit() else text
        elif isinstance(value, datetime.datetime):
            text = value.isoformat(" ") if value.time() != datetime.time() else value.date().isoformat()
        else:
            text = "" if value is None else str(value)
        return text, found["column"]

    def _digits(self, style: int) -> int:
        """How many digits a number of this style shows at least; 0 if its format is not one of zeros."""
        if style not in self._shown:
            number = self._book._cell_styles[style].numFmtId
            custom = self._book._number_formats[number - 164] if number >= 164 else ""
            zeros = custom if _ZEROS.fullmatch(custom) else ""
            self._shown[style] = zeros.count("0")
        return self._shown[style]

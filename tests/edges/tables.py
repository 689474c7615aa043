"""A sheet as a Parquet file and as a workbook: what text means is what they mean."""

from edges.cells import BLANKS
from edges.comparing import differences_from, options_of
from edges.oracle import understand


def as_table(sheet, quoting):
    """The sheet without what only text can have: comments, lines above, rows of other lengths."""
    rows = [row for row in sheet.rows if isinstance(row, list) and any(cell.strip(BLANKS) for cell in row)]
    rows = [[*row, *[""] * sheet.width][: sheet.width] for row in rows]
    options = {name: value for name, value in sheet.options.items() if name != "skip"}
    plain = {"bom": False, "preamble": [], "marker": False, "trailing": False, "wrap": ""}
    return sheet.but(rows=rows, options=options, quoting=quoting, **plain)


def write_parquet(sheet, path):
    import pyarrow as pa
    from pyarrow import parquet

    cells = zip(*sheet.rows, strict=True) if sheet.rows else [[]] * sheet.width
    columns = [pa.array(column, pa.string()) for column in cells]
    parquet.write_table(pa.Table.from_arrays(columns, names=sheet.titles), path)


def write_workbook(sheet, path):
    import openpyxl

    book = openpyxl.Workbook()
    for number, row in enumerate([sheet.titles, *sheet.rows], 1):
        for column, text in enumerate(row, 1):
            cell = book.active.cell(number, column, text.translate({ord("\v"): " ", ord("\f"): " "}))
            if text.startswith("="):  # a text, and not a formula
                cell.data_type = "s"
    book.save(path)


# Each with how its cells are quoted, as far as a '#' at the beginning of a line goes.
WRITERS = {"parquet": (write_parquet, "all"), "xlsx": (write_workbook, "minimal")}


def table_differences(sheet, directory, suffix):
    """What a load of the sheet as such a file does otherwise than the oracle."""
    write, quoting = WRITERS[suffix]
    sheet = as_table(sheet, quoting)
    path = directory / sheet.name.replace(".csv", f".{suffix}")
    write(sheet, path)
    return differences_from(understand(sheet), sheet, path, options_of(sheet), unlike={"lines"})

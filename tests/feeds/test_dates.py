"""Dates and reasons of feeds, as registers and stores keep them: whatever is not understood is counted."""

import datetime

import pytest

from imeiset import EquipmentStatus, Register, Store, apply, load_register
from imeiset.errors import FeedColumn, FeedDescription

IMEIS = [f"35209900{serial:06d}" for serial in range(1, 9)]
DAY = datetime.date(2026, 11, 1)
# Titles and cells of dates, options, and what they are; None: counted as not understood; "": nothing.
CASES = {
    "iso": (
        "reporting_date",
        {},
        [
            ("2026-11-01", DAY),
            ("20261101", DAY),
            ("2026/11/01", DAY),
            ("2026.11.01", DAY),
            ("2026-11-01T23:59:59+14:00", DAY),
            ("2026-02-30", None),
            ("01.11.2026", None),
            ("", ""),
        ],
    ),
    "titles": ("block_date", {}, [("2026-11-01 10:00", DAY), ("26-11-01", None), ("0", None), ("N/A", None)]),
    "column": ("since", {"date_column": "Since"}, [("20261101", DAY), ("2026-13-01", None)]),
    "format": (
        "since",
        {"date_column": 2, "date_format": "%d.%m.%y"},
        [("01.11.26", DAY), ("1.11.26", DAY), ("2026-11-01", None), ("31.02.26", None), (" ", "")],
    ),
    "month": (
        "date",
        {"date_format": "%d-%b-%Y"},
        [("01-Nov-2026", DAY), ("1-NOV-2026", DAY), ("20261101", None)],
    ),
    "us": ("date", {"date_format": "%m/%d/%Y"}, [("11/01/2026", DAY), ("13/01/2026", None)]),
    "excel": (
        "date",
        {"date_format": "excel"},
        [("46327", DAY), ("46327.99", DAY), ("2026-11-01", None), ("20261101", None), ("-1", None)],
    ),
    "no day of excel": (
        "date",
        {"date_format": "excel"},
        [("0", None), ("0.5", None), ("1", datetime.date(1899, 12, 31))],
    ),
    "together": (
        "date",
        {"date_format": "%d%m%Y"},
        [("01112026", DAY), ("1112026", None), ("0111202", None)],
    ),
}


def write(folder, kind, titles, rows):
    """A list as text or as Parquet."""
    path = folder / f"list.{kind}"
    if kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        columns = dict(zip(titles, map(list, zip(*rows, strict=True)), strict=True))
        pytest.importorskip("pyarrow.parquet").write_table(pa.table(columns), path)
    else:
        path.write_text("".join(f"{';'.join(row)}\n" for row in [titles, *rows]))
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("title", "options", "cells"), CASES.values(), ids=CASES)
def test_dates_of_lists_and_deltas(tmp_path, kind, title, options, cells):
    """The same at both doors: the day, or none; what is not understood counts, with its lines."""
    rows = [(imei, cell, "add") for imei, (cell, _) in zip(IMEIS, cells, strict=False)]
    header = int(kind == "csv")
    wrong = [line for line, (_, day) in enumerate(cells, 1 + header) if day is None]
    path = write(tmp_path, kind, ("imei", title), [row[:2] for row in rows])
    said = "".join(f"{name} = {value!r}\n" for name, value in options.items())
    description = tmp_path / "register.toml"
    description.write_text(f"[[lists]]\nname='x'\nstatus='blacklisted'\nfiles=['{path.name}']\n{said}")
    register, [(_, _, report)] = load_register(description)
    delta = write(tmp_path, kind, ("imei", title, "change_type"), rows)
    empty = Register()
    empty.add("x", [], status=EquipmentStatus.BLACKLISTED)
    with Store.create(tmp_path / "store", empty) as store:
        _, applied = apply(store, delta, **options)
        for held in (register, store):
            days = [held.check(imei).date for imei, _, _ in rows]
            assert days == [day or None for _, day in cells]
    for one in (report, applied.sources[0]):
        assert one.dates_not_understood.count == len(wrong)
        assert [line for _, line in one.dates_not_understood.first] == wrong[:5]
        assert one.rejected == 0


@pytest.mark.parametrize("options", [{}, {"reason_column": "Why"}, {"reason_column": 2}])
def test_reasons(tmp_path, options):
    title = "why" if options else "reasons"
    path = write(tmp_path, "csv", ("imei", title), [(IMEIS[0], "lost|found"), (IMEIS[1], "")])
    said = "".join(f"{name} = {value!r}\n" for name, value in options.items())
    description = tmp_path / "register.toml"
    description.write_text(
        f"[[lists]]\nname='x'\nstatus='blacklisted'\nreason='listed'\nfiles=['{path.name}']\n{said}"
    )
    register, _ = load_register(description)
    assert [register.check(imei).reasons for imei in IMEIS[:2]] == [("found", "lost"), ("listed",)]


def test_a_format_without_a_column_of_dates(tmp_path):
    """It says that there are dates: to find none would lose them."""
    path = write(tmp_path, "csv", ("imei", "since"), [(IMEIS[0], "01.11.2026")])
    description = tmp_path / "register.toml"
    text = f"[[lists]]\nname='x'\nstatus='blacklisted'\nfiles=['{path.name}']\ndate_format='%d.%m.%Y'\n"
    description.write_text(text)
    with pytest.raises(FeedColumn, match=r"date_column says where.*no column 'date' or 'reporting_date'"):
        load_register(description)
    description.write_text(text + "date_column='since'\n")
    assert load_register(description).register.check(IMEIS[0]).date == DAY
    description.write_text(text + "date_column='when'\n")
    with pytest.raises(FeedColumn, match="one column named 'when'"):
        load_register(description)
    description.write_text(text + "details='ignore'\n")
    with pytest.raises(FeedDescription, match="no 'date_format' beside details = 'ignore'"):
        load_register(description)
    empty = Register()
    empty.add("x", [], status=EquipmentStatus.BLACKLISTED)
    delta = write(tmp_path, "csv", ("imei", "since", "change_type"), [(IMEIS[0], "01.11.2026", "add")])
    with Store.create(tmp_path / "store", empty) as store:
        with pytest.raises(FeedColumn, match="--date-column says where"):
            apply(store, delta, date_format="%d.%m.%Y")
        assert store.sequence == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("title", ["block_reason", "Motivo", "reason", "Grund der Sperre", "cause"])
def test_reasons_that_are_not_read(tmp_path, kind, title):
    """They are named, where a register keeps reasons, and read where they are asked for."""
    other = "reasons" if title == "reason" else "make"
    path = write(tmp_path, kind, ("imei", title, other), [(IMEIS[0], "fraud", ""), (IMEIS[1], "", "x")])
    description = tmp_path / "register.toml"
    for said, named in (("", True), (f"reason_column = '{title}'", False), ("details = 'ignore'", False)):
        text = f"[[lists]]\nname='x'\nstatus='blacklisted'\nfiles=['{path.name}']\n{said}\n"
        description.write_text(text)
        register, [(_, _, report)] = load_register(description)
        wanted = [(title, ["fraud"], "reasons")] if named else []
        if said.startswith("reason") and title == "reason":
            wanted = [("reasons", ["x"], "reasons")]
        assert [(one.column, one.values, one.why) for one in report.unread] == wanted
        assert register.check(IMEIS[0]).reasons == (("fraud",) if said.startswith("reason") else ())

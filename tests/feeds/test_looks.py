"""Columns that nobody asked for: what contradicts the list is an error, what looks like it is named."""

import io
import random
import zipfile

import oracle
import pytest

from imeiset import ImeiSet, errors, load, screen
from imeiset.feeds import Options, reader
from imeiset.feeds.loader import read

A, B, C, Z = "352099001761481", "860123450000012", "490154203237518", "012345678901237"


@pytest.fixture(params=["csv", "parquet", "arrow", "xlsx"])
def write(request, tmp_path):
    """A list with a header, of any kind."""

    def written(titles, rows):
        path = tmp_path / f"list.{request.param}"
        if request.param == "csv":
            path.write_text("".join(",".join(row) + "\n" for row in (titles, *rows)))
        elif request.param == "xlsx":
            book = pytest.importorskip("openpyxl").Workbook()
            for row in (titles, *rows):
                book.active.append(row)
            book.save(path)
        else:
            pa = pytest.importorskip("pyarrow")
            table = pa.table([pa.array(cells) for cells in zip(*rows, strict=True)], list(titles))
            if request.param == "parquet":
                pytest.importorskip("pyarrow.parquet").write_table(table, path)
            else:
                with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as into:
                    into.write_table(table)
        return path

    return written


@pytest.fixture
def text(tmp_path):
    def written(content, name="list.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


@pytest.mark.parametrize(
    ("title", "values", "where", "match"),
    [
        ("equipment_status", ("BLACKLISTED", "WHITELISTED"), "blacklisted", "'WHITELISTED' in 1, 'BLACKLI"),
        ("match_response_code", ("0", "1"), "1", "'0' in 1, '1' in 1"),
        ("list", ("B", "W"), "b", "with 'B' in 1, 'W' in 1 rows"),
        ("list", ("BL", "WL"), "bl", "'WL'"),
        ("colour", ("black", "white"), "black", "'white'"),
        ("Blacklisted", ("yes", "no"), "yes", "'no' in 1, 'yes' in 1"),
        ("blocked?", ("Y", ""), "y", "'Y' in 1"),
        ("is_blocked", ("true", "false"), "TRUE", "'false' in 1"),
        ("action", ("block", "unblock"), "block", "'unblock'"),
        ("statut", ("bloqué", "débloqué"), "bloqué", "'débloqué' in 1"),
        ("estado", ("bloqueado", "desbloqueado"), "BLOQUEADO", "'desbloqueado'"),
        ("remark", ("stolen", "recovered"), "stolen", "'recovered'"),
        ("remark", ("", "removed from list"), "", "'removed from list'"),
        ("reason", ("stolen", "recovered"), "stolen", "'recovered'"),
        ("unblock_date", ("", "2024-02-29"), "", "'2024-02-29'"),
        ("expired", ("N", "Y"), "n", "'Y'"),
        ("deleted", ("0", "1"), "0", "'1' in 1, '0' in 1"),
        ("note", ("not blocked", "blocked"), "blocked", "'not blocked'"),
        ("status", ("active", "inactive"), "active", "'active' in 1, 'inactive' in 1"),
        ("status", ("stolen", "expired"), "stolen", "'expired'"),
        ("state", ("blocked", "free"), "blocked", "'free'"),
        ("is_active", ("1", "0"), "1", "'1' in 1, '0' in 1"),
        ("Aktiv", ("ja", "nein"), "ja", "'ja' in 1, 'nein' in 1"),
        ("status", ("blocked", "released"), "blocked", "'released'"),
        ("status", ("OK", "NOK"), "nok", "'OK' in 1, 'NOK' in 1"),
        ("status", ("00", "01"), "01", "'00' in 1, '01' in 1"),
        ("phone_status", ("blocked", "unblocked"), "blocked", "'unblocked'"),
        ("Telephone blocked", ("yes", "no"), "yes", "'no' in 1, 'yes' in 1"),
        ("msisdn", ("blocked", "unblocked"), "blocked", "'unblocked'"),
        ("imsi_status", ("blocked", "unblocked"), "blocked", "'unblocked'"),
        ("category", ("greylisted", "greylisted"), "greylisted", "'greylisted' in 2"),
    ],
)
def test_contradictions(write, title, values, where, match):
    """They are refused until --where says what counts; no row is lost or blocked in silence."""
    path = write(("imei", "model", title), [(A, "X", values[0]), (B, "Y", values[1])])
    with pytest.raises(errors.FeedColumn, match=match) as caught:
        load(path)
    assert f"column 3 ('{title}')" in str(caught.value)
    assert "--where" in str(caught.value)
    assert load(path, where={title: where}).set in (ImeiSet([A]), ImeiSet([B]), ImeiSet([A, B]))


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Operation", ("0", "1")),
        ("operation", ("0", "0")),
        ("action", ("add", "remove")),
        ("op", ("I", "R")),
        ("change", ("A", "D")),
        ("what", ("insert", "delete")),
        ("acción", ("alta", "baja")),
        ("kind", ("hinzugefügt", "gelöscht")),
    ],
)
def test_changes_are_no_list(write, title, values):
    path = write((title, "imei"), [(values[0], A), (values[1], B)])
    with pytest.raises(
        errors.FeedColumn, match=rf"apply --change-column '?{title}'?` takes changes, --where"
    ):
        load(path)
    assert len(load(path, where={1: values[1]}).set) in (1, 2)


@pytest.mark.parametrize(
    "name",
    [
        "x_DELTA_1.csv",
        "daily_INCREMENTAL_20240101.csv",
        "imei-diff.csv",
        "x.changes.csv",
        "x_unblocked.csv",
        "x deleted.csv",
        "removals_2.csv",
    ],
)
def test_deltas_by_name(text, tmp_path, name):
    with pytest.raises(errors.FeedColumn, match=r"a delta, by its name .*apply.* or rename"):
        load(text(f"imei\n{A}\n", name))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, f"imei\n{A}\n")
    with pytest.raises(errors.FeedColumn, match="by its name"):
        load(text(packed.getvalue(), "full.zip"))
    assert len(load(text(f"imei\n{A}\n", "different_deltas2.csv")).set) == 1


def test_a_column_change_type_that_where_settles(text):
    path = text(f"imei,change_type\n{A},add\n{B},remove\n")
    with pytest.raises(errors.FeedColumn, match="apply"):
        load(path)
    assert load(path, where="change_type=add").set == ImeiSet([A])


ORDINARY = [
    ("brand", ("Samsung", "Black Shark", "Nokia")),
    ("model", ("Galaxy S7 Active", "White Pearl", "")),
    ("operator", ("Orange", "Free Mobile", "3")),
    ("country", ("NO", "GL", "DE")),
    ("reason", ("stolen", "lost", "found")),
    ("reasons", ("stolen|lost", "", "duplicate")),
    ("block_date", ("20240101", "", "20240229")),
    ("reporting_date", ("2024-01-01", "", "")),
    ("colour", ("Black", "White", "Blue")),
    ("id", ("1", "2", "3")),
    ("case", ("A-1", "phone removed from car", "x")),
    ("serial", ("123456", "000001", "222222")),
    ("msisdn", ("491701234567", "", "1")),
    ("priority", ("alta", "media", "baja")),
    ("make", ("Newer", "Xiaomi", "")),
    ("sms", ("", "", "")),
]


@pytest.mark.parametrize(("title", "cells"), ORDINARY)
def test_ordinary_columns_load_in_silence(write, title, cells):
    path = write(("imei", title), list(zip((A, B, C), cells, strict=True)))
    found = load(path)
    assert len(found.set) == 3
    assert [one.column for one in found.report.unread] in ([], ["colour"])


@pytest.mark.parametrize(
    ("title", "cells", "why", "values"),
    [
        ("reason", ("found", "found", ""), "statuses", ["found"]),
        ("reasons", ("returned", "Encontrado", "x"), "statuses", ["returned", "Encontrado", "x"]),
        ("status", ("stolen", "lost", ""), "statuses", ["stolen", "lost"]),
        ("state", ("Texas", "", ""), "statuses", ["Texas"]),
        ("status", ("1", "1", "1"), "statuses", ["1"]),
        ("status", ("", "", ""), "statuses", []),
        ("dual_sim", ("yes", "no", "yes"), "statuses", ["yes", "no"]),
        ("category", ("stolen", "stolen", "other"), "statuses", ["stolen", "other"]),
        ("kind", ("new", "new", ""), "changes", ["new"]),
        ("seen", ("2024-01-01", "01.02.2024", ""), "dates", ["2024-01-01", "01.02.2024"]),
    ],
)
def test_what_is_named(write, title, cells, why, values):
    path = write(("imei", title), list(zip((A, B, C), cells, strict=True)))
    [unread] = load(path).report.unread
    assert (unread.source, unread.column, unread.values, unread.why) == (str(path), title, values, why)


@pytest.mark.parametrize("last", ["WhiteList", '"white list"', " Removed ", "Débloqué", "unblock"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_last_row_of_many(text, monkeypatch, last, encoding):
    """Every value of a watched column is seen, whatever block it is in."""
    monkeypatch.setattr(reader, "CHUNK", 5000)
    rows = f"{A},x,BlackList\n" * 5000 + f"{B},x,{last}\n"
    for titles in ("imei,note,Status\n", "imei,note,y\n", ""):
        with pytest.raises(errors.FeedColumn, match=r"--where (Status|y|3)=VALUE"):
            load(text((titles + rows).encode(encoding)), max_line=500)


def test_headerless_codes(text):
    assert len(load(text(f"{A},1\n{B},1\n")).set) == 2
    path = text(f"{A},1\n{B},0\n{C},1\n")
    with pytest.raises(errors.FeedColumn, match=r"--where 2=VALUE.*column 2 with '1' in 2, '0' in 1 rows"):
        load(path)
    assert load(path, where="2=0").set == ImeiSet([B])
    with pytest.raises(errors.FeedColumn, match="--change-column 2"):
        load(text(f"{A},A\n{B},D\n"))


def test_two_columns_of_statuses(text):
    """What one settles, the other may contradict."""
    path = text(f"imei,list,status\n{A},black,stolen\n{B},black,recovered\n{C},white,\n")
    with pytest.raises(errors.FeedColumn, match="'list'"):
        load(path)
    with pytest.raises(errors.FeedColumn, match="'status'"):
        load(path, where="list=black")
    assert load(path, where="status=stolen").set == ImeiSet([A])


def test_free_text_is_not_watched(text, monkeypatch):
    """It may say anything, in a file of any length."""
    monkeypatch.setattr(reader, "CHUNK", 5000)
    first = "".join(f"{A},text {i}\n" for i in range(300)) + f"{A},removed\n"
    assert load(text(f"imei,remark\n{first}")).report.unread == []
    later = f"{A},\n" * 200 + "".join(f"{A},text {i}\n" for i in range(3000)) + f"{A},removed\n"
    assert load(text(f"imei,remark\n{later}"), max_line=500).report.rows == 3201


def test_many_values_under_a_title_of_statuses(text):
    rows = "".join(f"{A},case {i}\n" for i in range(3000))
    assert load(text(f"imei,status\n{rows}")).report.rows == 3000
    with pytest.raises(errors.FeedColumn, match="'removed' in 1"):
        load(text(f"imei,status\n{rows}{B},removed\n"))


def test_lists_that_let_phones_through(text):
    for word in ("blacklisted", "stolen", "greylisted", "removed"):
        path = text(f"imei,remark\n{A},ok\n{B},{word}\n")
        with pytest.raises(errors.FeedColumn, match=f"all let through.*'{word}' in 1"):
            read(path, [], polarity="whitelist")
    path = text(f"imei,remark\n{A},whitelisted\n{B},ok\n")
    assert len(read(path, [], polarity="whitelist").keys) == 2
    with pytest.raises(errors.FeedColumn, match="all blocked"):
        read(path, [])
    path = text(f"imei,remark\n{A},grey\n{B},stolen\n")
    with pytest.raises(errors.FeedColumn, match="all greylisted"):
        read(path, [], polarity="greylist")
    assert len(read(text(f"imei,reason\n{A},stolen\n"), [], polarity="greylist").keys) == 1


@pytest.mark.parametrize("title", ["SUPI", "subscriber", "imsi 2"])
def test_subscribers_of_5g(write, title):
    path = write(("imei", title), [(A, "imsi-262011234567890"), (B, "nai-user@example.org"), (C, "")])
    with pytest.raises(errors.FeedColumn, match=r"--imsi ignore.*column 2"):
        load(path)
    assert load(path, imsi="ignore").set == ImeiSet([A, B, C])


@pytest.mark.parametrize("title", ["imsi", "IMSI 2", "supi"])
def test_a_second_subscriber_is_not_lost(text, title):
    """A list of pairs reads one subscriber of a row."""
    path = text(f"imei,imsi,{title}\n{A},262011234567890,262021234567890\n")
    with pytest.raises(errors.FeedColumn, match=r"a row for each pair, got column 3"):
        read(path, ["imsi"])
    assert len(read(path, ["imsi"], options=Options(imsi="ignore")).keys) == 1


def test_imsis_are_refused_until_somebody_says_what_they_mean(write):
    path = write(("imei", "subscriber_imsi"), [(A, "262011234567890"), (B, "")])
    with pytest.raises(errors.FeedColumn, match=r"--imsi ignore.*'exempt' and 'lock'.*column 2"):
        load(path)
    assert load(path, imsi="ignore").set == ImeiSet([A, B])


@pytest.mark.parametrize("title", ["snr", "Serial", "serial_number", "sn", "x"])
def test_tacs_with_serials_are_single_phones(text, title):
    with pytest.raises(errors.FeedColumn, match=r"\(snr\).* a TAC alone is a million phones"):
        load(text(f"tac,{title}\n35209900,176148\n86012345,000001\n"))
    assert len(load(text("tac,brand\n35209900,x\n")).set) == 10**6


def test_tbcd(text):
    rows = "".join(f"53029900671684{i:02}\n" for i in range(10))
    for list_ in (rows, f"imei\n{rows}", f"imei,x\n{rows}".replace("\n53", ",\n53")[:-1] + "\n"):
        with pytest.raises(errors.FeedColumn, match="--tbcd reads TBCD, --no-tbcd"):
            load(text(list_))
    assert len(load(text(rows), tbcd=False).set) == 1
    assert load(text(rows), tbcd=True).report.accepted == 10
    assert load(text(rows[17:])).report.accepted == 9


def imei():
    body = f"35{random.randrange(10**12):012}"
    return body + str(oracle.luhn_digit(body))


@pytest.mark.parametrize("before", [0, 150, 5000])
@pytest.mark.parametrize("absent", ["", "N/A"])
def test_imeis_in_another_column(text, monkeypatch, before, absent):
    """Also where they come late: a column without values is watched."""
    monkeypatch.setattr(reader, "CHUNK", 5000)
    rows = f"{A},{absent}\n" * before + f"{B},{imei()}\n"
    path = text(f"imei,sim2\n{rows}")
    with pytest.raises(
        errors.FeedColumn, match=r"--column imei --column sim2 both.*column 2 \('sim2'\) with"
    ):
        load(path)
    with pytest.raises(errors.FeedColumn, match="IMEIs too"):
        load(path, max_line=500)
    [unread] = load(path, column="imei").report.unread
    assert (unread.column, unread.why) == ("sim2", "imeis")
    assert load(path, column=["imei", "sim2"]).report.identities >= 2
    if before:  # without a header, which of the two it is nobody knows
        path = text(rows)
        if absent:
            with pytest.raises(errors.FeedColumn, match="--column"):
                load(path)
        else:  # delimiters at the end of rows, but for one
            assert load(path).report.rejects["cell_count"].count == 1


@pytest.mark.parametrize("value", ["value {}", "202401{:02}", '"a ""b"", {}"', "#{}"])
@pytest.mark.parametrize("mark", ["", "#"])
def test_imeis_late_in_a_column_of_other_values(text, monkeypatch, value, mark):
    """Lines that look like those before them are not looked at again: one of these may not hide an IMEI."""
    monkeypatch.setattr(reader, "CHUNK", 5000)
    rows = "".join(f"{A},{value.format(i % 28 + 1)}\n" for i in range(3000))
    rows += f"{mark}{B},{imei()}\n" * 40 + "".join(f"{A},{imei()}\n" for _ in range(3000))
    for max_line in (500, 1 << 20):
        with pytest.raises(errors.FeedColumn, match="IMEIs too"):
            load(text(f"imei,x\n{rows}"), max_line=max_line)


def test_imeis_in_another_column_of_any_file(write):
    path = write(("imei", "x"), [(A, B), (B, C)])
    with pytest.raises(errors.FeedColumn, match="--column imei --column x both"):
        load(path)
    path = write(("imei", "msisdn"), [(A, B), (B, C)])
    assert load(path).report.unread == []


@pytest.mark.parametrize("groups", [2, 4, 6])
def test_imeis_in_the_last_part_of_a_table(tmp_path, groups):
    pa = pytest.importorskip("pyarrow")
    rows = 40
    cells = [f"note {row}" for row in range(rows * (groups - 1))] + [B] * rows
    table = pa.table({"imei": [A] * len(cells), "x": cells})
    parquet, arrow = tmp_path / "list.parquet", tmp_path / "list.arrow"
    pytest.importorskip("pyarrow.parquet").write_table(table, parquet, row_group_size=rows)
    with pa.OSFile(str(arrow), "wb") as file, pa.ipc.new_file(file, table.schema) as into:
        into.write_table(table, max_chunksize=rows)
    for path in (parquet, arrow):
        with pytest.raises(errors.FeedColumn, match="--column imei --column x both"):
            load(path)


@pytest.mark.parametrize("form", ["{}", "{:.14}", "{:.14}01", "imei-{}", "{:.8}-{:.6}"])
def test_phones_beside_their_tacs(text, form):
    """A table of phones is no list of TACs: each would block a million."""
    rows = [(form.format(imei, imei[8:]), imei[:8]) for imei in (A, B, C)]
    for titles in ("device,tac", "tac,device"):
        cells = [row if titles == "device,tac" else row[::-1] for row in rows]
        path = text(titles + "\n" + "".join(",".join(row) + "\n" for row in cells))
        with pytest.raises(errors.FeedColumn, match=r"--column .*device"):
            load(path)
        assert load(path, column="device").set == ImeiSet([A, B, C])
        tacs, report = load(path, format="barred-tac")
        assert len(tacs) == 3_000_000
        assert [unread.why for unread in report.unread] == ["imeis"]


@pytest.mark.parametrize("titles", ["tac,imsi", "from,to,imsi"])
def test_subscribers_of_many_phones(text, titles):
    ends = A[:8] if titles.startswith("tac") else f"{A[:14]},{A[:14]}"
    path = text(f"{titles}\n{ends},262011234567890\n")
    with pytest.raises(errors.FeedColumn, match="--imsi ignore"):
        load(path)
    assert len(load(path, imsi="ignore").set)


def test_blanks_around_statuses(text):
    """Also those that the scanner leaves."""
    for columns in ([], ["date"]):
        for blank in " \t\x0b\x0c":
            rows = f"{A},,{blank}blacklist{blank}\n{B},,{blank}x{blank}\n"
            report = read(text(f"imei,reporting_date,status\n{rows}"), columns).report
            assert (report.accepted, report.ignored) == (1, {"x": 1}), blank
            path = text(f"imei,list\n{A},{blank}Stolen{blank}\n{B},x\n")
            assert len(read(path, columns, options=Options(where="list=stolen")).keys) == 1


def test_where_of_another_column_than_the_status(text):
    """What the format would have ignored is not taken in silence."""
    path = text(
        f"imei,reporting_date,status,region\n{A},,blacklist,north\n{B},,pending,north\n{C},,x,south\n"
    )
    assert load(path).set == ImeiSet([A])
    with pytest.raises(errors.FeedColumn, match=r"column 3 \('status'\) with 'pending' in 1"):
        load(path, where="region=north")
    assert load(path, where="status=blacklist").set == ImeiSet([A])


def test_comments_are_not_looked_at(text):
    path = text(f"blocked_on,imei\n# a comment\n2024/01/31,{A}\n# WHITELISTED,x\n")
    assert [one.why for one in load(path).report.unread] == ["dates"]


def test_known_words_in_known_formats(text):
    rows = f"{A},20240101,BLACKLISTED\n{B},,Blocked\n{C},,greylisted\n{Z},,\n"
    found = load(text(f"imei,reporting_date,status\n{rows}"))
    assert (found.set, found.report.ignored) == (ImeiSet([A, B, Z]), {"greylisted": 1})
    with pytest.raises(errors.FeedRejects, match="2 'x'"):
        load(text(f"imei,reporting_date,status\n{A},,x\n{B},,x\n"))


def test_the_same_in_a_delta(text):
    path = text(f"imei,operation\n{A},0\n{B},1\n")
    with pytest.raises(errors.FeedColumn, match="expected --change-column operation, with --change-values"):
        read(path, ["change_type"], delta=True)
    options = Options(where="operation=1")
    assert len(read(path, [], options=options, delta=True).keys) == 1
    path = text(f"imei,change_type,remark\n{A},add,stolen\n{B},remove,recovered\n")
    assert len(read(path, ["change_type"], delta=True).keys) == 2
    path = text(f"imei,change_type,remark\n{A},add,recovered\n{B},remove,recovered\n")
    with pytest.raises(errors.FeedColumn, match="'recovered' in 1"):
        read(path, ["change_type"], delta=True)
    path = text(f"imei,remark\n{A},recovered\n")
    assert len(read(path, [], delta=True, polarity="removals").keys) == 1


@pytest.mark.parametrize("title", ["phone2", "second phone", "mobile number"])
def test_imeis_under_titles_of_phones(write, title):
    """IMEIs are IMEIs there; numbers of subscribers stay nobody's business."""
    with pytest.raises(errors.FeedColumn, match=r"--column imei --column .* both"):
        load(write(("imei", title), [(A, B), (C, Z)]))
    assert len(load(write(("imei", title), [(A, "2348012345678"), (C, "+2348012345679")])).set) == 2
    _, report = load(write(("imei", title), [(A, "0"), (C, "2348012345679")]))
    assert report.unread == []


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_titles_of_either_encoding(text, encoding):
    """One row of the other encoding spoils no title."""
    other = f"{C};caf\u00e9;1\n".encode("latin-1" if encoding == "utf-8" else "utf-8")
    data = f"Num\u00e9ro IMEI;note;\u00c9tat\n{A};x;1\n{B};y;0\n".encode(encoding) + other
    for above in (b"", "Terminaux vol\u00e9s\n\n".encode(encoding)):
        path = text(above + data)
        with pytest.raises(errors.FeedColumn, match=r"--where \u00c9tat=VALUE.*'1' in 2, '0' in 1 rows"):
            load(path)
        assert load(path, where="\u00e9tat=1", column="num\u00e9ro imei").set == ImeiSet([A, C])


def test_rows_that_begin_with_a_hash_are_looked_at(text):
    with pytest.raises(errors.FeedColumn, match="--where note=VALUE"):
        load(text(f"no,imei,note\n#1,{A},stolen\n#2,{B},whitelisted\n"))


@pytest.mark.parametrize("first", [1, 10])
@pytest.mark.parametrize("between", " -")
def test_numbers_of_rows_in_the_cells(text, write, first, between):
    """They would be IMEISVs of other phones: '1 3520990...'."""
    cells = [f"{first + row}{between}{imei[: 16 - len(str(first))]}" for row, imei in enumerate((A, B, C))]
    rows = "".join(cell + "\n" for cell in cells)
    for path in (text(rows), text("imei\n" + rows), write(("x", "imei"), [("x", cell) for cell in cells])):
        with pytest.raises(errors.FeedColumn, match=r"3 of the first . rows"):
            load(path)
    with pytest.raises(errors.FeedColumn, match="numbers of rows before IMEIs"):
        screen(text(rows), ImeiSet([A]))
    forms = f"{A[:2]} {A[2:14]}01\n{A[:8]}-{A[8:14]}-01\n{A} 1\n"
    assert load(text(forms)).set == ImeiSet([A])

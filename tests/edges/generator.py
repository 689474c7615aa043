"""Dirty list files from a seed, each drawn on purpose for one kind of input that is easily misunderstood.

A kind is a row of the table of edges: 3 is a lost zero, 11 a status column, r5 short rows, and so on. `draw`
makes the `Sheet` of a seed and a kind, with other dirt beside it.
"""

from edges.cells import luhn
from edges.maker import MAKES, NEUTRAL_TITLES, TACS, Maker, turned
from edges.oracle import ADDS, BLOCKS, CLEARS, GREY, REMOVES
from edges.sheet import Sheet


def base(maker, rows=None, columns=None):
    """A list with a header, one column of IMEIs and some neutral ones."""
    titles = maker.random.sample(
        NEUTRAL_TITLES, columns if columns is not None else maker.random.randint(0, 3)
    )
    place = maker.random.randint(0, len(titles))
    count = rows if rows is not None else maker.pick([1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 120])
    cells = []
    for _ in range(count):
        row = [maker.neutral(title) for title in titles]
        row.insert(place, maker.identity())
        cells.append(row)
    titles = [
        *titles[:place],
        maker.pick(["imei", "IMEI", "Imei", "imei_number", "IMEI No."]),
        *titles[place:],
    ]
    return Sheet(cells, titles), place


def insert_column(maker, sheet, title, values):
    """A further column at any place; values: a function of the row's number."""
    place = maker.random.randint(0, sheet.width)
    rows = [
        [*row[:place], values(n), *row[place:]] if isinstance(row, list) else row
        for n, row in enumerate(sheet.rows)
    ]
    titles = None if sheet.titles is None else [*sheet.titles[:place], title, *sheet.titles[place:]]
    return sheet.but(rows=rows, titles=titles), place


def place_of(sheet, title):
    return sheet.titles.index(title)


def of_imeis(sheet):
    """The place of the first column that has IMEIs by its title."""
    return next(place for place, title in enumerate(sheet.titles) if "imei" in title.lower())


# ---- the kinds ----


def nothing_is_an_imei(maker):
    sheet, place = base(maker, columns=maker.pick([0, 1, 2]))
    kind = maker.pick([lambda: maker.imei() + ".0", lambda: maker.imei()[:13], lambda: "n/a"])
    for row in sheet.rows:
        row[place] = kind()
    return sheet


def lost_zeros(maker):
    sheet, place = base(maker, rows=maker.pick([5, 12, 20, 25, 40]))
    share = maker.pick([0.1, 0.3, 0.6, 1.0])
    imeisv = maker.chance(0.25)
    for row in sheet.rows:
        if imeisv:
            row[place] = maker.wrong() if maker.chance(share * 0.6) else maker.body() + maker.digits(2)
        elif maker.chance(share):
            row[place] = maker.lost()
        else:
            row[place] = maker.pick([maker.imei, maker.genuine14])()
    option = maker.pick([None, None, "keep", "restore", "restore-imeisv"])
    return sheet.but(options={"lost_zeros": option} if option else {})


def hashes(maker):
    sheet, _ = base(maker, rows=maker.pick([2, 5, 10]), columns=maker.pick([0, 1, 2]))
    if sheet.width == 1:
        for n in range(0, len(sheet.rows), 2):
            sheet.rows.insert(n, maker.pick(["#06#35209", "# stolen in May", "#", "#" + maker.imei()]))
        return sheet.but(options=maker.pick([{}, {"irregular": "keep"}]))
    sheet, at = insert_column(maker, sheet, "no", lambda n: f"#{n + 1}")
    if at != 0:  # a row begins with '#' only if its first cell does
        rows = [[row[at], *row[:at], *row[at + 1 :]] for row in [sheet.titles, *sheet.rows]]
        sheet = sheet.but(rows=rows[1:], titles=rows[0])
    if maker.chance(0.3):
        sheet.titles[0] = "#no"
    if maker.chance(0.4):
        sheet.rows.insert(maker.random.randint(1, len(sheet.rows)), "# end of part 1")
    return sheet


STOLEN = [
    ["BLACKLISTED"], ["blacklist", ""], ["Blocked", "WHITELISTED"], ["WHITELISTED"], ["stolen", "found", ""],
]  # fmt: skip
REGISTERED = [["WHITELISTED"], ["whitelist", ""], ["Allowed", "BLACKLISTED"], ["blacklist"]]
REGISTRATION = [
    "approved_imei", "make", "model", "status", "model_number", "brand_name", "device_type",
    "radio_interface", "device_id",
]  # fmt: skip


def statuses_of_formats(maker):
    sheet, _ = base(maker, columns=0)
    if maker.chance(0.6):
        words = maker.pick(STOLEN)
        rows = [[row[0], maker.pick(["20240102", "20241131"]), maker.pick(words)] for row in sheet.rows]
        return sheet.but(rows=rows, titles=["imei", "reporting_date", "status"])
    words, titles = maker.pick(REGISTERED), maker.random.sample(REGISTRATION, len(REGISTRATION))
    values = {"status": lambda: maker.pick(words), "make": lambda: maker.pick(MAKES)}
    rows = [
        [row[0] if title == "approved_imei" else values.get(title, lambda: "x")() for title in titles]
        for row in sheet.rows
    ]
    sheet = sheet.but(rows=rows, titles=titles)
    if maker.chance(0.3):
        words = maker.pick([BLOCKS, CLEARS, ["case 12"]])
        sheet, _ = insert_column(maker, sheet, "flag", lambda n: maker.pick(words))
    return sheet


def blanks_around(maker):
    sheet, place = base(maker)
    for row in sheet.rows:
        row[place] = maker.blanks(row[place]) if maker.chance(0.7) else row[place]
    return sheet.but(quoting=maker.pick(["minimal", "all"]))


def second_column(maker):
    if maker.chance(0.5):
        title = maker.pick(["sim2", "imei2", "second", "IMEI 2", "other"])
        sheet, _ = base(maker)
        share = maker.pick([0.2, 0.6, 1.0])
        sheet, other = insert_column(
            maker, sheet, title, lambda n: maker.imei() if maker.chance(share) else ""
        )
        mine = sheet.titles.index(next(t for t in sheet.titles if "imei" in t.lower() and t != title))
        options = maker.pick([{}, {}, {"column": mine + 1}, {"column": [mine + 1, other + 1]}])
        return sheet.but(options=options)
    sheet, _ = base(maker, columns=0, rows=maker.pick([10, 110, 130]))
    absent = maker.pick(["N/A", "null", "-", "0"])
    rows = [
        [row[0], absent if n < 100 or maker.chance(0.5) else maker.imei()] for n, row in enumerate(sheet.rows)
    ]
    for row in rows:
        row[0] = maker.imei()
    return sheet.but(rows=rows, titles=None, options=maker.pick([{}, {}, {"column": 1}, {"column": [1, 2]}]))


def frames(maker):
    sheet, _ = base(maker)
    return sheet.but(wrap=maker.pick(["pzstd", "pzstd", "zstd", "gzip"]))


STATUS_TITLES = ["equipment_status", "match_response_code", "list", "colour", "blacklisted", "blocked?",
                 "statut", "estado", "state", "status", "flag"]  # fmt: skip
OTHER_TITLES = ["value", "x", "batch"]
PENDING = ["case 12", "see note", "in Lagos"]


def status_column(maker):
    sheet, _ = base(maker)
    title = maker.pick(STATUS_TITLES + OTHER_TITLES)
    words = maker.pick(
        [
            [maker.pick(BLOCKS)],
            [maker.pick(BLOCKS), maker.pick(CLEARS)],
            [maker.pick(BLOCKS), maker.pick(GREY)],
            [maker.pick(CLEARS)],
            ["yes", "no"],
            ["0", "1", "2"],
            ["1"],
            ["0"],
            ["no"],
            ["Y", "N"],
            ["oui", "non"],
            ["si", "no"],
            PENDING,
            [maker.pick(BLOCKS), *PENDING, ""],
        ]
    )  # fmt: skip
    change = maker.pick([str, str.upper, str.title, maker.blanks])
    sheet, place = insert_column(maker, sheet, title, lambda n: change(maker.pick(words)))
    if maker.chance(0.15):
        late = maker.random.randint(0, len(sheet.rows) - 1)
        sheet.rows[late][place] = "Whitelisted"
    if maker.chance(0.4):
        column = maker.pick([title, place + 1])
        word = words[0]
        values = maker.pick([[word], [word.upper(), " stolen "], [f" {word.title()}", "x"], ["nowhere"]])
        return sheet.but(options={"where": (column, values)})
    if maker.chance(0.1):
        return sheet.but(options={"where": ("not there", ["x"])})
    if maker.chance(0.2):
        lists = [row for row in sheet.rows if isinstance(row, list)]
        for row in lists:
            row[-1 if place == sheet.width - 1 else place] = row[place]
    return sheet


def changes(maker):
    sheet, _ = base(maker)
    if maker.chance(0.3):
        name = maker.pick(
            ["eir_INCREMENTAL_2024.csv", "a_DELTA_b.csv", "changes-2024.csv", "daily.diff.csv",
             "incremental.csv", "different.csv", "list incr 7.csv"]
        )  # fmt: skip
        return sheet.but(name=name)
    title = maker.pick(["Operation", "action", "op", "change", "change_type", "what"])
    words = maker.pick(
        [["add", "remove"], ["insert", "delete"], ["A", "D", "U"], ["I", "R"], ["0", "1"], ["add"], ["1"],
         ["update"], [maker.pick(ADDS), maker.pick(REMOVES)], ["removed"], ["new"], PENDING]
    )  # fmt: skip
    sheet, _ = insert_column(maker, sheet, title, lambda n: maker.pick(words))
    if maker.chance(0.3) and title != "change_type":
        return sheet.but(options={"where": (title, [words[0]])})
    return sheet


def subscribers(maker):
    sheet, _ = base(maker)
    title = maker.pick(["imsi", "IMSI", "imsi_1", "served imsi", "sim", "Subscriber ID"])
    sheet, _ = insert_column(maker, sheet, title, lambda n: "26201" + maker.digits(maker.pick([10, 10, 0])))
    return sheet.but(options=maker.pick([{}, {"imsi": "ignore"}]))


def serials(maker):
    count = maker.pick([1, 3, 12])
    if maker.chance(0.6):
        title = maker.pick(["snr", "serial", "serial_number", "SN"])
        rows = [[maker.pick(TACS), maker.digits(6)] for _ in range(count)]
        return Sheet(rows, ["tac", title])
    rows = [[tac, maker.pick(MAKES)] for tac in maker.random.sample(TACS, min(count, 6))]
    return Sheet(rows, ["tac", "make"])


def required(maker):
    sheet, place = base(maker)
    for row in sheet.rows:
        row[place] = maker.pick(
            [maker.imei, maker.imei, maker.genuine14, maker.lost, maker.wrong,
             lambda: maker.body() + "0", lambda: maker.body() + maker.digits(2),
             maker.filler, maker.svn, maker.pei]
        )()  # fmt: skip
    options = {"check_digit": maker.pick(["require", "require", "spare"])}
    if maker.chance(0.3):
        options["irregular"] = "keep"
    return sheet.but(options=options)


def placeholders(maker):
    sheet, place = base(maker)
    for row in sheet.rows:
        if maker.chance(0.4):
            row[place] = maker.pick(
                ["0" * 15, "1" * 15, "9" * 15, "001001234567890", "001017000000000", "001018123456789",
                 "00440123456789" + luhn("00440123456789"), "0086" + maker.digits(11), "0" * 16]
            )  # fmt: skip
    return sheet


def dates(maker):
    sheet, _ = base(maker)
    title = maker.pick(["date", "reporting_date", "block_date", "blocked_on", "since"])
    forms = ["20240131", "2024-01-31", "2024/01/31", "2024.01.31", "2024-01-31T10:00:00Z",
             "2024-01-31 23:59:59+02:00"]  # fmt: skip
    others = ["31.01.2024", "2024-02-30", "45000", "01/02/24", "yesterday", "2024-13-01", ""]
    mixed = maker.chance(0.6)
    sheet, _ = insert_column(
        maker, sheet, title, lambda n: maker.pick(others if mixed and maker.chance(0.4) else forms)
    )
    if maker.chance(0.3):
        sheet, _ = insert_column(
            maker, sheet, maker.pick(["reasons", "reason"]), lambda n: maker.pick(["stolen", "lost"])
        )
    if maker.chance(0.4):
        dates = {"date_column": title, "date_format": maker.pick([None, "%d.%m.%Y", "excel"])}
        return sheet.but(dates=dates)
    return sheet


def several(maker):
    sheet, _ = base(maker, columns=maker.pick([0, 1]))
    sheet.titles[of_imeis(sheet)] = "IMEI1"
    share = maker.pick([0.3, 0.8])

    def cell(_):
        if not maker.chance(share):
            return ""
        return maker.identity() if maker.chance(0.9) else maker.bad()

    sheet, _ = insert_column(maker, sheet, "IMEI2", cell)
    names = ["IMEI1", "IMEI2"]
    if maker.chance(0.3):
        sheet, _ = insert_column(maker, sheet, "IMEI3", cell)
        names.append("IMEI3")
    first = place_of(sheet, "IMEI1")
    for row in sheet.rows:
        if maker.chance(0.15):
            row[first] = maker.pick(["", maker.bad()])
    if maker.chance(0.15):
        return sheet
    numbers = [place_of(sheet, name) + 1 for name in names]
    return sheet.but(options={"column": maker.pick([names, numbers, names[:1]])})


def of_form(*names):
    def made(maker):
        sheet, place = base(maker)
        for row in sheet.rows:
            if maker.chance(0.6):
                row[place] = getattr(maker, maker.pick(names))()
        return sheet

    return made


def spreadsheets(maker):
    sheet = of_form("spreadsheet")(maker)
    roll = maker.random.random()
    if roll < 0.3:
        return sheet.but(wrap="zip of a Mac")
    if roll < 0.5 and not any('"' in cell and not cell.startswith("=") for row in sheet.rows for cell in row):
        clean = [[cell.replace(",", " ") for cell in row] for row in sheet.rows]
        return sheet.but(rows=clean, quoting="none")
    return sheet


def peis(maker):
    sheet = of_form("pei")(maker)
    at = of_imeis(sheet)
    sheet.titles[at] = maker.pick(["pei", "PEI", "imei"])
    return sheet


def short_rows(maker):
    sheet, place = base(maker, columns=maker.pick([1, 2, 3]))
    if maker.chance(0.3):
        for row in sheet.rows:
            row[place] = maker.imei()
        titles = None if maker.chance(0.5) else sheet.titles
        options = {"column": place + 1} if titles is None else {}
        rows = [[cell or "x" for cell in row] for row in sheet.rows]
        return sheet.but(rows=rows, trailing=True, titles=titles, options=options)
    for n, row in enumerate(sheet.rows):
        if maker.chance(0.4):
            sheet.rows[n] = row[: maker.random.randint(max(1, place), len(row))]
        elif maker.chance(0.2):
            sheet.rows[n] = [*row, *maker.pick([[""], ["", ""], ["surplus"]])]
    return sheet


def lines_above(maker):
    sheet, _ = base(maker, columns=maker.pick([1, 2, 3]))
    lines = maker.pick(
        [["Licensed to you by the operator"], ["Report of stolen phones", ""],
         ["Stolen phones", "made 2024-01-31"], ["x", "y", "z"]]
    )  # fmt: skip
    sheet = sheet.but(preamble=lines)
    return sheet.but(options={"skip": len(lines)}) if maker.chance(0.5) else sheet


def titles(maker):
    sheet, _ = base(maker)
    at = of_imeis(sheet)
    sheet.titles[at] = maker.pick(
        ["servedIMEI", "servedIMEISV", "calling_imei", "IMEI/MEID", "IMEI1", "numero_imei", "N° IMEI",
         "imei_date", "imeis", "Device IMEI"]
    )  # fmt: skip
    if sheet.titles == ["imei_date"]:  # nothing would tell it from a row that is not an IMEI
        sheet.titles = ["imei"]
    if maker.chance(0.3):
        sheet, _ = insert_column(
            maker,
            sheet,
            maker.pick(["imei_status", "imei_count", "imei_make"]),
            lambda n: maker.pick(PENDING),
        )
    if maker.chance(0.2):
        sheet.options["column"] = maker.pick([at + 1, "imei", "IMEI 1", 17])
    return sheet


def tbcd_and_others(maker):
    if maker.chance(0.5):
        return of_form("svn", "urn")(maker)
    sheet, place = base(maker, rows=maker.pick([5, 12, 30]))
    for row in sheet.rows:
        text = maker.pick(["35", "86"]) + maker.digits(14)
        row[place] = turned(maker.pick([text, text, text[:15], text[:14]]))
    option = maker.pick([{}, {"tbcd": True}, {"tbcd": True}, {"tbcd": False}])
    return sheet.but(options=option)


KINDS = {
    "2": nothing_is_an_imei, "3": lost_zeros, "4": hashes, "6": statuses_of_formats, "7": blanks_around,
    "8": second_column, "9": frames, "11": status_column, "12": changes, "13": subscribers, "14": serials,
    "15": required, "16": placeholders, "17": dates, "r1": several, "r2": peis, "r3": of_form("filler"),
    "r4": spreadsheets, "r5": short_rows, "r6": lines_above, "r7": titles, "r8": tbcd_and_others,
}  # fmt: skip


def draw(seed, kind):
    """The sheet of a seed, of a kind, with some dirt beside what the kind has."""
    maker = Maker(f"{seed} {kind}")
    sheet = KINDS[kind](maker)
    if sheet.quoting != "none":
        sheet = dirt(maker, sheet, kind)
    return sheet.but(themes={kind})


def dirt(maker, sheet, kind):
    """Other delimiters, line ends, marks and rows."""
    changes = {}
    if maker.chance(0.3) and sheet.width > 1:
        changes["delimiter"] = maker.pick([";", "\t", "|"])
    changes["bom"] = maker.chance(0.1)
    changes["ends"] = maker.pick(["\n", "\n", "\r\n"])
    changes["marker"] = maker.chance(0.05) and sheet.width > 1 and not sheet.preamble
    changes["last_end"] = maker.chance(0.85)
    if maker.chance(0.15) and sheet.quoting == "minimal" and kind != "4":
        changes["quoting"] = "all"
    if not sheet.wrap and maker.chance(0.05):
        changes["wrap"] = maker.pick(["gzip", "zip"])
    sheet = sheet.but(**changes)
    rows = list(sheet.rows)
    head = sheet.titles is not None
    if head and kind not in ("2", "14") and maker.chance(0.4) and "imei" in " ".join(sheet.titles).lower():
        at = of_imeis(sheet)
        for row in rows:
            if isinstance(row, list) and len(row) > at and maker.chance(0.1):
                row[at] = maker.pick([maker.bad(), maker.bad(), "", maker.identity()])
    if head and rows and maker.chance(0.2):
        rows.insert(maker.random.randint(1, len(rows)), None)
    if head and rows and maker.chance(0.15) and kind != "4":
        rows.insert(maker.random.randint(0, len(rows)), "# a comment")
    if rows and maker.chance(0.2):
        rows += [list(row) for row in rows[:3] if isinstance(row, list)]
    if head and maker.chance(0.02):
        rows = []
    options = dict(sheet.options)
    if "irregular" not in options and maker.chance(0.1):
        options["irregular"] = "keep"
    return sheet.but(rows=rows, options=options)

"""The slow twin of reading a list: what docs/feeds.md says of a `Sheet`, in plain Python, and no more.

`understand` gives the `Reading` that a load must report, or what refuses the file. It was written from the
documentation, and never from the code. Where that page leaves something open, the oracle has a *doubt*: then
a refusal for that reason is right, and so is the reading.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from edges.cells import BLANKS, cell_of, is_date, is_placeholder, luhn, valid

ABSENT = {"", "n/a", "na", "null", "none", "-", ".", "unknown", "0"}

BLOCKS = {
    "blacklist", "blacklisted", "black", "block", "blocked", "stolen", "lost", "barred", "deny", "denied",
    "bloqueado", "bloqué", "gesperrt",
}  # fmt: skip
CLEARS = {
    "whitelist", "whitelisted", "white", "allow", "allowed", "clear", "unblock", "unblocked", "recovered",
    "found", "permitted",
}  # fmt: skip
GREY = {"greylist", "greylisted", "grey", "graylist", "graylisted", "gray"}
ADDS = {"add", "added", "insert", "inserted", "new"}
REMOVES = {"remove", "removed", "delete", "deleted", "withdrawn"}
UPDATES = {"update", "updated", "change", "changed", "modify", "modified"}
NEGATIVE = {"no", "0", "false", "nein", "non", "nao", "não"}
YES_NO = NEGATIVE | {"yes", "si", "sí", "sì", "oui", "ja", "sim", "true", "y", "n", "t", "f", "1", "2"}
CHANGE_CODES = {"a", "d", "u", "i", "r"}
CODES = YES_NO | CHANGE_CODES
WORDS = BLOCKS | CLEARS | GREY | ADDS | REMOVES | UPDATES | CODES

STATUS_TITLES = {
    "status", "state", "estado", "statut", "etat", "list", "colour", "blacklisted", "blocked",
    "matchresponsecode", "equipmentstatus", "flag",
}  # fmt: skip
CHANGE_TITLES = {"action", "operation", "op", "change"}
LIKE_BLOCKED = {"blacklisted", "blocked"}
IMEI_TITLES = {
    "imei", "imeis", "imeino", "imeinumber", "imeicode", "imeisv", "approvedimei", "blockedimei",
    "deviceimei", "servedimei", "servedimeisv", "pei",
}  # fmt: skip
NOT_OF_IMEIS = ("status", "date", "count", "type", "flag", "valid", "make", "model", "reason", "list")
FORMATS = {
    "stolen": {"imei", "reportingdate", "status"},
    "registration": {"approvedimei", "make", "model", "status", "modelnumber", "brandname"},
}
COUNTING = {"stolen": BLOCKS, "registration": CLEARS}
SERIALS = {"snr", "serial", "serialnumber", "sn"}
DATES = {"date", "reportingdate", "blockdate"}
REASONS = {"reasons", "reason"}
SUBSCRIBERS = ("imsi", "msisdn", "iccid")
SUBSCRIBERS_ALONE = {"sim", "subscriberid"}
DELTA_WORDS = {"delta", "incremental", "incr", "diff", "changes"}


@dataclass
class Reading:
    """What a load has to report, or why it must not."""

    keys: set[int] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    tacs: set[int] = field(default_factory=set)
    rows: int = 0
    accepted: int = 0
    ignored: int = 0
    rejected: int = 0
    identities: int = 0
    partly: int = 0
    lost_zeros: int = 0
    lost_zeros_imeisv: int = 0
    placeholders: int = 0
    dates: int = 0  # not understood
    preamble: int = 0
    written: Counter[str] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    unread: set[int] = field(default_factory=set)  # columns that must be named
    may_unread: set[int] = field(default_factory=set)  # and those that may be
    taken: list[list[str]] = field(default_factory=list)  # the rows of which something is in the set
    records: list[list[Any]] = field(default_factory=list)  # the cells of IMEIs of each row that counts
    refusals: set[str] = field(default_factory=set)
    doubts: set[str] = field(default_factory=set)


def plain(title):
    return re.sub(r"[\W_]", "", title).lower()


# ---- a file ----


def understand(sheet):
    """The `Reading` of a sheet with its options."""
    reading = Reading()
    options = sheet.options
    words = set(re.split(r"[_\-. ]", sheet.name.lower()))
    if words & DELTA_WORDS:
        reading.refusals.add("delta name")
    rows, plains = begun(sheet, reading, irregular=options.get("irregular") == "keep")
    if "empty" in reading.refusals:
        return reading
    # Lines that are found above the header are comments or blank; those that are skipped are comments.
    reading.preamble = sum(bool(line) or "skip" in options for line in sheet.preamble)
    if "changetype" in plains:
        reading.refusals.add("delta")
    if "tac" in plains and not any("imei" in title for title in plains) and "column" not in options:
        return tac_list(sheet, reading, plains, rows)
    columns = identity_columns(sheet, reading, plains, rows)
    if not columns:
        return reading
    places = used_columns(sheet, reading, plains, columns, rows)
    read_rows(sheet, reading, rows, columns, places)
    look_for_tbcd(sheet, reading, rows, columns)
    for place in range(sheet.width):
        if place not in columns and place not in places.values():
            look(sheet, reading, plains, rows, place)
    if reading.rows and not reading.accepted:
        # Rows of which a part is taken, and both kinds of rows that are not, are left open.
        mixed = reading.partly or (reading.rejected and reading.ignored)
        why = {"rejected"} if not reading.ignored else {"none counts"} if not reading.rejected else set()
        if mixed:
            reading.doubts |= {"rejected", "none counts"}
        else:
            reading.refusals |= why
    return reading


def understand_records(sheet):
    """The `Reading` of a sheet that is screened: its other columns are nobody's business."""
    reading = Reading()
    rows, plains = begun(sheet, reading, irregular=True)
    if "empty" in reading.refusals:
        return reading
    if columns := identity_columns(sheet, reading, plains, rows):
        read_rows(sheet, reading, rows, columns, {})
        look_for_tbcd(sheet, reading, rows, columns)
        if reading.rows and not reading.accepted:
            (reading.doubts if reading.partly else reading.refusals).add("rejected")
    return reading


def begun(sheet, reading, irregular):
    """The rows and the titles, without case, spaces and punctuation."""
    rows = rows_of(sheet, irregular)
    if sheet.titles is None:
        reading.refusals |= set() if rows else {"empty"}
        return rows, [""] * sheet.width
    if sheet.titles[0].startswith("#") and sheet.quoting != "all":
        if not rows:
            reading.refusals.add("empty")
        elif all(sheet.line(row).startswith("#") for row in rows):
            reading.doubts.add("empty")
    return rows, [plain(title) for title in sheet.titles]


def rows_of(sheet, irregular):
    """The rows, which are lines that are neither blank nor comments. irregular: '#06#35209' is one."""
    rows = []
    for row in sheet.rows:
        if row is not None:
            line = row if isinstance(row, str) else sheet.line(row)
            cells = line.split(sheet.delimiter) if isinstance(row, str) else row
            if not line.startswith("#") or is_row(sheet, cells, irregular):
                rows.append(cells)
    return rows


def is_row(sheet, cells, irregular):
    """Whether a line that begins with '#' is a row."""
    if sheet.width > 1:
        return len(cells) == sheet.width
    text = ",".join(cells).strip(BLANKS)
    return irregular and re.fullmatch("[0-9A-Fa-f*#]{1,16}", text) and re.search("[0-9]", text)


def at(cells, place):
    """The cell of a row; what is missing is empty."""
    return cells[place].strip(BLANKS) if place < len(cells) else ""


def named(sheet, plains, wanted):
    """The place of a column by title or number; None if it is not there."""
    if isinstance(wanted, int):
        return wanted - 1 if 1 <= wanted <= sheet.width else None
    found = [place for place, title in enumerate(plains) if title == plain(wanted)]
    if len(found) == 1 and sheet.titles is not None:
        return found[0]
    return int(wanted) - 1 if wanted.isdigit() and int(wanted) <= sheet.width else None


def identity_columns(sheet, reading, plains, rows):
    asked = sheet.options.get("column")
    if asked is not None:
        places = [
            named(sheet, plains, one) for one in (asked if isinstance(asked, list | tuple) else [asked])
        ]
        if None in places:
            reading.refusals.add("missing")
            return []
        for one in asked if isinstance(asked, list | tuple) else [asked]:
            title = plains[one - 1] if isinstance(one, int) else ""
            if "imei" not in title and of_subscribers(title) and plains.count(title) == 1:
                reading.refusals.add("column")  # its title takes it
        return places
    if sheet.titles is not None:
        speaking = [place for place, title in enumerate(plains) if speaks(title)]
        if len(speaking) != 1:
            reading.refusals.add("column")
            return []
        return speaking
    sample = rows[:100]
    if sheet.width == 1:
        return [0]
    good = [
        place
        for place in range(sheet.width)
        if sum(cell_of(at(row, place), {}).kind == "key" for row in sample) >= 0.9 * len(sample)
    ]
    if len(good) != 1:
        reading.refusals.add("column")
        return []
    for place in range(sheet.width):
        if place == good[0]:
            continue
        cells = [at(row, place) for row in sample]
        nothing = all(cell.lower() in ABSENT for cell in cells)
        blank = all(not cell for cell in cells)
        if nothing and not (blank and sheet.trailing):
            reading.refusals.add("column")
        elif any(14 <= len(cell) <= 16 and cell.isdigit() for cell in cells):
            (
                reading.refusals if all(14 <= len(c) <= 16 and c.isdigit() for c in cells) else reading.doubts
            ).add("column")
    return good


def of_subscribers(title):
    return title in SUBSCRIBERS_ALONE or any(subscriber in title for subscriber in SUBSCRIBERS)


def speaks(title):
    """Whether a title speaks of IMEIs."""
    if title in IMEI_TITLES:
        return True
    if "imei" not in title:
        return False
    return not any(f"imei{word}" in title or f"{word}imei" in title for word in NOT_OF_IMEIS)


def used_columns(sheet, reading, plains, columns, rows):
    """The places of the columns that are read, besides those of IMEIs."""
    places = {}
    options = sheet.options
    if (where := options.get("where")) is not None:
        place = named(sheet, plains, where[0])
        if place is None:
            reading.refusals.add("missing")
        else:
            places["where"] = place
    for format, titles in FORMATS.items():
        if titles <= set(plains) and "where" not in places:
            places[format] = plains.index("status")
    for name, titles in (("date", DATES), ("reasons", REASONS)):
        found = [place for place, title in enumerate(plains) if title in titles and place not in columns]
        if len(found) == 1:
            places[name] = found[0]
    for place, title in enumerate(plains):
        filled = [cell for row in rows[:100] if (cell := at(row, place))]
        numbers = bool(filled) and all(re.fullmatch("[0-9]{14,15}", cell) for cell in filled)
        if ("imsi" in title or (title in SUBSCRIBERS_ALONE and numbers)) and place not in columns:
            if options.get("imsi") == "ignore":
                places["imsi"] = place
            else:
                reading.refusals.add("imsi")
    return places


def counts(sheet, places, cells):
    """Whether a row counts, by the column that was named, or by the status of a known format."""
    if "where" in places:
        wanted = {value.strip(BLANKS).lower() for value in sheet.options["where"][1]}
        return at(cells, places["where"]).lower() in wanted
    for format, words in COUNTING.items():
        if format in places:
            return at(cells, places[format]).lower() in words | {""}
    return True


def read_rows(sheet, reading, rows, columns, places):
    must_reach = max([*columns, places.get("where", 0)])
    plains = [plain(title) for title in sheet.titles or []]
    date_place = named(sheet, plains, sheet.dates["date_column"]) if sheet.dates else places.get("date")
    kept = []
    for cells in rows:
        reading.rows += 1
        while len(cells) > sheet.width and not cells[-1].strip(BLANKS):
            cells = cells[:-1]
        if len(cells) > sheet.width or len(cells) <= must_reach:
            reading.rejected += 1
            reading.records.append([])
            continue
        if not counts(sheet, places, cells):
            reading.ignored += 1
            continue
        found = [cell_of(at(cells, place), sheet.options) for place in columns]
        reading.records.append(found)
        taken = [cell for cell in found if cell.kind in ("key", "text")]
        reading.taken += [cells] if taken else []
        if not taken or any(cell.kind == "bad" for cell in found):
            reading.rejected += 1
            reading.partly += bool(taken)
        else:
            reading.accepted += 1
            if date_place is not None:
                date = at(cells, date_place)
                reading.dates += bool(date) and not is_date(date, sheet.dates.get("date_format"))
        kept += taken
    for cell in kept:
        reading.identities += 1
        if cell.kind == "text":
            reading.texts.add(cell.text)
            continue
        reading.keys.add(cell.key)
        reading.lengths[len(cell.digits)] += 1
        if cell.form not in ("digits", "irregular"):
            reading.written[cell.form] += 1
        reading.written["separators"] += cell.separated
        reading.placeholders += is_placeholder(cell.key)
    lost(sheet, reading, kept)


def look_for_tbcd(sheet, reading, rows, columns):
    if sheet.options.get("tbcd") is None:
        reading.refusals |= turned(rows, columns, "[0-9]{16}")
        reading.doubts |= turned(rows, columns, "[0-9]{14}|[0-9]{16}")
        # Of all rows that count, and of texts that begin with 14 digits: which these are is left open here.
        if sum(bool(re.match("(?:53|68)[0-9]{12}", at(cells, columns[0]))) for cells in rows) >= 10:
            reading.doubts.add("tbcd")


def turned(rows, columns, pattern):
    """Whether the first rows look like digits in the order of TBCD."""
    texts = [at(cells, columns[0]) for cells in rows[:100]]
    long = [text for text in texts if re.fullmatch(pattern, text)]
    count = sum(text[:2] in ("53", "68") for text in long)
    return {"tbcd"} if len(long) >= 10 and 2 * count >= len(long) else set()


def lost(sheet, reading, kept):
    """Suspects of lost zeros. Cells of TBCD never were numbers."""
    if sheet.options.get("tbcd"):
        return
    option = sheet.options.get("lost_zeros")
    keys = [cell for cell in kept if cell.kind == "key" and cell.form != "irregular"]
    bare = [cell for cell in keys if cell.form == "digits" and not cell.separated]
    if option != "restore":
        fourteen = [cell for cell in bare if len(cell.digits) == 14]
        reading.lost_zeros = sum(luhn("0" + cell.digits[:13]) == cell.digits[13] for cell in fourteen)
        if option is None and reading.lost_zeros >= 10:
            if 2 * reading.lost_zeros >= sum(len(cell.digits) == 14 for cell in keys):
                reading.refusals.add("lost zeros")
            elif 2 * reading.lost_zeros >= len(fourteen):
                reading.doubts.add("lost zeros")
    if option != "restore-imeisv":
        fifteen = [cell for cell in bare if len(cell.digits) == 15]
        sixteen = sum(len(cell.digits) == 16 for cell in keys)
        wrong = sum(cell.digits[14] not in (luhn(cell.digits[:14]), "0") for cell in fifteen)
        reading.lost_zeros_imeisv = wrong if sixteen > sum(len(cell.digits) == 15 for cell in keys) else 0
        if option is None and reading.lost_zeros_imeisv >= 10 and 2 * wrong >= len(fifteen):
            reading.refusals.add("lost zeros")


def look(sheet, reading, plains, rows, place):
    """A column that nobody asked for."""
    title = plains[place]
    cells = [at(row, place) for row in rows if len(row) <= sheet.width]
    filled = [cell for cell in cells if cell]
    if not of_subscribers(title) and filled:
        good = sum(valid(cell) for cell in filled[:100])
        if 2 * good > len(filled[:100]):
            if "column" in sheet.options:
                reading.unread.add(place)
            else:
                reading.refusals.add("column")
            return
        if any(cell_of(cell, {}).kind == "key" for cell in filled):
            reading.may_unread.add(place)
    if filled and all(map(is_date, filled)):
        reading.unread.add(place)
    elif any(re.match("[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]", cell) or is_date(cell) for cell in filled):
        reading.may_unread.add(place)
    first = {cell.lower() for cell in cells[:100] if cell}
    titled = title in STATUS_TITLES | CHANGE_TITLES
    if not titled and not (len(first) <= 16 and first & WORDS):
        if "status" in title or "state" in title:
            reading.may_unread.add(place)
        return
    lets_through = FORMATS["registration"] <= set(plains)
    wrong, perhaps = watched(title, {at(row, place).lower() for row in reading.taken}, lets_through)
    if not titled and len(first) == 1 and first <= CODES:
        reading.may_unread.add(place)  # one code says nothing
    elif not wrong:
        reading.unread.add(place)
    # Of rows that are rejected or ignored, words may be seen.
    others = watched(title, {cell.lower() for cell in filled}, lets_through)
    reading.refusals |= wrong
    reading.doubts |= perhaps.union(*others)


def watched(title, values, lets_through):
    """What is wrong with the values of a watched column, and what may be."""
    codes = values & CODES
    if title in CHANGE_TITLES:
        if values & (ADDS | REMOVES | UPDATES | CHANGE_CODES) or len(codes) > 1:
            return {"change"}, set()
        if codes:
            return set(), {"change"}
    if values & ADDS and values & REMOVES:
        return {"change"}, set()
    if values & (BLOCKS if lets_through else CLEARS | REMOVES | GREY):
        return {"where"}, set()
    if title in STATUS_TITLES:
        if len(codes) > 1 or (title in LIKE_BLOCKED and values & NEGATIVE and not lets_through):
            return {"where"}, set()
        if title in LIKE_BLOCKED and values & {"n", "f"}:
            return set(), {"where"}
    return set(), set()


def tac_list(sheet, reading, plains, rows):
    if set(plains) & SERIALS:
        reading.refusals.add("serial")
        return reading
    place = plains.index("tac")
    for cells in rows:
        reading.rows += 1
        text = at(cells, place)
        if re.fullmatch("[0-9]{8}", text) and len(cells) <= sheet.width:
            reading.accepted += 1
            reading.tacs.add(int(text))
        else:
            reading.rejected += 1
    for other in range(sheet.width):
        if other != place:
            cells = [at(row, other) for row in rows]
            if cells and all(re.fullmatch("[0-9]{6}", cell) for cell in cells):
                reading.refusals.add("serial")
            look(sheet, reading, plains, rows, other)
    if reading.rows and not reading.accepted:
        reading.refusals.add("rejected")
    return reading

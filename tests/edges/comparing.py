"""A sheet loaded, and held against the oracle: what differs, in words; and the smallest that differs."""

from collections import Counter

import numpy as np

import imeiset
from edges.oracle import understand, understand_records
from imeiset import ImeiSet
from imeiset.errors import FeedColumn, FeedEmpty, FeedError, FeedLostZeros, FeedRejects
from imeiset.feeds import Options, read

# How a refusal has to speak of its reason: the kind of error, and one of the words.
SAYS = {
    "where": (FeedColumn, "--where"),
    "change": (FeedColumn, "--change-column", "--where"),
    "column": (FeedColumn, "--column"),
    "imsi": (FeedColumn, "--imsi ignore"),
    "lost zeros": (FeedLostZeros, "--lost-zeros restore"),
    "tbcd": (FeedColumn, "--no-tbcd"),
    "delta": (FeedColumn, "imeiset apply", "--change-column"),
    "delta name": (FeedColumn, "rename"),
    "serial": (FeedColumn, "snr", "serial", "SN"),
    "missing": (FeedColumn, "got"),
    "empty": (FeedEmpty, "rows"),
    "rejected": (FeedRejects, "reject", "expected IMEIs"),
    "none counts": (FeedRejects, "count"),
}


def options_of(sheet):
    """The options as `load` takes them."""
    options = dict(sheet.options)
    if "where" in options:
        column, values = options["where"]
        options["where"] = {column: values}
    return options


def differences(sheet, directory, misread=None):
    """What a load of the sheet does otherwise than the oracle; an empty list if nothing.

    misread: changes the path and the options on their way, as a fault in the code would.
    """
    reading = understand(sheet)
    path, options = directory / sheet.name, options_of(sheet)
    path.write_bytes(sheet.data())
    if misread:
        path, options = misread(path, options)
    return differences_from(reading, sheet, path, options)


def differences_from(reading, sheet, path, options, unlike=()):
    """What a load of a file does otherwise than a reading says. unlike: what of it a file cannot have."""
    try:
        result = imeiset.load(path, **options)
        dates = read(path, ["date"], options=Options.of({**options, **sheet.dates})).report
    except FeedError as error:
        return unexpected(error, reading)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        path.unlink()
    if reading.refusals:
        return [f"read, and has to be refused for {sorted(reading.refusals)}"]
    found = unequal(sheet, reading, result, dates.dates_not_understood.count)
    return [one for one in found if one.split(":")[0] not in unlike]


ASKED_OF_RECORDS = {"column", "lost_zeros", "skip", "tbcd"}


def record_differences(sheet, directory):
    """The same of the sheet as records, screened for every other phone in them."""
    options = {name: value for name, value in sheet.options.items() if name in ASKED_OF_RECORDS}
    sheet = sheet.but(options=options)
    reading = understand_records(sheet)
    listed = set(sorted(reading.keys)[::2])
    path = directory / "calls.csv"
    path.write_bytes(sheet.data())
    try:
        report = imeiset.screen(path, ImeiSet.from_keys(np.array(sorted(listed), np.uint64)), **options)
    except FeedError as error:
        return unexpected(error, reading)
    finally:
        path.unlink()
    if reading.refusals:
        return [f"screened, and has to be refused for {sorted(reading.refusals)}"]
    answers = Counter(answer(record, listed) for record in reading.records)
    words = Counter({word.split(":")[0]: 0 for word in report.words})
    for word, count in report.words.items():
        words[word.split(":")[0]] += count
    return [] if words == answers else [f"words: {dict(words)}, and has to be {dict(answers)}"]


def answer(record, listed):
    """What a record is, by its cells of IMEIs: a hit counts most, then one that is malformed."""
    if any(cell.kind == "key" and cell.key in listed for cell in record):
        return "listed"
    blank = all(cell.kind == "blank" for cell in record)
    return "malformed" if blank or any(cell.kind == "bad" for cell in record) else "not listed"


def unexpected(error, reading):
    expected = reading.refusals | reading.doubts
    if any(explains(error, why) for why in expected):
        return []
    return [f"refused, and for none of {sorted(expected)}: {type(error).__name__}: {error}"]


def explains(error, why):
    kind, *words = SAYS[why]
    return isinstance(error, kind) and any(word in str(error) for word in words)


def unequal(sheet, reading, result, dates):
    found = []

    def same(what, got, right):
        if got != right:
            found.append(f"{what}: {shown(got)}, and has to be {shown(right)}")

    report = result.report
    if reading.tacs:
        same("keys", len(result.set), len(reading.tacs) * 10**6)
    else:
        keys = set(np.asarray(result.set.to_numpy()).tolist())
        same("keys too many", sorted(keys - reading.keys), [])
        same("keys missing", sorted(reading.keys - keys), [])
        same("texts", report.texts, len(reading.texts))
        same("identities", report.identities, reading.identities)
        same("duplicates", report.duplicates, reading.identities - len(reading.keys) - len(reading.texts))
        same("forms", sum(report.forms.values()), sum(reading.lengths.values()))
    same("rows", report.rows, reading.rows)
    same("accepted", report.accepted, reading.accepted)
    same("ignored", sum(report.ignored.values()), reading.ignored)
    same("rejected", report.rejected, reading.rejected)
    same("partly", report.partly, reading.partly)
    if sheet.options.get("lost_zeros") not in ("restore", "restore-imeisv"):
        same("lost zeros", report.lost_zeros.count, reading.lost_zeros)
        same("lost zeros of IMEISVs", report.lost_zeros_imeisv.count, reading.lost_zeros_imeisv)
    same("placeholders", sum(one.count for one in report.placeholders.values()), reading.placeholders)
    written = {name: count for name, count in report.written.items() if count}
    same("written", written, {name: count for name, count in reading.written.items() if count})
    same("preamble", report.preamble, reading.preamble)
    same("dates", dates, reading.dates)
    lines = report.rows + report.headers + report.blank + report.comments + report.continued
    same("lines", report.lines, lines)
    named = {place_of(sheet, one.column) for one in report.unread}
    same("columns not named", sorted(reading.unread - named), [])
    same("columns named", sorted(named - reading.unread - reading.may_unread), [])
    return found


def place_of(sheet, column):
    """The place of a column as a report names it: by its title, or by its number."""
    if isinstance(column, int):
        return column - 1
    if sheet.titles is not None and column in sheet.titles:
        return sheet.titles.index(column)
    return int(column) - 1 if str(column).isdigit() else column


def shown(value):
    text = repr(value)
    return text if len(text) < 300 else text[:300] + "..."


def shrunken(sheet, fails):
    """The smallest sheet found that fails too: fewer rows, fewer columns, plainer bytes, fewer options."""
    for _ in range(4):
        before = repr(sheet)
        for change in plainer(sheet):
            if fails(smaller := sheet.but(**change)):
                sheet = smaller
        sheet = fewer_rows(sheet, fails)
        sheet = fewer_columns(sheet, fails)
        if repr(sheet) == before:
            break
    return sheet


PLAIN = {
    "wrap": "", "bom": False, "ends": "\n", "marker": False, "last_end": True, "delimiter": ",",
    "trailing": False, "quoting": "minimal",
}  # fmt: skip


def plainer(sheet):
    yield from ({name: value} for name, value in PLAIN.items())
    for name in sheet.options:
        yield {"options": {other: value for other, value in sheet.options.items() if other != name}}


def fewer_rows(sheet, fails):
    size = len(sheet.rows) // 2
    while size:
        at = 0
        while at < len(sheet.rows):
            smaller = sheet.but(rows=sheet.rows[:at] + sheet.rows[at + size :])
            if fails(smaller):
                sheet = smaller
            else:
                at += size
        size //= 2
    return sheet


def fewer_columns(sheet, fails):
    for place in range(sheet.width - 1, -1, -1):
        rows = [row[:place] + row[place + 1 :] if isinstance(row, list) else row for row in sheet.rows]
        titles = None if sheet.titles is None else sheet.titles[:place] + sheet.titles[place + 1 :]
        if sheet.width > 1 and fails(smaller := sheet.but(rows=rows, titles=titles)):
            sheet = smaller
    return sheet

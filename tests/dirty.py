"""A dirty column, and what a list has to say of it by the oracle."""

import datetime

import oracle

from imeiset import EquipmentStatus, ImeiSet, Policy, Register

GOOD = "490154203237518"
LISTED = [GOOD, "352099001761481", "86012345678901"]
FOREIGN = {ord("0") + i: 0x0660 + i for i in range(10)}  # to Arabic-Indic digits
COLUMN = [
    GOOD, None, "", "49015420323751", "4901542032375106", "490154203237510", "352099001761499", "x" * 40,
    "35-209900-176148-1", GOOD * 3, GOOD.translate(FOREIGN), "52003020863612#", "+9015420323751", "1\0",
    "860123456789012", "8601234567890",
] * 3  # fmt: skip


# Integers with their check digit: a listed one, one of a listed phone that lost its zero, one on no list.
FIFTEEN = [int(GOOD), 352099001761481, 12345678901237, 352099001761499]
ZERO = "012345678901237"


def key(value):
    """The key of a value, None if it is malformed."""
    number, status = oracle.settle(oracle.parse_value(value), "ignore")
    return None if status else number


MEMBERS = {key(value) for value in LISTED}


def listed(malformed, values=COLUMN):
    """Which values are in the list."""
    return [malformed if key(value) is None else key(value) in MEMBERS for value in values]


def words(values=COLUMN):
    """The status of every value, in words."""
    found = []
    for value in values:
        _, status = oracle.settle(oracle.parse_value(value), "ignore")
        if status:
            found.append("malformed: " + status.name.lower().replace("_", " "))
        else:
            found.append("listed" if key(value) in MEMBERS else "not listed")
    return found


def tacs(values=COLUMN):
    """The TAC of every value, None of a malformed one."""
    return [None if key(value) is None else f"{key(value) // 10**6:08d}" for value in values]


def register():
    """A register with one black list of the same."""
    made = Register(Policy(response_type=2))
    made.add("stolen", ImeiSet(LISTED), status=EquipmentStatus.BLACKLISTED)
    return made


def register_words(values=COLUMN):
    """The same as `words`, of the register."""
    return [{"listed": "blacklisted", "not listed": "unknown"}.get(word, word) for word in words(values)]


DAY, LAST = datetime.date(2025, 1, 31), datetime.date(2027, 12, 31)


def detailed():
    """A register that says why, since when and until when."""
    made = Register()
    reasons, dates = ["theft|fraud", "", ""], [DAY, None, None]
    untils = [None, LAST, None]
    made.add(
        "stolen",
        LISTED,
        status=EquipmentStatus.BLACKLISTED,
        reasons=reasons,
        dates=dates,
        until=untils,
        reason="police",
    )
    made.add_tacs("models", [LISTED[1][:8]], status=EquipmentStatus.GREYLISTED)
    return made


SAID = {  # by key: of those that are listed
    key(LISTED[0]): ("blacklisted", "stolen", "exact", "fraud|theft", DAY, None),
    key(LISTED[1]): ("blacklisted", "stolen", "exact", "police", None, LAST),
    key(LISTED[2]): ("blacklisted", "stolen", "exact", "police", None, None),
}


def details(values=COLUMN):
    """What it says of every value: status, list, rule, reasons, date, until."""
    rows = []
    for value, word in zip(values, words(values), strict=True):
        number = key(value)
        if number is None:
            rows.append((word, None, "malformed", None, None, None))
        elif number in SAID:
            rows.append(SAID[number])
        elif number // 10**6 == int(LISTED[1][:8]):
            rows.append(("greylisted", "models", "tac", None, None, None))
        else:
            rows.append(("whitelisted", None, "default", None, None, None))
    return rows


CLONE = GOOD[:14]
_IMSIS = [f"23415000000000{i}" for i in range(5)]
CLONE_PAIRS = [f"{CLONE},{_IMSIS[0]},2", *(f"{CLONE},{imsi},1" for imsi in _IMSIS[1:])]


def cloned(path):
    """Records of a phone that five subscribers use, however its IMEI is written; of one that four use often;
    of what is not an IMEI, and of nobody."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    forms = [GOOD, "4901542032375101", CLONE]
    rows = [(forms[i % 3], imsi) for i, imsi in enumerate([*_IMSIS, _IMSIS[0]])]
    rows += [("352099001761481", imsi) for imsi in _IMSIS[:4]] + [("352099001761481", _IMSIS[0])] * 9
    rows += [("n/a", imsi) for imsi in _IMSIS] + [(None, imsi) for imsi in _IMSIS]
    rows += [(f"{GOOD}\n", "234150000000009"), ("356938035643809", None)] + [(GOOD, None)] * 9
    pq.write_table(pa.table({"imei": [one for one, _ in rows], "imsi": [one for _, one in rows]}), path)

"""Every kind of list that is easily misunderstood: what a load of it gives, or which words refuse it.

A kind has the number of its row in the table of edges; r1 to r9 are those that once were refused.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

import imeiset
from imeiset import FeedError

A, B, Z = "352099001761481", "860123450000012", "012345678901237"
LOST = Z[1:]  # as a spreadsheet writes it
KEYS = {"A": int(A[:14]), "B": int(B[:14]), "Z": int(Z[:14]), "lost": int(LOST)}


@dataclass
class Case:
    """A list and what has to come of it.

    right: the names of the keys, or a text: the words of the error. facts: attributes of the report.
    """

    kind: str
    text: str
    right: set[str] | str
    options: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    name: str = "list.csv"


def case(kind, text, right, *, name="list.csv", facts=None, **options):
    return Case(kind, text.format(A=A, B=B, Z=Z, lost=LOST), right, options, facts or {}, name)


def imei(n):
    return whole(f"{35209900000000 + n}")


def lost(n):
    """An IMEI that lost its zero."""
    return whole(f"0{1234567000000 + n}")[1:]


def imeisv(n):
    return f"{35209900000000 + n}01"


def lost_imeisv(n):
    """An IMEISV that lost its zero: 15 digits with a wrong check digit."""
    text = f"{12345670000000 + n}"
    return text + str(1 + imeiset.check_digit(text) % 9)


def whole(body):
    return body + str(imeiset.check_digit(body))


def lines(make, count):
    return "".join(f"{make(n)}\n" for n in range(count))


STATUS_TITLES = [
    "equipment_status", "match_response_code", "list", "colour", "blacklisted", "blocked?", "action",
    "statut", "estado", "state", "status", "Status",
]  # fmt: skip

CASES = [
    # 3: zeros that a spreadsheet dropped
    case("3", "imei\n{lost}\n{A}\n", {"lost", "A"}, facts={"lost_zeros.count": 1}),
    case("3", "imei\n" + lines(lost, 10) + "{A}\n", "--lost-zeros restore"),
    case("3", "imei\n" + lines(lost, 10), "keep"),
    case("3", "imei\n{lost}\n{A}\n", {"Z", "A"}, lost_zeros="restore", facts={"lost_zeros.count": 1}),
    case("3", "imei\n{lost}\n{A}\n", {"lost", "A"}, lost_zeros="keep", facts={"lost_zeros.count": 1}),
    case("3", "imei\n35209900176148\n{Z}\n", {"Z"}, lost_zeros="restore", facts={"rejected": 1}),
    case("3", "imei\n" + lines(lost_imeisv, 10) + lines(imeisv, 11), "restore-imeisv"),
    # 4: rows that begin with '#'
    case("4", "no,imei\n#1,{A}\n#2,{B}\n", {"A", "B"}, facts={"rows": 2, "comments": 0}),
    case("4", "#no,imei\n1,{A}\n", {"A"}),
    case("4", "no,imei\n# of May\n#1,{A}\n", {"A"}, facts={"comments": 1}),
    case("4", "imei\n#06#35209\n{A}\n", {"A"}, irregular="keep", facts={"texts": 1}),
    case("4", "imei\n#06#35209\n{A}\n", {"A"}, facts={"comments": 1, "rows": 1}),
    case("4", "imei\n# none this week\n", set()),
    case("4", "# none\n# at all\n", "expected"),
    # 6: words of statuses
    case("6", "imei,reporting_date,status\n{A},20240101,BLACKLISTED\n", {"A"}),
    case("6", "imei,reporting_date,status\n{A},20240101,Blocked\n{B},,whitelisted\n", {"A"}),
    case("6", "imei,reporting_date,status\n{A},20240101,found\n", "found"),
    # 8: a second column of IMEIs
    case("8", "imei,sim2\n{B},{A}\n", "--column"),
    case("8", "imei,sim2\n{B},{A}\n", {"B"}, column="imei"),
    case("8", "imei,sim2\n{B},{A}\n", {"A", "B"}, column=["imei", "sim2"]),
    case("8", lines(lambda n: f"{imei(n)},N/A", 100) + "{B},{A}\n", "--column"),
    case("8", "imei,second\n" + lines(lambda n: f"{imei(n)},", 200) + lines(lambda n: f"{imei(n)},{A}", 3),
         "--column"),
    # 11: a column that says that a row is not blocked
    case("11", "{A},BlackList\n{B},WhiteList\n", "--where"),
    *(
        case("11", f"imei,{title}\n{{A}},BLACKLISTED\n{{B}},WHITELISTED\n", "--where")
        for title in STATUS_TITLES
    ),
    *(
        case("11", f"imei,status\n{{A}},{one}\n{{B}},{other}\n", "--where")
        for one, other in [
            ("black", "white"), ("black", "grey"), ("yes", "no"), ("1", "0"), ("blocked", "allowed"),
            ("0", "2"), ("stolen", "Recovered"), ("bloqueado", "desbloqueado"), ("bloqué", "débloqué"),
            ("lost", "unblocked"), ("gesperrt", "entsperrt"), ("", "white"), ("gestohlen", "gefunden"),
        ]
    ),
    case("11", "imei,blocked?\n{A},no\n", "--where"),
    case("11", "imei,status\n{A},BLACKLISTED\n{B},WHITELISTED\n", {"A"}, where={"status": ["blacklisted"]}),
    case("11", "imei,status\n{A}, Blacklisted\n{B},x\n", {"A"}, where="status=BLACKLISTED,stolen"),
    case("11", "imei,status\n{A},BLACKLISTED\n", "status", where="flag=x"),
    case("11", "imei,status\n{A},BLACKLISTED\n", "blacklisted", where="status=stolen"),
    case("11", "imei,status\n" + lines(lambda n: f"{imei(n)},blocked", 300) + "{B},white\n", "--where"),
    case("11", "imei,status\n{A},pending\n{B},case 12\n", {"A", "B"},
         facts={"unread": [("status", "statuses")]}),
    case("11", "imei,status\n{A},blocked\n{B},blocked\n", {"A", "B"},
         facts={"unread": [("status", "statuses")]}),
    case("11", "imei,make\n{A},Nokia\n{B},Apple\n", {"A", "B"}, facts={"unread": []}),
    # 12: changes
    case("12", "Operation,IMEI,IMSI,MSISDN\n0,{A},,\n1,{B},,\n", "apply", imsi="ignore"),
    *(
        case("12", f"imei,action\n{{A}},{one}\n{{B}},{other}\n", "--change-column")
        for one, other in [
            ("add", "remove"), ("A", "D"), ("I", "R"), ("insert", "delete"), ("added", "updated")
        ]
    ),
    case("12", "imei,x\n{A},added\n{B},removed\n", "--change-column"),
    case("12", "imei,change_type\n{A},add\n", "apply"),
    case("12", "{A},add\n{B},remove\n", "--change-column"),
    *(
        case("12", "imei\n{A}\n", "ename", name=name)
        for name in [
            "eir_INCREMENTAL_2024.csv", "a_DELTA_b.csv", "changes-2024.csv", "daily.diff.csv", "x incr.csv"
        ]
    ),
    case("12", "imei\n{A}\n", {"A"}, name="different.csv"),
    # 13: a phone with a subscriber
    case("13", "imei,imsi,msisdn\n{A},262011234567890,49171\n", "--imsi ignore"),
    case("13", "imei,served_imsi\n{A},262011234567890\n", "--imsi ignore"),
    case("13", "imei,sim\n{A},262011234567890\n", "--imsi ignore"),
    case("13", "imei,sim\n{A},8949012345678901234\n", {"A"}),
    case("13", "sim\n{A}\n", "--column"),
    case("13", "".join(f"26201{n * 7919:010}\n" for n in range(1, 30)), "--column 1"),
    case("13", "imei,imsi,msisdn\n{A},262011234567890,49171\n", {"A"}, imsi="ignore"),
    # 14: a TAC and a serial number
    case("14", "tac,snr\n35209900,176148\n", "snr"),
    case("14", "tac,Serial Number\n35209900,176148\n", "Serial Number"),
    case("14", "tac,last\n35209900,176148\n", "last"),
    # 15: the check digit is required
    case("15", "imei\n35209900176148\n3520990017614801\n{B}\n", {"B"}, check_digit="require",
         facts={"rejected": 2}),
    case("15", "imei\n352099001761489\n{B}\n", {"B"}, check_digit="require"),
    case("15", "imei\n35209900176148#\n{B}\n", {"B"}, check_digit="require", irregular="keep"),
    case("15", "imei\n35209900176148\n3520990017614801\n", {"A"}, check_digit="spare"),
    # 16: placeholders are listed, and counted
    case("16", "imei\n" + "0" * 15 + "\n", 1, facts={"placeholders.zeros": 1}),
    case("16", "imei\n" + "1" * 15 + "\n", 1, facts={"placeholders.equal digits": 1}),
    case("16", "imei\n001001234567890\n004401234567890\n", 2, facts={"placeholders.test TAC": 2}),
    # 17: dates
    case("17", "imei,blocked_on\n{A},2024-01-31\n", {"A"}, facts={"unread": [("blocked_on", "dates")]}),
    # r1: all IMEIs of a phone
    case("r1", "IMEI1,IMEI2\n{A},{B}\n", "--column"),
    case("r1", "IMEI1,IMEI2\n{A},{B}\n{Z},\n", {"A", "B", "Z"}, column=["IMEI1", "IMEI2"],
         facts={"rejected": 0}),
    case("r1", "IMEI1,IMEI2\n{A},{B}\n,\n", {"A", "B"}, column=[1, 2],
         facts={"rejected": 1, "identities": 2}),
    case("r1", "IMEI1,IMEI2\n{A},35\n", {"A"}, column=[1, 2], facts={"rejected": 1, "partly": 1}),
    # r2, r3: texts of the network
    case("r2", "pei\nimei-{A}\nimeisv-8601234500000101\n", {"A", "B"}, facts={"written.pei": 2}),
    case("r2", "imei\nimei-35209900176148\n{B}\n", {"B"}, facts={"rejected": 1}),
    case("r3", "imei\n{A}F\n86012345000001FF\n", {"A", "B"}, facts={"written.filler": 2}),
    # r4: texts of spreadsheets
    case("r4", "imei\n=\"{Z}\"\n'{A}\n", {"A", "Z"}, facts={"written.spreadsheet": 2}),
    case("r4", 'imei,x\n"=""{Z}""",1\n', {"Z"}, facts={"written.spreadsheet": 1}),
    # r5: short rows, and delimiters at the end
    case("r5", "imei,make,model\n{A},Nokia\n{B}\n", {"A", "B"}, facts={"rejected": 0}),
    case("r5", "make,imei\nNokia,{A}\nNokia\n", {"A"}, facts={"rejected": 1}),
    case("r5", "tac,make,model\n35209900,Nokia\n", 10**6, facts={"rejected": 0}),
    case("r5", "{A},Nokia,\n{B},Apple,\n", {"A", "B"}),
    case("r5", "{A},\n{B},\n", {"A", "B"}),
    # r6: lines above the header
    case("r6", "Licensed to you\nimei,make\n{A},Nokia\n", {"A"}, facts={"preamble": 1, "comments": 1}),
    case("r6", "Report,of,May\nmade,by,us\nimei,make,model\n{A},x,y\n", {"A"}, skip=2),
    # r7: titles
    *(
        case("r7", f"{title},make\n{{A}},Nokia\n", {"A"})
        for title in [
            "servedIMEI", "servedIMEISV", "calling_imei", "IMEI/MEID", "IMEI1", "numero_imei", "N° IMEI"
        ]
    ),
    case("r7", "imei_status,imei\nx,{A}\n", {"A"}),
    # r8: an IMEI and its software version, TBCD, URNs
    case("r8", "imei\n35209900176148/01\n{B}/01\n", {"A", "B"},
         facts={"written.svn": 2, "forms": {14: 0, 15: 1, 16: 1}}),
    case("r8", "imei\n5302990071168410\n", {"A"}, tbcd=True),
    case("r8", "imei\n53029900711684F1\n", {"A"}, tbcd=True),
    case("r8", "imei\n" + "".join(f"53029900{n:08}\n" for n in range(12)), "--tbcd"),
    case("r8", "imei\n" + "".join(f"53029900{n:08}\n" for n in range(12)), 1, tbcd=False),
    case("r8", "imei\nurn:gsma:imei:35209900-176148-0;svn=01\n", {"A"}, facts={"written.urn": 1}),
]  # fmt: skip


def name_of(case):
    return f"{case.kind}: {case.text.splitlines()[0]} ({case.right})"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_list(case, tmp_path):
    path = tmp_path / case.name
    path.write_text(case.text, newline="")
    if isinstance(case.right, str):
        with pytest.raises(FeedError) as caught:
            imeiset.load(path, **case.options)
        said = str(caught.value).removeprefix(str(path))
        assert case.right in said
        assert not any(whole in said for whole in (A, B, Z))
        return
    members, report = imeiset.load(path, **case.options)
    if isinstance(case.right, int):
        assert len(members) == case.right
    else:
        assert {int(key) for key in members.to_numpy()} == {KEYS[name] for name in case.right}
    for fact, value in case.facts.items():
        assert fact_of(report, fact) == value, fact
    assert report.rows == report.accepted + sum(report.ignored.values()) + report.rejected


def fact_of(report, fact):
    """A fact by its name; 'placeholders.zeros' is a count."""
    if fact == "unread":
        return [(one.column, one.why) for one in report.unread]
    name, _, part = fact.partition(".")
    found = getattr(report, name)
    if part:
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return getattr(found, "count", found)

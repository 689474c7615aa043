"""Descriptions of registers: what they may say, what they load, and how they fail."""

import datetime
import gzip
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imeiset import EquipmentStatus, FeedError, ImeiSet, Policy, Register, Verdict, load_register
from imeiset.errors import FeedColumn, FeedDescription, FeedMissing, FeedRejects
from imeiset.feeds.description import read_description

W, B, G, U = EquipmentStatus
A, C, D, E = "49015420323751", "35693803564380", "86012345678901", "01234567890123"
HOME = "234150999999999"

FILES = {
    "lists/stolen.csv": "imei,block_date,reasons\n"
    f"{A},20240229,stolen|lost\n{A}8,20240101,found\n{C},20241399,\n",
    "lists/more.txt": f"# by hand\n{D}\n{C}\nx\n62#22\n",
    "ranges.csv": "00000000000100,00000000000199\n",
    "tacs.csv": "35123456\n35123456\n",
    "pairs.csv": f"imei;imsi;msisdn\n{A};{HOME};1\n{A};001010123456789;\n{A};{HOME};2\n{C};none;\n",
    "locked.csv": f"imei,imsi\n{E},imsi-{HOME}\n",
    "imsis": "\ufeff# guests\n26299\r\n\nIMSI-00101\n",
    "white": f"{E}\n",
}
TEXT = """
[policy]
response_type = 2
malformed = "GREYLISTED"

[[lists]]
name = "stolen"
status = "blacklisted"
reason = "reported"
files = ["lists/stolen.csv", "lists/more.txt"]
irregular = "keep"

[[lists]]
name = "stolen"
kind = "ranges"
status = "blacklisted"
files = "ranges.csv"

[[lists]]
name = "models"
kind = "tacs"
status = "greylisted"
files = ["tacs.csv"]

[[lists]]
name = "pairs"
kind = "exempt"
files = ["pairs.csv"]

[[lists]]
name = "locked"
kind = "lock"
files = ["locked.csv"]

[[lists]]
name = "guests"
kind = "imsis"
status = "greylisted"
files = ["imsis"]
prefixes = ["26298"]

[[lists]]
name = "good"
status = "whitelisted"
files = ["white"]
"""


@pytest.fixture
def describe(tmp_path):
    """Write a description beside its files."""

    def write(text=TEXT, **more):
        for name, content in {**FILES, **more}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        (tmp_path / "register.toml").write_text(text)
        return tmp_path / "register.toml"

    return write


def test_a_register_of_every_kind_of_list(describe, tmp_path, monkeypatch):
    path = describe()
    monkeypatch.chdir(tmp_path.parent)  # files are found from the description, not from here
    register, reports = load_register(path)
    assert register.policy == Policy(response_type=2, malformed=G)
    assert [(one.name, one.status, one.kind, one.reason) for one in register.lists] == [
        ("stolen", B, "imeis", "reported"),
        ("models", G, "imeis", ""),
        ("pairs", W, "exempt", ""),
        ("locked", B, "lock", ""),
        ("guests", G, "imsis", ""),
        ("good", W, "imeis", ""),
    ]
    assert register.counts() == {
        "stolen": {"exact": 3, "irregular": 1, "range": 100},
        "models": {"tac": 10**6},
        "pairs": {"pair": 2},
        "locked": {"pair": 1},
        "guests": {"imsi": 3},
        "good": {"exact": 1},
    }
    first = datetime.date(2024, 1, 1)
    assert register.check(A) == Verdict(B, "stolen", "exact", ("found", "lost", "stolen"), first)
    assert register.check(C) == Verdict(B, "stolen", "exact", ("reported",), None)
    assert register.check(D).reasons == ("reported",)
    assert register.check("62#22") == Verdict(B, "stolen", "irregular", ("reported",))
    assert [register.check(key).rule for key in (99, 100, 199, 200)] == [
        "default",
        "range",
        "range",
        "default",
    ]
    assert register.check("35123456999999") == Verdict(G, "models", "tac")
    assert register.check(A, HOME) == Verdict(W, "pairs", "pair")
    assert register.check(A, "1010123456789").list == "stolen"  # an IMSI keeps its leading zeros
    assert register.check(A, "001010123456788") == Verdict(G, "guests", "imsi")
    assert [register.check(E, imsi).status for imsi in (HOME, "234150999999998", None)] == [W, B, B]
    assert register.check(D, "262981234567890").rule == "imsi"
    assert register.check(200).status == U
    assert register.check("nonsense").status == G

    assert [(one.name, one.kind) for one in reports][:3] == [
        ("stolen", "imeis"),
        ("stolen", "ranges"),
        ("models", "tacs"),
    ]
    stolen, ranges, models, pairs, _, guests, _ = (one.report for one in reports)
    assert stolen.formats == ["blacklist", "plain"]
    assert (stolen.accepted, stolen.keys, stolen.texts, stolen.duplicates, stolen.rejected) == (6, 3, 1, 2, 1)
    assert stolen.digest == ImeiSet.from_keys([int(A), int(C), int(D)], irregular=["62#22"]).digest()
    assert (ranges.keys, ranges.ranges, models.keys) == (100, 1, 10**6)
    assert (pairs.keys, pairs.duplicates, pairs.rejects["imsi"].count) == (2, 1, 1)
    assert (guests.keys, guests.rows, guests.comments, guests.blank, guests.lines) == (3, 2, 1, 1, 4)


def test_it_is_the_register_that_the_calls_make(describe, tmp_path):
    made = Register()
    made.add(
        "stolen",
        [A, A, C],
        status=B,
        reasons=["stolen|lost", "found", None],
        dates=["20240229", "20240101", None],
    )
    made.exempt("pairs", [A, A], [HOME, "001010123456789"])
    made.save(tmp_path / "made.imei")
    text = '[[lists]]\nname = "stolen"\nstatus = "blacklisted"\nfiles = ["lists/stolen.csv"]\n'
    text += '[[lists]]\nname = "pairs"\nkind = "exempt"\nfiles = ["pairs.csv"]\n'
    load_register(describe(text)).register.save(tmp_path / "loaded.imei")
    Register.verify(tmp_path / "loaded.imei")
    assert (tmp_path / "made.imei").read_bytes() == (tmp_path / "loaded.imei").read_bytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("name =", "nmae ="), "in list 1 a key with 'name' as the nearest, got 'nmae'"),
        (("name =", "zzz ="), "in list 1 one of name, status, kind"),
        (("[policy]", "[polcy]"), "in the description a key with 'policy' as the nearest, got 'polcy'"),
        (('"blacklisted"', '"blaklisted"'), "in list 1, 'stolen' as 'status' 'blacklisted' as the nearest"),
        (('"blacklisted"', '"unknown"'), "in list 1, 'stolen' as 'status' one of whitelisted, blacklisted"),
        (('"blacklisted"', "1"), "in list 1, 'stolen' a text as 'status', got 1"),
        (('status = "blacklisted"\nreason', "reason"), "in list 1, 'stolen' a 'status' of whitelisted"),
        (('"tacs"', '"tac"'), "in list 3, 'models' as 'kind' 'tacs' as the nearest, got 'tac'"),
        (('"exempt"', '"exempt"\nstatus = "blacklisted"'), "a list of kind 'exempt' is whitelisted"),
        (("response_type = 2", "response_type = 4"), "response_type: expected 1, 2 or 3, got 4"),
        (("response_type = 2", "response_type = true"), "in policy a number as 'response_type', got True"),
        (("response_type = 2", "response_type = 2\nprecedence = ['tac']"), "precedence: expected 'exact'"),
        (
            ('"GREYLISTED"', '"gray"'),
            "in policy as 'malformed' one of whitelisted, blacklisted, greylisted, unk",
        ),
        (('name = "models"', 'name = "stolen"'), "list 'stolen': expected BLACKLISTED, 'imeis' as before"),
        (
            ('files = "ranges.csv"', 'files = "ranges.csv"\nreason = "lost"'),
            "in list 2, 'stolen' the 'reason' of that list before, or another list, got 'lost'",
        ),
        (('name = "models"', 'name = ""'), "name: expected 1 to 100 printable characters"),
        (('files = ["tacs.csv"]', ""), "in list 3, 'models' 'files', got none"),
        (('files = ["tacs.csv"]', "files = [1]"), "in list 3, 'models' texts as 'files', got [1]"),
        (('files = ["tacs.csv"]', 'prefixes = ["1"]'), "'prefixes' in a list of kind 'imsis' only"),
        (('prefixes = ["26298"]', 'prefixes = ["2x"]'), "prefix 0: expected 1 to 15 digits"),
        (('prefixes = ["26298"]', 'column = "x"'), "no such key in a list of kind 'imsis', got 'column'"),
        (
            ('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nmax_rejects = -1'),
            "a number from 0 as 'max_rejects', got -1",
        ),
        (
            ('files = ["tacs.csv"]', 'files = ["tacs.csv"]\ncolumn = true'),
            "a name or a number, or several as 'column'",
        ),
        (('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nirregular = "keep"'), "of kind 'imeis' only"),
        (('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nimsi = "ignore"'), "of kind 'imeis' only"),
        (
            ('files = ["tacs.csv"]', 'files = ["tacs.csv"]\ntbcd = true'),
            "of kind 'imeis' or 'block' or 'exempt' or 'lock'",
        ),
        (('files = ["tacs.csv"]', 'files = ["tacs.csv"]\ntbcd = 1'), "true or false as 'tbcd', got 1"),
        (('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nwhere = "status"'), "COLUMN=VALUE,VALUE as 'where'"),
        (
            ('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nchange_values = "A=add"'),
            "change_column with change",
        ),
        (('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nnewest = true'), "one pattern with '*' as 'files'"),
        (('files = ["tacs.csv"]', 'files = ["t*"]\nnewest = "size"'), 'true, false, "name" or "time" as'),
        (('files = ["tacs.csv"]', 'files = ["t*"]\nnewest = 1'), 'true, false, "name" or "time" as'),
        (
            ('files = ["white"]', 'files = ["white"]\ndate_format = "%d"'),
            "a format like %d.%m.%Y, or 'excel' as",
        ),
        (
            ('files = ["tacs.csv"]', 'files = ["tacs.csv"]\nformat = "tac"'),
            "as 'format' 'tacs' as the nearest",
        ),
        (("[policy]", "[policy"), "expected TOML, got"),
        ((TEXT, "[policy]\n"), "expected a table [[lists]] for each list, got none"),
        ((TEXT, "lists = [1]\n"), "a table [[lists]] for each list, got others"),
        ((TEXT, "[lists.stolen]\n"), "a table [[lists]] for each list, got [lists] or another 'lists'"),
    ],
)
def test_what_is_not_understood_is_said(describe, change, expected):
    before, after = change
    path = describe(TEXT.replace(before, after, 1) if before != TEXT else after)
    with pytest.raises(FeedDescription, match=re.escape(expected)) as caught:
        load_register(path)
    assert str(caught.value).startswith(f"{path}: expected ")


WORDS = "[ ] [[lists]] = 1 -1 1e999 true [1] {} 'x' name kind files status column # 1979-05-27 \"tacs\""
PIECES = st.sampled_from([*WORDS.split(), "", "\x00", '"', '""', '"\\u0000"', "\n", "\udcff", "a.b = 1"])


@given(
    edits=st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), PIECES), min_size=1, max_size=4)
)
@example(edits=[(0, 0, "x = " + "[" * 100_000)])
def test_whatever_it_says_is_understood_or_refused(tmp_path_factory, edits):
    """Never with another error, nor with what would be answered otherwise than it says."""
    text = TEXT
    for at, length, piece in edits:
        text = text[:at] + piece + text[at + length :]
    path = tmp_path_factory.getbasetemp() / "any" / "register.toml"
    for name in FILES:
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).touch()
    path.write_bytes(text.encode(errors="surrogateescape"))
    try:
        found = read_description(path)
    except FeedError as error:
        assert str(error).startswith(str(path.parent))  # noqa: PT017 (or a description that is right)
        return
    told = tomllib.loads(text)
    assert [one.name for one in found.lists] == [table["name"] for table in told["lists"]]
    for one, table in zip(found.lists, told["lists"], strict=True):
        assert (
            one.status.name
            == table.get("status", {"exempt": "WHITELISTED"}.get(one.kind, "BLACKLISTED")).upper()
        )


def test_reasons_and_dates_may_be_left_out(describe):
    text = TEXT.replace('irregular = "keep"', 'irregular = "keep"\ndetails = "ignore"')
    register, reports = load_register(describe(text))
    assert register.check(A) == Verdict(B, "stolen", "exact", ("reported",))
    with_them = load_register(describe()).reports[0].report
    assert (reports[0].report.digest, reports[0].report.duplicates) == (
        with_them.digest,
        with_them.duplicates,
    )


def test_a_message_shows_no_serial_number(describe):
    for wrong in ("prefixes = [234150999999999]", 'format = "490154203237518"', "490154203237518 = 1"):
        path = describe(f'[[lists]]\nname = "x"\nstatus = "blacklisted"\nfiles = ["white"]\n{wrong}\n')
        with pytest.raises(FeedDescription, match=r"got .*(23415099|49015420)\*{7}"):
            read_description(path)


def test_files_are_looked_for_before_anything_is_read(describe, monkeypatch):
    path = describe(TEXT.replace('"white"', '"whit"'))
    monkeypatch.setattr("imeiset.feeds.registers.read", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(FeedMissing, match=r"whit: expected a file that .*register\.toml names"):
        load_register(path)
    with pytest.raises(FeedMissing, match="nowhere"):
        read_description(path.with_name("nowhere"))


@pytest.mark.parametrize(
    ("files", "error", "expected"),
    [
        ({"tacs.csv": f"imei\n{A}\n"}, FeedColumn, "tacs.csv: expected .*"),
        ({"white": "tac\n35123456\n"}, FeedColumn, "expected imeis for list 'good', or kind = 'tacs' in its"),
        (
            {"white": f"from,to\n{A},{A}\n"},
            FeedColumn,
            "or kind = 'ranges' in its description, got a list of",
        ),
        ({"pairs.csv": f"imei\n{A}\n"}, FeedColumn, "pairs.csv: expected a header with 'imei' and 'imsi'"),
        ({"imsis": "26299\n2x\n"}, FeedRejects, "imsis, line 2: expected an IMSI prefix of 1 to 15 digits"),
        ({"imsis": "26298\n", "more": ""}, FeedDescription, "prefix '26298': expected on one list"),
        ({"white": ""}, FeedError, "an empty file"),
    ],
)
def test_files_that_hold_something_else(describe, tmp_path, files, error, expected):
    text = TEXT
    if "more" in files:
        text += '[[lists]]\nname = "others"\nkind = "imsis"\nstatus = "whitelisted"\nfiles = "imsis"\n'
        text = text.replace('files = ["imsis"]\n', "")
    with pytest.raises(error, match=expected):
        load_register(describe(text, **files), rejects=tmp_path / "rejects.csv")
    assert not list(tmp_path.glob("rejects*"))
    assert not list(tmp_path.glob(".imeiset-*"))


def test_rejects_go_to_a_file_of_each_list(describe, tmp_path):
    load_register(describe(), rejects=tmp_path / "rejects.csv")
    found = {path.name: path.read_text() for path in tmp_path.glob("rejects*")}
    assert f'4\t"{tmp_path / "lists" / "more.txt"}"\tnot_digit\tx\n' in found["rejects-stolen-2.csv"]
    assert f'"{tmp_path / "pairs.csv"}";imsi;{C};none;' in found["rejects-pairs.csv"]
    assert sorted(found) == [
        "rejects-good.csv",
        "rejects-locked.csv",
        "rejects-models.csv",
        "rejects-pairs.csv",
        "rejects-stolen-2.csv",
        "rejects-stolen-3.csv",  # of its ranges
        "rejects-stolen.csv",
    ]
    assert not list(tmp_path.glob(".imeiset-*"))
    with pytest.raises(FeedRejects, match=r"more\.txt, line 4"):
        load_register(describe(), max_rejects=0)
    allowed = TEXT.replace('irregular = "keep"', 'irregular = "keep"\nmax_rejects = 1')
    with pytest.raises(FeedRejects, match=r"pairs\.csv, line 5"):
        load_register(describe(allowed), max_rejects=0)


def test_progress_counts_the_files_of_all_lists(describe, tmp_path):
    seen = []
    path = describe(white=gzip.compress(f"{E}\n".encode()))
    load_register(path, progress=lambda done, total: seen.append((done, total)))
    total = sum(Path(name).stat().st_size for name in read_description(path).files)
    done = [one for one, _ in seen]
    assert {whole for _, whole in seen} == {total}
    assert done == sorted(done)
    assert done[-1] == total


def test_rejects_that_were_mended_are_a_source_of_their_list(tmp_path):
    """They are loaded with the rest, and new rejects go to a file of another name."""
    (tmp_path / "a.txt").write_text("490154203237518\n")
    (tmp_path / "rejects-stolen.csv").write_text("356938035643809\nbad\n")
    path = tmp_path / "r.toml"
    path.write_text(
        '[[lists]]\nname = "stolen"\nfiles = ["a.txt", "rejects-stolen.csv"]\nstatus = "blacklisted"\n'
    )
    found = load_register(path, rejects=tmp_path / "rejects.csv")
    assert len(found.register["stolen"]) == 2
    assert (tmp_path / "rejects-stolen.csv").read_text() == "356938035643809\nbad\n"
    assert "bad" in (tmp_path / "rejects-stolen-2.csv").read_text()


def test_owners_and_blocked_pairs(describe):
    """Whichever table of a list says the owner, all of the list is theirs; the blocked pairs come first."""
    head, stolen, more = TEXT.partition('kind = "ranges"')
    text = f"{head}{stolen}\nowner = 'op-a'{more}".replace('kind = "lock"', "kind = 'block'\nowner = 'op-b'")
    register, _ = load_register(describe(text))
    assert {one.name: one.owner for one in register.lists if one.owner} == {
        "stolen": "op-a",
        "locked": "op-b",
    }
    assert [register.check(E, imsi).list for imsi in (HOME, None)] == ["locked", "good"]
    assert register.check(E, HOME) == Verdict(B, "locked", "block")
    grey, _ = load_register(describe(text.replace("kind = 'block'", "kind = 'block'\nstatus = 'greylisted'")))
    assert grey.check(E, HOME) == Verdict(G, "locked", "block")
    for before, after, expected in (
        (
            '"lists/more.txt"]',
            '"lists/more.txt"]\nowner = "op-b"',
            "in list 2, 'stolen' the 'owner' of that list before",
        ),
        ("'op-a'", "5", "in list 2, 'stolen' a text as 'owner'"),
        ("'op-a'", "'" + "x" * 101 + "'", "owner: expected at most 100 printable characters"),
    ):
        with pytest.raises(FeedDescription, match=re.escape(expected)):
            read_description(describe(text.replace(before, after)))

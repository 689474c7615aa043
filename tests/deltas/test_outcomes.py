"""What became of each row of a file of changes."""

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store, apply, check_digit
from imeiset.deltas.changes import Changes
from imeiset.errors import (
    FeedConflict,
    FeedEncoding,
    FeedLimit,
    FeedRejects,
    FeedTruncated,
    StoreOwner,
    StoreSequence,
)
from imeiset.feeds import Options

BLACK, GREY, WHITE = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED, EquipmentStatus.WHITELISTED
LAX = ("conflict",)


def phone(n):
    body = f"{86012345000000 + n}"
    return f"{body}{check_digit(body)}"


def outcomes(path="out.csv"):
    """The lines of a file of outcomes, by what is before the last delimiter."""
    return Path(path).read_text().splitlines()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def base():
    return ImeiSet([phone(n) for n in range(20)])


def test_every_row_comes_back_with_what_became_of_it(here, base):
    Path("d.csv").write_text(
        "# from op-a\n"
        "imei,change_type,note\n"
        f'{phone(30)},add,"a, b"\r\n'
        f"{phone(1)},add,there\n"
        "\n"
        f"{phone(2)},remove,\n"
        f"{phone(40)},remove,\n"
        f"{phone(3)},update,\n"
        f"{phone(30)},add,twice\n"
        f"{phone(2)},remove,twice\n"
        "12345,add,\n"
        f"{phone(50)},update,"
    )
    _, report = apply(base, "d.csv", checks=LAX, max_rejects=1, outcomes="out.csv")
    assert outcomes() == [
        "imei,change_type,note,outcome",
        f'{phone(30)},add,"a, b",added',
        f"{phone(1)},add,there,already there",
        f"{phone(2)},remove,,removed",
        f"{phone(40)},remove,,not there",
        f"{phone(3)},update,,updated",
        f"{phone(30)},add,twice,already there",
        f"{phone(2)},remove,twice,not there",
        "12345,add,,rejected: fewer than 14 digits",
        f"{phone(50)},update,,added",
    ]
    assert (report.added, report.removed) == (2, 1)
    assert Path("out.csv").stat().st_mode & 0o777 == 0o600


def test_a_refused_delta_says_why_row_by_row(here, base):
    Path("d.csv").write_text(
        f"imei,change_type\n{phone(30)},add\n{phone(1)},add\n{phone(40)},remove\n{phone(41)},update\n"
        f"{phone(50)},add\n{phone(50)},remove\n"
    )
    with pytest.raises(FeedConflict, match=r"additions of what is there: 1, line 3.*removals of what is not"):
        apply(base, "d.csv", outcomes="out.csv")
    assert outcomes() == [
        "imei,change_type,outcome",
        f"{phone(30)},add,not applied",
        f"{phone(1)},add,refused: already there",
        f"{phone(40)},remove,refused: not there",
        f"{phone(41)},update,refused: not there",
        f"{phone(50)},add,refused: another change of it in this file",
        f"{phone(50)},remove,refused: another change of it in this file",
    ]
    Path("d.csv").write_text(f"imei,change_type\n{phone(30)},add\nx,add\n{phone(1)},add\n12,add\n")
    with pytest.raises(FeedRejects, match="line 3"):
        apply(base, "d.csv", outcomes="out.csv")
    assert outcomes()[1:] == [
        f"{phone(30)},add,not applied",
        "x,add,rejected: a character that is not a digit",
        f"{phone(1)},add,not applied",
        "12,add,rejected: fewer than 14 digits",
    ]
    Path("d.csv").write_text("imei,change_type\n" + "".join(f"{phone(n)},remove\n" for n in range(20)))
    with pytest.raises(FeedLimit, match="--force"):
        apply(base, "d.csv", outcomes="out.csv")
    assert {line.rpartition(",")[2] for line in outcomes()[1:]} == {"not applied"}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("+{30}\n-{1}\n", {}, ["+{30},added", "-{1},removed"]),  # no delimiter: a comma
        ("{30}\t x\tadd\n", {"change_column": 3, "column": 1}, ["{30}\t x\tadd\tadded"]),
        ('a\n"{30}"\n', {"column": "a", "change": "add"}, ["a,outcome", '"{30}",added']),
        ("Imei,Outcome\n{30},x\n", {"change": "add"}, ["Imei,Outcome,outcome_2", "{30},x,added"]),
        ("IMEI1;IMEI2\n{30};{1}\n{31};\n", {"column": ["IMEI1", "IMEI2"], "change": "add"},
         ["IMEI1;IMEI2;outcome", "{30};{1};added; already there", "{31};;added"]),
        ("imei,status\n{30},blocked\n{31},ok\n", {"change": "add", "where": "status=blocked"},
         ["imei,status,outcome", "{30},blocked,added", "{31},ok,ignored"]),
        ("Report of today\n\nimei,change_type\n{30},add\n", {},
         ["imei,change_type,outcome", "{30},add,added"]),
    ],
)  # fmt: skip
def test_files_of_every_layout_come_back_as_they_were(here, base, text, options, expected):
    def filled(text):
        for n in (30, 31, 1):
            text = text.replace(f"{{{n}}}", phone(n))
        return text

    Path("d.txt").write_text(filled(text))
    apply(base, "d.txt", checks=LAX, outcomes="out.csv", max_rejects=None, **options)
    found = [line.replace('"added; already there"', "added; already there") for line in outcomes()]
    assert found == [filled(line) for line in expected]


def test_irregular_identities_and_quoted_line_ends(here, base):
    base = ImeiSet.from_keys(base.to_numpy(), irregular=[b"62#222222222222"])
    Path("d.csv").write_text(
        f'imei,change_type,note\n62#222222222222,add,"two\nlines"\n62#3,add,\n{phone(30)},add,\n'
    )
    apply(base, "d.csv", checks=LAX, outcomes="out.csv")
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[-1] for row in rows] == ["outcome", "already there", "added", "added"]
    assert rows[1][2] == "two\nlines"


def test_more_words_than_a_byte_can_number(here, base):
    """Each row of two columns that are several reasons."""
    from imeiset.deltas.outcomes import Outcomes, write

    Path("d.csv").write_text("imei,change_type\n" + "".join(f"{phone(n)},add\n" for n in range(100, 900)))
    changes, options = _read("d.csv")
    found = Outcomes()
    for row, line in enumerate(changes.table.columns["line"].tolist()):
        found.add(changes.table.columns["line"][row : row + 1], np.array([found.code(f"word {line}")]))
    with Path("out.csv").open("wb") as file:
        write(file, changes, options, found)
    assert [line.rpartition(",")[2] for line in outcomes()[1:]] == [f"word {n}" for n in range(2, 802)]


def test_a_file_that_changes_while_it_is_read_is_an_error(here):
    from imeiset.deltas.outcomes import NOT_APPLIED, unapplied, write

    Path("d.csv").write_text(f"imei,change_type\n{phone(1)},add\n")
    changes, options = _read("d.csv")
    Path("d.csv").write_text(f"imei,change_type\n{phone(1)},add\n{phone(2)},add\n")
    with (
        Path("out.csv").open("wb") as file,
        pytest.raises(FeedTruncated, match="stays as it is: 1 rows, got 2"),
    ):
        write(file, changes, options, unapplied(changes, NOT_APPLIED))


def _read(path):
    options = Options(max_rejects=0)
    return Changes.read(path, None, options, None), options


def test_what_cannot_be_read_twice_is_refused_before_anything_is_done(here, base):
    with pytest.raises(FeedEncoding, match="stdin, which can be read once: save it as CSV"):
        apply(base, "-", outcomes="out.csv")
    Path("a.csv").write_text(f"imei,change_type\n{phone(30)},add\n")
    Path("b.csv").write_text(f"imei,change_type\n{phone(31)},add\n")
    with pytest.raises(ValueError, match="one delta where outcomes are written"):
        apply(base, ["a.csv", "b.csv"], outcomes="out.csv")
    with pytest.raises(OSError, match="nowhere"):
        apply(base, "a.csv", outcomes="nowhere/out.csv")
    assert not Path("out.csv").exists()


def test_archives_and_workbooks_come_back_as_text(here, base):
    text = f"imei;change_type\n{phone(30)};add\n{phone(1)};remove\n"
    with zipfile.ZipFile("d.zip", "w") as archive:
        archive.writestr("d.csv", text)
    apply(base, "d.zip", outcomes="out.csv")
    assert outcomes() == ["imei;change_type;outcome", f"{phone(30)};add;added", f"{phone(1)};remove;removed"]
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["imei", "change_type", "note"], [phone(30), "add", 'a, "b"'], [phone(1), "remove", None]):
        book.active.append(row)
    book.save("d.xlsx")
    apply(base, "d.xlsx", outcomes="out.csv")
    with Path("out.csv").open(newline="") as file:
        assert [row[2:] for row in csv.reader(file)] == [
            ["note", "outcome"],
            ['a, "b"', "added"],
            ["", "removed"],
        ]


# ---- against the rules in plain Python -----------------------------------------------------------

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["add", "remove", "update"])), min_size=1, max_size=9
)
SOME_CHECKS = st.sets(st.sampled_from(["add", "remove", "update", "conflict"]))


def expected(rows, base, checks):
    """What becomes of each row: removals come first, then additions and updates, in order."""
    removed = {n for n, change in rows if change == "remove"}
    added = {n for n, change in rows if change == "add"}
    here, left, found = set(base), set(base) - removed, []
    for n, change in rows:
        if change == "remove":
            found.append("removed" if n in here else "not there")
            here.discard(n)
        elif change == "update" and "update" in checks:
            found.append("not there" if n in removed and n not in added else "updated")
        else:
            found.append({"add": "already there", "update": "updated"}[change] if n in left else "added")
            left.add(n)
    return found


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, base=st.sets(st.integers(0, 5)), checks=SOME_CHECKS)
def test_every_row_says_what_the_rules_say(here, rows, base, checks):
    Path("d.csv").write_text("imei,change_type\n" + "".join(f"{phone(n)},{change}\n" for n, change in rows))
    try:
        result, _ = apply(
            ImeiSet([phone(n) for n in base]), "d.csv", checks=checks, outcomes="out.csv", min_size=0
        )
    except FeedConflict:
        words = {line.rpartition(",")[2] for line in outcomes()[1:]}
        assert words - {"not applied"}
        assert all(word == "not applied" or word.startswith("refused: ") for word in words)
        return
    words = [line.rpartition(",")[2] for line in outcomes()[1:]]
    assert words == expected(rows, base, checks)
    for n in range(6):  # the last word on a phone that is added or removed is how it is
        mine = [word for (m, _), word in zip(rows, words, strict=True) if m == n]
        if any(word in ("added", "already there", "updated") for word in mine):
            assert phone(n) in result, (n, mine)
        elif mine:
            assert phone(n) not in result, (n, mine)


# ---- of a store ----------------------------------------------------------------------------------


@pytest.fixture
def store(here, base):
    register = Register()
    register.add("stolen", base, status=BLACK, owner="op-a")
    register.add("grey", [phone(1)], status=GREY)
    register.add("black", [phone(1), phone(2)], status=BLACK)
    register.add("white", [phone(n) for n in range(20)], status=WHITE)
    register.add_ranges("stolen", [phone(3)], [phone(3)], status=BLACK, owner="op-a")
    register.lock("locks", [phone(1), phone(2)], ["23415", "23415"], owner="op-a")
    register.lock("others", [phone(1)], ["23415"])
    with Store.create("eir", register) as made:
        yield made


def test_what_is_removed_may_be_on_other_lists(store):
    """White lists do not keep a phone blocked; a range of the same list does."""
    Path("d.csv").write_text(
        "imei,change_type\n" + "".join(f"{phone(n)},remove\n" for n in range(5)) + f"{phone(50)},add\n"
    )
    _, report = apply(store, "d.csv", list="stolen", by="op-a", ref="case 7", outcomes="out.csv")
    assert [line.partition(",remove,")[2] for line in outcomes()[1:6]] == [
        "removed",
        '"removed; still on grey, black"',
        "removed; still on black",
        "removed; still on stolen",
        "removed",
    ]
    assert outcomes()[6].endswith(",add,added")
    assert report.still_listed == 1
    Path("p.csv").write_text(
        f"imei,imsi,change_type\n{phone(1)},23415,remove\n{phone(2)},23415,remove\n{phone(9)},23415,add\n"
    )
    apply(store, "p.csv", list="locks", by="op-a", outcomes="out.csv", min_size=0)
    assert [line.rpartition(",")[2] for line in outcomes()[1:]] == [
        "removed; still on others",
        "removed",
        "added",
    ]


def test_another_owner_is_refused_and_every_row_says_so(store):
    Path("d.csv").write_text(f"imei,change_type\n{phone(50)},add\n")
    for by in (None, "op-b"):
        with pytest.raises(StoreOwner, match="op-a"):
            apply(store, "d.csv", list="stolen", by=by, outcomes="out.csv")
        assert outcomes() == ["imei,change_type,outcome", f"{phone(50)},add,not applied"]
    assert store.sequence == 0


def test_a_delta_that_comes_again_was_applied_before(store):
    Path("d.csv").write_text(f"imei,change_type\n{phone(50)},add\n")
    for word in ("added", "applied before"):
        _, report = apply(store, "d.csv", list="stolen", feed="op-a", sequence=1, outcomes="out.csv")
        assert report.sequence == 1
        assert outcomes() == ["imei,change_type,outcome", f"{phone(50)},add,{word}"]
    assert (store.sequence, store.feeds) == (1, {"op-a": 1})
    Path("d.csv").write_text(f"imei,change_type\n{phone(51)},add\n")
    with pytest.raises(StoreSequence, match="3"):
        apply(store, "d.csv", list="stolen", feed="op-a", sequence=3, outcomes="out.csv")
    assert outcomes()[1] == f"{phone(51)},add,not applied"
    with pytest.raises(StoreSequence, match="another change under number 1"):
        apply(store, "d.csv", list="stolen", feed="op-a", sequence=1, outcomes="out.csv")
    _, report = apply(store, "d.csv", list="stolen", feed="op-a", sequence=9, after=1, outcomes="out.csv")
    assert (report.sequence, store.feeds) == (9, {"op-a": 9})


def test_nothing_is_applied_whose_outcomes_cannot_be_written(store):
    Path("d.csv").write_text(f"imei,change_type\n{phone(50)},add\n")
    with pytest.raises(OSError, match="nowhere"):
        apply(store, "d.csv", list="stolen", by="op-a", outcomes="nowhere/out.csv")
    assert (store.sequence, phone(50) in store["stolen"]) == (0, False)


def test_ranges_and_tacs(store):
    store.apply(Delta("stolen", rule="tac", add=["35693803"], by="op-a"))
    Path("d.csv").write_text("tac,change_type\n35693804,add\n35693803,add\n35693805,remove\n")
    apply(store, "d.csv", list="stolen", by="op-a", checks=(), outcomes="out.csv")
    assert [line.rpartition(",")[2] for line in outcomes()[1:]] == ["added", "already there", "not there"]
    low, high = "35693803000000", "35693803000009"
    Path("d.csv").write_text(f"from,to,change_type\n{low},{high},add\n{phone(3)},{phone(3)},remove\n")
    apply(store, "d.csv", list="stolen", by="op-a", outcomes="out.csv", min_size=0)
    assert [line.rpartition(",")[2] for line in outcomes()[1:]] == ["added", "removed"]
    Path("d.csv").write_text(f"from,to,change_type\n{low},{low[:-2]}20,remove\n{low},{low},add\n")
    apply(store, "d.csv", list="stolen", by="op-a", checks=(), outcomes="out.csv", min_size=0)
    assert [line.rpartition(",")[2] for line in outcomes()[1:]] == ["removed", "added"]

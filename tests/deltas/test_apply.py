"""Deltas: applied whole or not at all, checked, and the inverse of diff."""

import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import imeiset
from imeiset import EquipmentStatus, ImeiSet, Store, apply, diff, errors
from imeiset import irregular as irregulars
from imeiset.cli import main
from imeiset.deltas.changes import CHECKS, Changes
from imeiset.deltas.members import PairSet
from imeiset.feeds import LoadReport, Rows

A, B, C, D = "49015420323751", "35693803564380", "86012345678901", "01234567890123"


@pytest.fixture
def delta(tmp_path):
    def write(text, name="delta.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def base():
    return ImeiSet([A, B])


def bodies(members):
    return {text[:14] for text in members}


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (f"imei,change_type\n{C},add\n{A},remove\n{B},update\n{C},add\n", "d", {B, C}),
        (f"change_type;imei\nADD;{C}9\n", "d", {A, B, C}),
        (f"imei,block_date,reasons\n{C},,\n", "t_blacklist_delta_1_2_blocked.csv", {A, B, C}),
        (f"imei,block_date,reasons\n{A},,\n", "t_blacklist_delta_1_2_unblocked.csv", {B}),
        (f"imei,block_date,reasons\n{A},,\n", "t_blacklist_delta_1_2_changed.csv", {A, B}),
        (f"imei,imsi,msisdn\n{C},1,2\n", "t_exceptions_x_delta_1_2_added.csv", {A, B, C}),
        (f"imei,imsi,msisdn\n{A},1,2\n", "t_exceptions_x_delta_1_2_removed.csv", {B}),
        (f"imei,change_type\n{A},remove\n{C},add\n", "t_blacklist_delta_1_2_blocked.csv", {B, C}),
        (f"{C}\n", "t_blacklist_delta_1_2_blocked", {A, B, C}),
        (f"-{A}0\n+{C}0\n", "plain", {B, C}),
        (
            f"imei,reporting_date,status,change_type\n{A},,whitelist,update\n{B},,blacklist,update\n"
            f"{C},,,add\n{D},,pending,add\n",
            "d",
            {B, C},
        ),
        ("tac,change_type\n86012345,add\n", "d", None),
        (
            "from,to,change_type\n1,2,add\n" + f"{C},{C[:-1]}3,add\n",
            "d",
            {A, B, C, C[:-1] + "2", C[:-1] + "3"},
        ),
    ],
)
def test_applied(base, delta, text, name, expected):
    options = {"max_rejects": 1, "imsi": "ignore" if "imsi" in text else None}
    result, report = apply(base, delta(text, name), **options, min_size=0)
    if expected is None:
        assert len(result) == 1_000_002
    else:
        assert bodies(result) == expected
    assert report.digest == result.digest()
    assert report.keys == len(result)
    assert report.added - report.removed == len(result) - len(base)


@pytest.mark.parametrize(
    ("text", "check", "line", "match"),
    [
        (
            f"imei,change_type\n{C},add\n{A},add\n",
            "add",
            3,
            "got additions of what is there: 1, line 3, '49015420",
        ),
        (f"imei,change_type\n{C},remove\n", "remove", 2, "got removals of what is not there: 1, line 2"),
        (f"imei,change_type\n{C},update\n", "update", 2, "got updates of what is not there: 1, line 2"),
        (
            f"imei,change_type\n{C},add\n{C},update\n",
            "conflict",
            3,
            "different changes of one identity: 1, lines 2 and 3, '86012345",
        ),
    ],
)
def test_checks(base, delta, text, check, line, match):
    path = delta(text)
    with pytest.raises(errors.FeedConflict, match=match) as caught:
        apply(base, path)
    assert caught.value.line == line
    assert A[8:] not in str(caught.value)
    result, _ = apply(base, path, checks=set(CHECKS) - {check, "update"}, min_size=0)
    assert bodies(result) >= {A, B}


def test_the_same_delta_twice_and_one_for_another_base(base, delta):
    path = delta(f"imei,change_type\n{C},add\n{A},remove\n")
    once, _ = apply(base, path)
    both = "additions of what is there: 1, line 2.*; removals of what is not there: 1, line 3.* before"
    with pytest.raises(errors.FeedConflict, match=both):
        apply(once, path)
    with pytest.raises(errors.FeedConflict):
        apply(base, [path, path])
    with pytest.raises(errors.FeedConflict, match="removals of what is not there: 1, line 3"):
        apply(ImeiSet([B]), path)


@pytest.mark.parametrize("row", ["x,add", "62#222222222222,add", "x,replace", "12"])
def test_a_row_that_is_not_understood_applies_nothing(base, delta, row):
    path = delta(f"imei,change_type\n{D},add\n{row}\n")
    with pytest.raises(errors.FeedRejects) as caught:
        apply(base, path)
    assert caught.value.line == 3
    assert bodies(apply(base, path, max_rejects=1)[0]) == {A, B, D}


def test_rejects_of_two_deltas(base, delta, tmp_path):
    """Those of the second would replace those of the first."""
    paths = [delta(f"imei,change_type\n{C},add\nx,add\n", name) for name in ("1", "2")]
    options = {"max_rejects": 1, "rejects": tmp_path / "rejects"}
    with pytest.raises(ValueError, match="one delta where rejects are written, got 2"):
        apply(base, paths, **options)
    apply(base, paths[0], **options)
    assert (tmp_path / "rejects").read_text().endswith("x,add\n")


def test_a_list_that_does_not_say_what_changes(base, delta):
    path = delta(f"imei,x\n{C},1\n")
    with pytest.raises(errors.FeedConflict, match="--change"):
        apply(base, path)
    assert bodies(apply(base, path, change="add")[0]) == {A, B, C}
    changes = delta(f"imei,change_type\n{C},remove\n")
    with pytest.raises(errors.FeedConflict, match="no column change_type beside --change"):
        apply(base, changes, change="add")
    plain = delta(f"{C}\n", "plain")
    with pytest.raises(errors.FeedRejects):
        apply(base, plain)
    assert bodies(apply(base, plain, change="add")[0]) == {A, B, C}


def test_size_and_digest(base, delta):
    path = delta(f"imei,change_type\n{A},remove\n")
    with pytest.raises(errors.FeedLimit, match="at least 75% of the 2"):
        apply(base, path)
    with pytest.raises(errors.FeedLimit, match="at least nan%"):
        apply(base, path, min_size=float("nan"))
    result, report = apply(base, path, min_size=50)
    assert apply(base, path, min_size=50, expect_digest=report.digest.upper())[0] == result
    with pytest.raises(errors.FeedConflict, match="a result of digest"):
        apply(base, path, min_size=50, expect_digest=base.digest())


def test_irregular_identities(delta):
    base = ImeiSet([A, "abc", "#1"], irregular="keep")
    path = delta("imei,change_type\nABC,remove\nd,add\n52003020863612#,add\n")
    result, _ = apply(base, path, min_size=0)
    assert result.irregular.tolist() == [b"#1", b"D"]
    assert bodies(result) == {A, "52003020863612"}
    with pytest.raises(errors.FeedConflict, match="additions of what is there: 1"):
        apply(base, delta("imei,change_type\nabc,add\n"))


@pytest.mark.parametrize("arguments", [{"checks": ["size"]}, {"change": "replace"}])
def test_bad_arguments(base, arguments):
    with pytest.raises(ValueError, match="expected"):
        apply(base, "x", **arguments)


sets = st.builds(
    lambda keys, runs, texts: ImeiSet.from_keys(
        np.array([*keys, *(key + i for key in runs for i in range(70))], np.uint64), irregular=texts
    ),
    st.lists(st.integers(0, 300), max_size=40),
    st.lists(st.integers(0, 10**6), max_size=2),
    st.lists(st.sampled_from(["A", "B", "#", "1*"]), max_size=4),
)


@given(sets, sets, st.sampled_from(["dirbs", "plain"]))
def test_a_diff_applied_gives_the_new_set(tmp_path_factory, old, new, form):
    folder = tmp_path_factory.mktemp("diff")
    (folder / "delta").write_bytes(b"".join(diff(old, new, form=form)))
    if old == new:
        return
    result, _ = apply(old, folder / "delta", min_size=0)
    assert result == new
    result.save(folder / "result")
    new.save(folder / "new")
    assert (folder / "result").read_bytes() == (folder / "new").read_bytes()
    assert result.digest() == new.digest()


def test_the_form_of_a_diff():
    old, new = ImeiSet([A, "abc"], irregular="keep"), ImeiSet([A, B, "#"], irregular="keep")
    assert b"".join(diff(old, new)).decode() == f'imei,change_type\nABC,remove\n{B}9,add\n"#",add\n'
    assert b"".join(diff(old, new, form="plain")).decode() == f"-ABC\n+{B}9\n+#\n"
    with pytest.raises(ValueError, match="dirbs and plain"):
        list(diff(old, new, form="json"))


def run(*arguments, code=0):
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert found.exit_code == code, (found.output, found.exception)
    return found


def test_commands(tmp_path, monkeypatch, delta, base):
    monkeypatch.chdir(tmp_path)
    base.save("old.imei")
    ImeiSet([B, C]).save("new.imei")
    run("diff", "old.imei", "new.imei", "-o", "delta.csv")
    assert run("diff", "old.imei", "new.imei").stdout == (tmp_path / "delta.csv").read_text()
    found = run("apply", "old.imei", "delta.csv", "-o", "out.imei")
    assert "out.imei: 2 IMEIs, 2 before" in found.stdout
    assert "1 added, 1 removed" in found.stdout
    assert (tmp_path / "out.imei").read_bytes() == (tmp_path / "new.imei").read_bytes()
    before = (tmp_path / "out.imei").read_bytes()
    assert (
        "additions of what is there: 1, line 3"
        in run("apply", "out.imei", "delta.csv", "-o", "out.imei", code=2).stderr
    )
    assert (tmp_path / "out.imei").read_bytes() == before
    allowed = ("--allow", "add", "--allow", "remove")
    digest = ImeiSet.open("new.imei").digest()
    arguments = ("apply", "out.imei", "delta.csv", "-o", "out.imei", *allowed, "--json")
    assert json.loads(run(*arguments, "--expect-digest", digest).stdout)["digest"] == digest
    run(*arguments, "--expect-digest", "00", code=2)
    damaged = bytearray((tmp_path / "new.imei").read_bytes())
    damaged[damaged.index(bytes(ImeiSet.open("new.imei").sections()[6][1])) + 2] ^= 1  # in the spill
    (tmp_path / "damaged.imei").write_bytes(damaged)
    assert "checksum" in run("apply", "damaged.imei", "delta.csv", "-o", "out.imei", *allowed, code=2).stderr
    delta(f"imei,change_type\n{B},remove\n", "small.csv")
    assert "at least 75%" in run("apply", "out.imei", "small.csv", "-o", "small.imei", code=2).stderr
    assert not (tmp_path / "small.imei").exists()
    run("apply", "out.imei", "small.csv", "-o", "small.imei", "--force")
    assert len(ImeiSet.open("small.imei")) == 1


# ---- a column of changes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        (
            "Operation,IMEI\n1,{C}\n0,{A}\n",
            "x",
            {"change_column": "operation", "change_values": "0=remove,1=add"},
        ),
        (
            "Operation,IMEI\n1,{C}\n0,{A}\n",
            "x",
            {"change_column": 1, "change_values": {0: "remove", 1: "add"}},
        ),
        ("imei;What\n{C};I\n{A};R\n", "x", {"change_column": "what", "change_values": "i=add,r=remove"}),
        ("imei,what\n{C}, Added\n{A},DELETED\n{B},modify\n", "x", {"change_column": "what"}),
        (
            "imei,was\n{C},Löschen\n{A},eintragen\n",
            "x",
            {"change_column": 2, "change_values": "LÖSCHEN=add,eintragen=remove"},
        ),
        ("imei,change_type\n{C},NEW\n{A},withdrawn\n", "x", {}),
        ("imei,change_type\n{C},x\n{A},y\n", "x", {"change_column": 2, "change_values": "x=add,y=remove"}),
        # Without a header.
        ("{C},add\n{A},remove\n", "x", {"column": 1, "change_column": 2}),
        ("A|{C}|\nD|{A}|\n", "x", {"column": 2, "change_column": 1, "change_values": "A=add,D=remove"}),
        # Whatever its name says.
        ("imei,action\n{C},add\n{A},remove\n", "x_unblocked.csv", {"change_column": "action"}),
    ],
)
def test_a_column_of_changes(base, delta, text, name, options):
    path = delta(text.format(A=A, B=B, C=C), name)
    result, report = apply(base, path, min_size=0, **options)
    assert bodies(result) == {B, C}
    assert (report.added, report.removed) == (1, 1)


@pytest.mark.parametrize(
    ("text", "options", "line", "got"),
    [
        ("imei,change_type\n{C},add\n{A},replace\n", {}, 3, "'replace' in 1 row, the first in line 3"),
        ("imei,change_type\n{C},add\n{A},\n", {}, 3, "'' in 1 row"),
        (
            "imei,op\n{C},1\n{A},0\n{B},0\n",
            {"change_column": "op"},
            2,
            "'1' in 1 row, .* '0' in 2 rows, the first in line 3",
        ),
        ("imei,op\n{C},A\n{A},D\n", {"change_column": "op"}, 2, "'A' in 1 row.*'D' in 1 row"),
        (
            "imei,op\n{C},1\n{A},0\n{B},2\n",
            {"change_column": "op", "change_values": "1=add,0=remove"},
            4,
            "'2' in 1 row",
        ),
        # Only what is said is understood.
        (
            "imei,op\n{C},1\n{A},remove\n",
            {"change_column": "op", "change_values": "1=add,0=remove"},
            3,
            "'remove' in",
        ),
        ("{C}\n{A}\n", {"change_column": 1}, 1, "8601234[*5]"),
        ("+{C}\n-{A}\n", {"change_column": 1}, 1, "."),
    ],
)
def test_changes_that_are_not_understood_apply_nothing(base, delta, text, options, line, got):
    """However many rejected rows are allowed: a removal that is left out keeps a phone blocked."""
    path = delta(text.format(A=A, B=B, C=C))
    expected = errors.FeedRejects if text.startswith("+") else errors.FeedColumn
    with pytest.raises(expected, match=got) as caught:
        apply(base, path, min_size=0, max_rejects=9, **options)
    if expected is errors.FeedColumn:
        assert caught.value.line == line
        assert "--change-values" in str(caught.value)
    assert C[8:] not in str(caught.value)


def test_many_changes_that_are_not_understood(base, delta):
    rows = "".join(f"{350000000000000 + row},{row}\n" for row in range(7))
    with pytest.raises(errors.FeedColumn, match="'3' in 1 row, the first in line 5; and 3 other values"):
        apply(base, delta(f"imei,op\n{rows}"), change_column="op")
    with pytest.raises(errors.FeedColumn, match="named 'op', or its number"):
        apply(base, delta(f"imei,action\n{A},remove\n"), change_column="op")
    with pytest.raises(errors.FeedConflict, match="beside --change"):
        apply(base, delta(f"imei,op\n{A},remove\n"), change_column="op", change="add")


def test_irregular_identities_with_changes_that_are_not_understood(base, delta):
    kept = base.keeping(irregulars.table([b"62#1"]))
    path = delta(f"imei,op\n{C},add\n62#1,x\n")
    with pytest.raises(errors.FeedColumn, match="'x' in 1 row, the first in line 3"):
        apply(kept, path, change_column="op")
    result, _ = apply(kept, path, change_column="op", change_values="add=add,x=remove", min_size=0)
    assert len(result.irregular) == 0
    assert bodies(result) == {A, B, C}


# ---- conflicts -----------------------------------------------------------------------------


def conflicts(base, path, **options):
    with pytest.raises(errors.FeedConflict) as caught:
        apply(base, path, min_size=0, **options)
    return caught.value


def test_all_conflicts_at_once(base, delta):
    """Each kind with its count and its first line, which is of a row of that kind."""
    rows = [f"{A},update", f"{C},remove", f"{D},update", f"{A},add", f"{B},add", f"{C},remove", f"{B},remove"]
    error = conflicts(base, delta("imei,change_type\n" + "".join(f"{row}\n" for row in rows)))
    assert error.got == (
        "additions of what is there: 2, first line 5, '49015420******'; "
        "removals of what is not there: 1, line 3, '86012345******'; "
        "updates of what is not there: 1, line 4, '01234567******'; "
        "different changes of one identity: 2, first lines 2 and 5, '49015420******'"
    )
    assert error.line == 3
    assert "before" not in str(error)


@pytest.mark.parametrize("left", CHECKS)
def test_conflicts_that_are_allowed_are_not_named(base, delta, left):
    path = delta(f"imei,change_type\n{A},add\n{C},remove\n{D},update\n{B},add\n{B},update\n")
    words = {
        "add": "additions of what is there: 2, first line 2",
        "remove": "removals of what is not there: 1, line 3",
        "update": "updates of what is not there: 1, line 4",
        "conflict": "one identity: 1, lines 5 and 6",
    }
    got = conflicts(base, path, checks=[name for name in CHECKS if name != left]).got
    assert [name for name in CHECKS if words[name] in got] == [name for name in CHECKS if name != left]


def test_conflicts_of_irregular_identities_and_ranges(base, delta):
    kept = base.keeping(irregulars.table([b"62#1", b"ABC"]))
    path = delta(f"imei,change_type\n62#2,remove\nabc,add\n62#3,add\n{A},add\n62#3,remove\n")
    assert conflicts(kept, path).got == (
        "additions of what is there: 2, first line 3, 'ABC'; "
        "removals of what is not there: 2, first line 2, '62#2'; "
        "different changes of one identity: 1, lines 4 and 6, '62#3'"
    )
    ranges = ImeiSet.from_ranges([100, 300], [199, 399])
    low, high = "from,to,change_type\n", "{:014d},{:014d},{}\n".format
    path = delta(
        low + high(0, 99, "add") + high(50, 120, "add") + high(390, 410, "remove") + high(90, 95, "remove")
    )
    assert conflicts(ranges, path).got == (
        "additions of what is there: 21, first line 3, '00000000******'; "
        "removals of what is not there: 17, first line 4, '00000000******'; "
        "different changes of one identity: 6, first lines 2 and 5, '00000000******'"
    )


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=30),
    st.sets(st.integers(0, 9)),
    st.sampled_from(["imei", "pair"]),
)
def test_conflicts_are_those_of_row_by_row(rows, there, what):
    """Counts and first lines, against a slow reading of the rows one by one."""
    table = Rows(
        np.array([key for key, _ in rows], np.uint64) + np.uint64(1),
        None,
        irregulars.NONE,
        {
            "change_type": np.array([change for _, change in rows], np.int32),
            "line": np.arange(2, len(rows) + 2),
            "imsi": np.full(len(rows), 1262, np.uint64),
        },
        {"change_type": np.empty(0, np.int32), "line": np.empty(0, np.int64)},
        {},
        LoadReport(),
    )
    rule = "pair" if what == "pair" else "exact"
    changes = Changes("d", rule, table, None)
    changes.divide(keep=False)
    keys = np.array(sorted(there), np.uint64) + np.uint64(1)
    members = ImeiSet.from_keys(keys)
    base = PairSet.of(keys, np.full(len(keys), 1262, np.uint64)) if what == "pair" else members
    expected, first = [], {}
    for kind, wrong in enumerate(
        (lambda key: key in there, lambda key: key not in there, lambda key: key not in there)
    ):
        lines = [line for line, (key, change) in enumerate(rows, 2) if change == kind and wrong(key)]
        if found := {key for key, change in rows if change == kind and wrong(key)}:
            expected.append(f": {len(found)}, {'first ' * (len(found) > 1)}line {lines[0]}, '")
    twice = {key for key, change in rows for other, more in rows if key == other and change != more}
    for line, (key, change) in enumerate(rows, 2):
        first.setdefault(key, (line, change))
        if change != first[key][1]:
            some = "first " * (len(twice) > 1)
            expected.append(f": {len(twice)}, {some}lines {first[key][0]} and {line}, '")
            break
    if not expected:
        changes.check(base, {*CHECKS})
        return
    with pytest.raises(errors.FeedConflict) as caught:
        changes.check(base, {*CHECKS})
    got = caught.value.got.split("; ")
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert other in one


NEITHER = (
    *(
        "not removed",
        "not blocked",
        "pending",
        "cancelled",
        "removal cancelled",
        "lifted",
        "ended",
        "revoked",
    ),
    *("remove/add", "add - removed", "new status: removed", "unblocked to blocked", "update or delete"),
    *("removed from greylist", "re-added", "unremove", "request denied to add", "no change"),
)


@pytest.mark.parametrize(
    ("value", "blocks", "clears"),
    [
        ("removed from blacklist", "remove", None),
        ("removed from whitelist", None, "remove"),
        ("added to blacklist", "add", None),
        ("added to whitelist", None, None),
        ("Alta", "add", "add"),
        ("baja", "remove", "remove"),
        ("blocked", "add", None),
        ("Unblocked", "remove", None),
        ("recovered", "remove", None),
        ("insert", "add", "add"),
        ("eliminado", "remove", "remove"),
        ("gelöscht", "remove", "remove"),
        *(
            (code, None, None)
            for code in ("0", "1", "A", "D", "I", "R", "U", "yes", "true", "active", "-", "x")
        ),
        *((value, None, None) for value in NEITHER),
    ],
)
def test_words_of_changes(tmp_path, delta, value, blocks, clears):
    """A word is understood only where it says one thing; what blocks adds to a blocklist alone."""
    held = imeiset.Register()
    for name, status in (("black", 1), ("white", 0)):
        held.add(name, [A, B], status=EquipmentStatus(status))
    with Store.create(tmp_path / "store", held) as store:
        for name, expected in (("black", blocks), ("white", clears)):
            path = delta(f"imei,action\n{B if expected == 'remove' else C},{value}\n")
            before = store.state_id
            if expected is None:
                with pytest.raises(errors.FeedColumn, match="--change-values"):
                    apply(store, path, list=name, change_column="action", min_size=0)
                assert store.state_id == before
            else:
                _, report = apply(store, path, list=name, change_column="action", min_size=0)
                assert (report.added, report.removed) == (expected == "add", expected == "remove")


# ---- as a description says -----------------------------------------------------------------

DESCRIPTION = """
[[lists]]
name = "stolen"
status = "blacklisted"
files = ["not-there.csv"]
column = "number"
change_column = "op"
change_values = { I = "add", R = "remove" }
where = "state=blocked"
skip = 3
max_rejects = 100

[[lists]]
name = "stolen"
status = "blacklisted"
kind = "ranges"
files = ["not-there.csv"]
change_column = 9

[[lists]]
name = "white"
status = "whitelisted"
files = ["*.csv"]
"""


@pytest.fixture
def description(tmp_path):
    (tmp_path / "register.toml").write_text(DESCRIPTION)
    return tmp_path / "register.toml"


def test_deltas_are_read_as_a_description_says(base, delta, description):
    """Its files are not looked for. What it says of full lists is not taken: that could lose a removal."""
    path = delta(f"number,op,state\n{C},I,blocked\n{A},R,free\n")
    said = {"description": description, "list": "stolen", "min_size": 0}
    assert bodies(apply(base, path, **said)[0]) == {B, C}
    with pytest.raises(errors.FeedRejects):
        apply(base, delta(f"number,op\nx,R\n{C},I\n"), **said)
    # What is said beside it counts, and values are those of their own column.
    path = delta(f"number,op,what\n{C},I,delete\n{A},R,insert\n")
    assert bodies(apply(base, path, **said, change_values="I=add,R=remove")[0]) == {B, C}
    with pytest.raises(errors.FeedConflict, match="removals of what is not there"):
        apply(base, path, **said, change_values="R=add,I=remove")
    with pytest.raises(errors.FeedConflict, match="removals of what is not there"):
        apply(base, path, **said, change_column="what")
    assert bodies(apply(base, delta(f"number,op\n{C},I\nx,R\n"), **said, max_rejects=1)[0]) == {A, B, C}


def test_deltas_of_a_store_are_read_as_a_description_says(tmp_path, delta, description):
    held = imeiset.Register()
    held.add("stolen", [A, B], status=EquipmentStatus.BLACKLISTED)
    held.add("white", [A], status=EquipmentStatus.WHITELISTED)
    path = delta(f"number,op\n{C},I\n{A},R\n")
    with Store.create(tmp_path / "store", held) as store:
        with pytest.raises(errors.FeedConflict, match="change_type, --change-column or --change"):
            apply(store, delta(f"imei,x\n{C},I\n", "w.csv"), list="white", description=description)
        apply(store, path, list="stolen", description=description, min_size=0)
        assert bodies(store["stolen"]) == {B, C}
        assert store.sequence == 1


@pytest.mark.parametrize(
    ("more", "name", "options", "match"),
    [
        ("", None, {}, "a list of the name that deltas are for: stolen, white, got none"),
        ("", "stollen", {}, "got 'stolen' as the nearest"),
        ("", "white", {"change_values": "a=add"}, "change_column with change_values"),
        (
            '[[lists]]\nname="stolen"\nstatus="blacklisted"\nfiles="b"\nchange_column=3\n',
            "stolen",
            {},
            "got 2 of IMEIs",
        ),
        ('[[lists]]\nname="pairs"\nkind="lock"\nfiles="b"\n', "pairs", {}, "got 0 of IMEIs"),
        ("[", "stolen", {}, "expected TOML"),
    ],
)
def test_a_description_that_does_not_say_it(base, delta, description, more, name, options, match):
    description.write_text(DESCRIPTION + more)
    path = delta(f"number,op\n{C},I\n{A},R\n")
    with pytest.raises(errors.FeedDescription, match=match):
        apply(base, path, description=description, list=name, **options)
    same = '\n[[lists]]\nname="stolen"\nstatus="blacklisted"\nfiles="b"\nskip=1\n'
    if not more:  # another table that says nothing of deltas
        description.write_text(DESCRIPTION + same)
        assert bodies(apply(base, path, description=description, list="stolen", min_size=0)[0]) == {B, C}


def test_commands_with_a_description(tmp_path, monkeypatch, delta, base, description):
    monkeypatch.chdir(tmp_path)
    base.save("old.imei")
    delta(f"number,op\n{C},I\n{A},R\n")
    said = ("apply", "old.imei", "delta.csv", "-o", "out.imei", "--min-size", 0)
    run(*said, "--description", "register.toml", "--list", "stolen")
    assert bodies(ImeiSet.open("out.imei")) == {B, C}
    assert "stolen, white" in run(*said, "--description", "register.toml", code=2).stderr
    found = run(
        *said, "--description", "register.toml", "--list", "white", "--change-values", "I=add", code=2
    )
    assert "register.toml: expected options that go together" in found.stderr
    assert "--list needs" in run(*said, "--list", "stolen", code=2).stderr
    run(*said, "--column", "number", "--change-column", "OP", "--change-values", "I=add,R=remove")
    assert bodies(ImeiSet.open("out.imei")) == {B, C}
    assert "change_column" in run(*said, "--change-values", "I=add", code=2).stderr


# ---- what is reported ----------------------------------------------------------------------


def test_additions_whose_status_does_not_count_are_reported(base, delta):
    path = delta(
        "imei,reporting_date,status,change_type\n"
        f"{C},,pending,add\n{D},,blacklist,add\n{A},,pending,update\n{B},,pending,remove\n"
    )
    result, applied = apply(base, path, min_size=0)
    assert bodies(result) == {D}
    [report] = applied.sources
    assert (report.rows, report.accepted, report.ignored) == (4, 3, {"others": 1})
    _, applied = apply(base, path, min_size=0, where="status=blacklist")
    [report] = applied.sources
    assert (report.rows, report.accepted, report.ignored) == (4, 1, {"pending": 3})


def test_the_command_names_what_does_not_count(tmp_path, monkeypatch, delta, base):
    monkeypatch.chdir(tmp_path)
    base.save("old.imei")
    delta(
        f"imei,change_type,op\n{C},add,north\n{A},remove,south\nx,remove,north\n000000000000000,add,north\n"
    )
    said = ("apply", "old.imei", "delta.csv", "-o", "out.imei", "--where", "op=north")
    assert "one more: a character that is not a digit" in run(*said, code=2).stderr
    assert not (tmp_path / "out.imei").exists()
    words = " ".join(run(*said, "--max-rejects", 1).stdout.split())
    assert "4 rows: 2 added, 0 removed, 0 updated" in words
    for part in (
        "ignored 1 status 'south'",
        "placeholders 1 zeros: delta.csv: 5",
        "rejected 1",
        "delta.csv: 4",
    ):
        assert part in words
    delta(f"imei,change_type\n{C},add\n{A}8,remove\n")
    assert len(run(*said[:-2], "--min-size", 0).stdout.splitlines()) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_changes_in_other_encodings(base, tmp_path, encoding):
    path = tmp_path / "delta.csv"
    path.write_bytes(f"imei,aktion\n{C},hinzugefügt\n{A},GELÖSCHT\n".encode(encoding))
    assert bodies(apply(base, path, change_column="aktion", min_size=0)[0]) == {B, C}
    values = {"Hinzugefügt": "remove", "gelöscht": "add"}
    with pytest.raises(errors.FeedConflict, match="additions of what is there: 1, line 3"):
        apply(base, path, change_column="aktion", change_values=values)


@pytest.mark.parametrize(
    "name",
    [
        "not_blocked",
        "un_blocked",
        "no_longer_blocked",
        "blocked",
        "x_blocked_2",
        "x-blocked",
        "removed_from_blocked",
        "x_added_removed",
        "x_blocked.removed",
        "x_blocked.2026_removed",
        "unblock_blocked",
        "remove_blocked",
        "ex_blocked",
        "not_yet_blocked",
        "previously_blocked",
        "whitelist_added",
        "white_list_removed",
        "greylist_changed",
        "x_unblocked_and_blocked",
    ],
)
def test_names_that_do_not_say_what_changes(base, delta, name):
    with pytest.raises(errors.FeedConflict, match="a list that does not say it"):
        apply(base, delta(f"imei,x\n{C},1\n", f"{name}.csv"))


@pytest.mark.parametrize("name", ["x_blocked", "x_unblocked", "x_changed"])
@pytest.mark.parametrize("member", ["x_blocked.csv", "day/x_unblocked.csv", "x.csv", "x_blocked_1.csv"])
def test_names_within_archives(tmp_path, name, member):
    """A removal must not be an addition because somebody renamed the archive."""
    path = tmp_path / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, f"imei\n{C}\n")
    base = ImeiSet() if name == "x_blocked" else ImeiSet([C])
    if f"{name}.csv" == member.removeprefix("day/") or member in ("x.csv", "x_blocked_1.csv"):
        assert bodies(apply(base, path, min_size=0)[0]) == (set() if name == "x_unblocked" else {C})
        return
    with pytest.raises(errors.FeedConflict, match="named as what is in it, or --change"):
        apply(base, path, min_size=0)
    assert bodies(apply(ImeiSet(), path, change="add")[0]) == {C}

"""Registers and stores written for others, and read back."""

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from register.holding import digests, registers

from imeiset import Delta, EquipmentStatus, FeedError, ImeiSet, Register, Store, export, load, load_register
from imeiset.feeds.tables import cells
from imeiset.register.entries import Entries
from imeiset.register.lists import List

SET = settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
LISTED, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"


@pytest.mark.parametrize("form", ["csv", "parquet"])
@SET
@given(data=st.data())
def test_a_register_comes_back(form, data):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    register = data.draw(registers())
    if not register.lists:
        return
    with tempfile.TemporaryDirectory() as folder:
        written = export(register, folder, form=form)
        again, reports = load_register(Path(folder, "register.toml"))
        assert digests(again) == digests(register)
        assert again.policy == register.policy
        assert sum(one.rows for one in written) == sum(one.report.accepted for one in reports)
        assert all(one.report.rejected == 0 == one.report.wrong_check_digits for one in reports)


def made():
    register = Register()
    register.add(
        "stolen",
        [LISTED, OTHER],
        status=1,
        reasons=["stolen|lost", None],
        dates=["20240229", None],
        reason="theft",
    )
    register.add("found, lost", [OTHER], status=1, dates=["20240101"], until=["20250101"])
    register.exempt("pairs", [LISTED, LISTED, OTHER], ["234150000000001", "234200000000001", "26201"])
    register.block("clones", [OTHER], ["234150000000009"], until=["20250101"])
    return register


def text(register, **options):
    file = io.BytesIO()
    written = export(register, file, **options)
    assert written[0].rows == file.getvalue().count(b"\n") - (options.get("form") != "plain")
    return file.getvalue().decode()


def test_one_list():
    register = made()
    assert text(register, lists=["stolen"], form="csv") == (
        f"imei,reasons,date\n{OTHER},,\n{LISTED},lost|stolen,2024-02-29\n"
    )
    assert text(register, lists=["stolen"], form="dirbs") == (
        f"imei,block_date,reasons\n{OTHER},,theft\n{LISTED},2024-02-29,lost|stolen\n"
    )
    assert text(register, lists=["stolen"], form="plain") == f"{OTHER}\n{LISTED}\n"
    assert text(register, lists=["clones"], form="csv") == (
        f"imei,imsi,until\n{OTHER},234150000000009,2025-01-01\n"
    )


def test_lists_joined():
    """Each IMEI once: all reasons, the first date, and no until where one list has none."""
    register, names = made(), ["stolen", "found, lost"]
    assert text(register, lists=names, joined=True, form="csv") == (
        f"imei,reasons,date,until\n{OTHER},theft,2024-01-01,\n{LISTED},lost|stolen,2024-02-29,\n"
    )
    register.add("white", [OTHER], status=0)
    for wrong, options in {
        "expected one list": {},
        "to join, got a list of kind": {"joined": True},
        "of one status to join, got BLACKLISTED, WHITELISTED": {"joined": True, "lists": ["stolen", "white"]},
        "a form of": {"form": "roaring"},
        "operators: expected": {"operators": {"a": ["1"]}, "lists": ["stolen"]},
    }.items():
        with pytest.raises(ValueError, match=wrong):
            export(register, io.BytesIO(), **options)
    with pytest.raises(ValueError, match="a register or a store"):
        export(register["stolen"], io.BytesIO(), joined=True)
    with pytest.raises(KeyError, match="one of"):
        export(register, io.BytesIO(), lists=["x"])
    register.add_tacs("stolen", ["49015420"], status=1)
    with pytest.raises(ValueError, match=r"1,000,000 by tac: write to a directory"):
        export(register, io.BytesIO(), lists=["stolen"])


@SET
@given(registers(), st.sampled_from(["plain", "csv"]))
def test_joined_lists_are_the_list_that_holds_all(register, form):
    lists = [
        one for one in register.lists if one.kind == "imeis" and set(one.counts()) <= {"exact", "irregular"}
    ]
    lists = [one for one in lists if one.status == lists[0].status]
    if not lists:
        return
    together, rows = Register(), []
    for one in lists:
        for batch in register.entries(lists=[one.name]):
            for row in batch.to_pylist():
                if row["rule"] == "exact":
                    rows.append(
                        (row["imei"], row["reasons"] or one.reason or None, row["date"], row["until"])
                    )
    columns = list(zip(*rows, strict=True)) or [()] * 4
    together.add("all", columns[0], reasons=columns[1], dates=columns[2], until=columns[3], status=1)
    texts = frozenset().union(*(one.irregular for one in lists))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "all.csv")
        export(register, path, lists=[one.name for one in lists], joined=True, form=form)
        if not rows and not texts:
            return
        if form == "plain":
            found = load(path, irregular="keep", lost_zeros="keep").set
            assert (list(found), set(found.irregular.tolist())) == (list(together["all"]), texts)
        else:
            said = (
                "reason_column = 'reasons'\n" if b"reasons" in path.read_bytes().partition(b"\n")[0] else ""
            )
            Path(folder, "all.toml").write_text(
                "[[lists]]\nname = 'all'\nstatus = 'blacklisted'\nfiles = ['all.csv']\n"
                f"irregular = 'keep'\nlost_zeros = 'keep'\n{said}"
            )
            [again] = load_register(Path(folder, "all.toml")).register.lists
            [one] = together.lists
            assert [again.exact.details(key) for key in again.exact.base.to_numpy().tolist()] == [
                one.exact.details(key) for key in one.exact.base.to_numpy().tolist()
            ]


def test_dirbs_lists_of_operators(tmp_path):
    operators = {"op-a": ["23415"], "op-b": ["23420", "23433"]}
    written = export(made(), tmp_path, form="dirbs", operators=operators)
    names = [Path(one.path).name.split("_", 2)[2] for one in written]
    assert names == [
        "blacklist.csv",
        *(f"exceptions_{name}.csv" for name in ("op-a", "op-b", "others")),
    ]
    shown = [Path(one.path).read_text() for one in written]
    assert shown[0] == f"imei,block_date,reasons\n{OTHER},2024-01-01,theft\n{LISTED},2024-02-29,lost|stolen\n"
    head = "imei,imsi,msisdn\n"
    assert shown[1:] == [
        f"{head}{LISTED},234150000000001,\n",
        f"{head}{LISTED},234200000000001,\n",
        f"{head}{OTHER},26201,\n",
    ]
    assert [*load(written[0].path).set] == [OTHER, LISTED]
    with pytest.raises(ValueError, match="a name of letters"):
        export(made(), tmp_path, form="dirbs", operators={"../x": ["1"]})


def test_a_store_as_it_is_now(tmp_path):
    with Store.create(tmp_path / "eir", made()) as store:
        store.apply(Delta("stolen", add=[THIRD], remove=[LISTED], reason="new", until="2030-01-01"))
        export(store, f"{tmp_path}/out/", form="csv")
        store.save(tmp_path / "now.imei")
    register, _ = load_register(tmp_path / "out" / "register.toml")
    assert digests(register) == digests(Register.open(tmp_path / "now.imei"))
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o600}


def test_a_full_disk_leaves_the_old_files(tmp_path, monkeypatch):
    """Of a directory, none is replaced before all are written."""
    from imeiset.feeds import giving

    register = made()
    export(register, tmp_path, form="csv")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    register.add("stolen", [THIRD], status=1)
    wrote = giving.write_text

    def full(file, *rest, **options):
        wrote(file, *rest, **options)
        if full.left == 0:
            raise OSError(28, "No space left on device")
        full.left -= 1

    full.left = 2
    monkeypatch.setattr(giving, "write_text", full)
    for target, options in ((tmp_path, {}), (tmp_path / next(iter(before)), {"lists": ["stolen"]})):
        full.left = 0 if options else 2
        with pytest.raises(OSError, match="No space left"):
            export(register, target, form="csv", **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_full_device():
    with pytest.raises(OSError, match="No space left"), Path("/dev/full").open("wb") as file:
        export(made(), file, lists=["stolen"], form="csv")


def described(folder, titles, more=""):
    Path(folder, "list.csv").write_text(f"{titles}\n{LISTED},unblocked\n{OTHER},stolen\n")
    Path(folder, "lists.toml").write_text(
        f"[[lists]]\nname = 'a'\nstatus = 'blacklisted'\nfiles = ['list.csv']\n{more}"
    )
    return load_register(Path(folder, "lists.toml")).register


def test_reasons_that_were_asked_for_may_say_anything(tmp_path):
    """But not where nobody said that they are reasons, nor under a title of statuses."""
    for titles, more in (
        ("imei,reasons", ""),
        ("imei,status", "reason_column = 'status'"),
        ("imei,change_type", "reason_column = 'change_type'"),
    ):
        with pytest.raises(FeedError):
            described(tmp_path, titles, more)
    register = described(tmp_path, "imei,reasons", "reason_column = 'reasons'")
    assert register.check(LISTED).reasons == ("unblocked",)


def test_a_loaded_list_has_the_digest_of_one_made_by_hand(tmp_path):
    """Its irregular identities are beside its IMEIs, not in them."""
    (tmp_path / "list.csv").write_text(f"imei\n{LISTED}\n*12\n")
    (tmp_path / "lists.toml").write_text(
        "[[lists]]\nname = 'a'\nstatus = 'blacklisted'\nfiles = ['list.csv']\nirregular = 'keep'\n"
    )
    loaded, by_hand = load_register(tmp_path / "lists.toml").register, Register()
    by_hand.add("a", ImeiSet([LISTED, "*12"], irregular="keep"), status=1)
    assert digests(loaded) == digests(by_hand)
    assert loaded["a"].irregular is None


@pytest.mark.parametrize(("low", "high"), [(1, 10**6 - 1), (0, 10**6 - 2), (0, 10**6), (5, 2 * 10**6 - 1)])
def test_parts_of_a_tac_are_not_written_as_a_tac(low, high):
    ends = (np.array([key], np.uint64) for key in (low, high))
    with pytest.raises(ValueError, match="list 'models': expected whole TACs"):
        cells(Entries(List("models", EquipmentStatus.GREYLISTED), "tac", *ends), "tac")

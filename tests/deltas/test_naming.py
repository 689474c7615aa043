"""Files of a feed by their names."""

from pathlib import Path

import pytest

from imeiset.deltas.naming import files_of, form_of, shown

DIRBS = "20261129083035_blacklist"


def named(folder, *names, lists=("stolen",), **more):
    for name in names:
        Path(folder, name).write_text("")
    found = files_of(Path(folder), lists, **{"number": None, "deltas": None, "full": None, **more})
    kinds = {True: "delta", False: "full"}
    return [
        (file.name, file.why) if file.why else (file.name, kinds[file.is_delta], file.after, file.number)
        for file in found
    ]


def test_by_their_number_whatever_else_is_in_the_name(tmp_path):
    found = named(
        tmp_path,
        "op1_stolen_full_000120.csv.gz",
        "op1_stolen_delta_000119.csv",
        "op1_stolen_delta_000121.csv",
        "20261129_stolen_delta_9.csv",
        "2026-11-29T07:00:00 stolen changes 000120.zip",
        "delta122.txt.xz",
        "stolen-incr-no123",
        ".stolen_delta_000124.csv",
    )
    assert found == [
        ("20261129_stolen_delta_9.csv", "delta", 8, 9),
        ("op1_stolen_delta_000119.csv", "delta", 118, 119),
        ("2026-11-29T07:00:00 stolen changes 000120.zip", "delta", 119, 120),
        ("op1_stolen_full_000120.csv.gz", "full", None, 120),
        ("op1_stolen_delta_000121.csv", "delta", 120, 121),
        ("delta122.txt.xz", "delta", 121, 122),
        ("stolen-incr-no123", "delta", 122, 123),
    ]


def test_as_dirbs_writes_them(tmp_path):
    found = named(
        tmp_path,
        f"{DIRBS}.csv",
        f"{DIRBS}_delta_7_9_blocked.csv",
        f"{DIRBS}_delta_7_9_unblocked.csv",
        f"{DIRBS}_delta_7_9_changed.csv",
        f"{DIRBS}_delta_5_9_blocked.csv",
    )
    assert [(kind, after, number) for _, kind, after, number in found] == [
        ("delta", 5, 9),
        *[("delta", 7, 9)] * 3,
        ("full", None, 9),
    ]


def test_by_days_and_hours_where_no_name_has_a_number(tmp_path):
    days = named(
        tmp_path, "full_20261130.csv", "delta_20261130.csv", "delta_2026-12-01.csv", "op1_20261129.csv"
    )
    assert [one[1:] for one in days] == [
        ("full", None, 20261129),
        ("delta", 20261129, 20261130),
        ("full", None, 20261130),
        ("delta", 20261130, 20261201),
    ]
    (tmp_path / "hours").mkdir()
    names = "delta_20261130_23.csv", "delta_20261201T00.csv", "full_2026113022.csv", "x_20261130.csv"
    hours = named(tmp_path / "hours", *names)
    assert [one[1:] for one in hours[:3]] == [
        ("full", None, 2026113022),
        ("delta", 2026113022, 2026113023),
        ("delta", 2026113023, 2026120100),
    ]
    assert "others have a time: name it by that of its last change" in hours[3][1]
    (tmp_path / "times").mkdir()
    times = named(tmp_path / "times", "full_20261130T083035.csv", "delta_20261130_090000.csv")
    assert times[0][1:] == ("full", None, 20261130083035)
    assert "does not say what comes before it" in times[1][1]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("stolen_delta_000121_2.csv.part", "not a list"),
        ("stolen_delta_000121.csv.sha256", "not a list"),
        ("stolen_delta_12_000121_2.csv", "several numbers"),
        ("stolen_full_9_7.csv", "several numbers"),
        ("stolen_delta_op1.csv", "no number"),
        ("stolen_full_delta_000121.csv", "both a full list and a delta"),
        ("blocked_000121.csv", "a full list or a delta"),
        ("stolen_new_000121.csv", "a full list or a delta"),
        ("stolen_released_000121.csv", "a full list or a delta"),
        ("bajas-121.txt", "a full list or a delta"),
        ("readme", "no number"),
    ],
)
def test_a_name_that_may_be_two_things_is_not_understood(tmp_path, name, why):
    found = named(tmp_path, "stolen_full_000120.csv", name)
    assert found[0] == ("stolen_full_000120.csv", "full", None, 120)
    assert why in found[1][1]


def test_a_list_may_be_called_so(tmp_path):
    found = named(
        tmp_path, "recovered_000121.csv", "new_stolen_000122.csv", lists=("recovered", "new stolen")
    )
    assert [one[1] for one in found] == ["full", "full"]


def test_what_settles_it(tmp_path):
    names = "12_blocked_000121_v2.csv", "12_all_000120.csv"
    more = {"number": r"_(\d{6})", "deltas": "*blocked*", "full": "*all*"}
    assert named(tmp_path, *names, **more) == [
        ("12_all_000120.csv", "full", None, 120),
        ("12_blocked_000121_v2.csv", "delta", 120, 121),
    ]
    found = named(tmp_path, "d-120to125-blocked", number=r"d-(\d+)to(\d+)", deltas="d-*")
    assert ("d-120to125-blocked", "delta", 120, 125) in found


HOURS = "op1_delta_2026113023.csv", "op1_delta_2026120100.csv"


@pytest.mark.parametrize(
    ("names", "last", "before"),
    [
        (HOURS, 0, [2026113022, 2026113023]),
        (HOURS[1:], 2026113023, [2026113023]),
        # A counter: it was none of an hour, or another number of the directory is none.
        (HOURS[1:], 2026120099, [2026120099]),
        ((*HOURS, "op1_delta_2026113024.csv"), 0, [2026113022, 2026113023, 2026120099]),
        ((*HOURS, "op1_full_17.csv"), 0, [2026113022, 2026120099]),
        (("op1_delta_0020261201.csv",), 0, [20261200]),
        (("op1_delta_20261201.csv", "op1_delta_20261202.csv"), 20261130, [20261130, 20261201]),
        (("op1_delta_20270101.csv",), 20261231, [20261231]),
        (("op1_delta_20261201.csv",), 20261200, [20261200]),
        (("op1_delta_20261201000000.csv",), 0, [20261200999999]),  # what comes before a second is not known
    ],
)
def test_numbers_that_a_pattern_finds_are_days_or_hours_if_all_of_them_are(tmp_path, names, last, before):
    found = named(tmp_path, *names, number=r"_(\d+)\.", last=last)
    assert [one[2] for one in found if one[1] == "delta"] == before


def test_what_a_pattern_finds_and_is_no_number(tmp_path):
    names = ("delta_20261201.csv", "delta_1764547200000000000.csv", "delta_7a.csv", f"delta_{2**63}.csv")
    found = {one[0]: one[1:] for one in named(tmp_path, *names, number=r"_(\w+)\.")}
    assert found[names[0]] == ("delta", 20261200, 20261201)
    assert found[names[1]] == ("delta", 1764547199999999999, 1764547200000000000)
    for name, text in zip(names[2:], ("7a", 2**63), strict=True):
        assert found[name] == (f"--number finds '{text}', and not a number up to {2**63 - 1}",)


def test_by_the_longest_list_that_a_name_has(tmp_path):
    lists = ("stolen", "stolen-abroad", "exceptions")
    for name in (
        "Stolen_full_1.csv",
        "x-STOLEN-ABROAD_full_1.csv",
        "exceptions_stolen_full_1.csv",
        "full_1.csv",
    ):
        Path(tmp_path, name).write_text("")
    found = {
        file.name: file.list or file.why
        for file in files_of(tmp_path, lists, number=None, deltas=None, full=None)
    }
    assert found.pop("Stolen_full_1.csv") == "stolen"
    assert found.pop("x-STOLEN-ABROAD_full_1.csv") == "stolen-abroad"
    assert set(found.values()) == {"its name has none of the lists stolen, stolen-abroad, exceptions"}


def test_numbers_in_words():
    assert [shown(n) for n in (7, 120, 20261130, 2026113014, 20261130083035, 20269999)] == [
        "7", "120", "2026-11-30", "2026-11-30 14 h", "2026-11-30 08:30:35", "20269999",
    ]  # fmt: skip
    assert form_of(20269999) == ""

"""Reasons and dates of feeds, against a dict of rows."""

import datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imeiset.feeds import details, read
from imeiset.feeds.details import DETAILS, described

REASONS = ["", "lost", "stolen", "stolen|lost", " lost | ", "|", "found|broken", "a b"]
DATES = [
    "",
    "0",
    "20240101",
    "20231231",
    "20241399",
    "00000000",
    "19700101",
    "99991231",
    "99999999",
    "2024-1-1",
]
rows = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(DATES), st.sampled_from(REASONS)), min_size=1, max_size=30
)


def day(text):
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date().isoformat() if len(text) == 8 else ""
    except ValueError:
        return ""


def naive(given):
    """The reasons and the date of each key."""
    found = {}
    for key, date, reasons in given:
        said, days = found.setdefault(key, (set(), set()))
        said |= {reason.strip() for reason in reasons.split("|")} - {""}
        days |= {day(date)} - {""}
    return {key: ("|".join(sorted(said)), min(days, default="")) for key, (said, days) in found.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("details")


@given(
    given=rows, span=st.sampled_from([1, 10_000_000]), columns=st.sampled_from(["both", "date", "reasons"])
)
@example(given=[(1, "", "")], span=1, columns="both")
def test_equals_a_dict(folder, given, span, columns):
    titles = {"both": "imei,date,reasons", "date": "imei,date,x", "reasons": "imei,x,reasons"}[columns]
    path = Path(folder) / "list.csv"
    path.write_text(f"{titles}\n" + "".join(f"{key:014d},{date},{reasons}\n" for key, date, reasons in given))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(details, "_SPAN", span)
        table = read(path, DETAILS)
        for chosen in (None, table.keys % 2 == 0):
            members, found = described(table, chosen)
            some = [row for row in given if chosen is None or row[0] % 2 == 0]
            expected = naive(some)
            assert members.to_numpy().tolist() == sorted(expected)
            for side, name in enumerate(("reasons", "date")):
                texts = [expected[key][side] if columns in ("both", name) else "" for key in sorted(expected)]
                column = found[side]
                assert (column is None) == (not any(texts))
                if column is not None:
                    assert [column.text(int(code)) for code in column.codes] == texts
                    assert column.is_sound()

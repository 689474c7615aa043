"""Deltas against a slow oracle that reads them row by row, as the guide says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Register, Store, apply
from imeiset.deltas.changes import CHECKS
from imeiset.errors import FeedColumn, FeedConflict, FeedRejects

IMEIS = [f"3520990017614{serial:02d}" for serial in range(8)]  # 15 digits, any check digit
KEYS = [imei[:14] for imei in IMEIS]
CHANGES = ["add", "remove", "update"]
WORDS = {"add": "add", "INSERT": "add", "removed": "remove", "gelöscht": "remove", "Update": "update"}
CODES = ["0", "1", "A", "D", "", "no", "not removed", "x"]


def oracle(there, rows, values, where, status, checks):
    """What a delta makes of a list: the set after it, or what is wrong with it."""
    known = {value.casefold(): change for value, change in (WORDS if values is None else values).items()}
    if where is not None:
        rows = [row for row in rows if row[3] in where]
        if not rows:
            return "rejects"
    changes = []
    for imei, value, state, _ in rows:
        change = known.get(value.strip().casefold())
        if change is None:
            return "column"
        counts = not status or state in ("", "blacklist")
        if change == "update" and not counts:
            change = "remove"
        elif change == "add" and not counts:
            continue
        changes.append((imei[:14], change))
    said = {
        name: {imei for imei, change in changes if change == name} for name in ("add", "remove", "update")
    }
    adds, removes, updates = said.values()
    twice = (adds & removes) | (adds & updates) | (removes & updates)
    wrong = {"add": adds & there, "remove": removes - there, "update": updates - there, "conflict": twice}
    if any(wrong[name] for name in checks):
        return "conflict"
    return (there - removes) | adds | (set() if "update" in checks else updates)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_deltas_are_what_the_guide_says(tmp_path_factory, data):
    draw = data.draw
    folder = tmp_path_factory.mktemp("delta")
    there = draw(st.sets(st.sampled_from(KEYS)))
    values = draw(
        st.none()
        | st.dictionaries(st.sampled_from([*CODES[:4], "x", "add"]), st.sampled_from(CHANGES), min_size=1)
    )
    often = list(WORDS if values is None else values)
    value = st.sampled_from(often * 9 + CODES)
    status = draw(st.booleans())
    row = st.tuples(
        st.sampled_from(IMEIS),
        value,
        st.sampled_from(["blacklist", "", "pending"]),
        st.sampled_from(["east", "west"]),
    )
    rows = draw(st.lists(row, min_size=1, max_size=8))
    where = draw(st.none() | st.none() | st.just({"east"})) if not status else None
    checks = draw(st.sets(st.sampled_from(CHECKS)) | st.just({*CHECKS}))
    titled = status or draw(st.booleans())
    options = {"change_column": "What" if titled and draw(st.booleans()) else 2, "column": 1}
    if status:
        options["format"] = "stolen"
    if values is not None:
        options["change_values"] = values
    if where is not None:
        options["where"] = {"side" if titled and draw(st.booleans()) else 4: where}
    delimiter = draw(st.sampled_from(",;\t|"))
    titles = [
        ["imei", "what", *(["status", "side", "reporting_date"] if status else ["note", "side", "rest"])]
    ]
    lines = [*(titles if titled else []), *([*row, "-"] for row in rows)]
    encoding = draw(st.sampled_from(["utf-8", "latin-1"]))
    path = folder / "delta.csv"
    path.write_bytes("".join(f"{delimiter.join(line)}\n" for line in lines).encode(encoding))
    expected = oracle(there, rows, values, where, status, checks)
    base = ImeiSet(there)
    held = Register()
    held.add("stolen", there, status=EquipmentStatus.BLACKLISTED)
    kinds = {"column": FeedColumn, "conflict": FeedConflict, "rejects": FeedRejects}
    with Store.create(folder / "store", held) as store:
        for target in (base, store):
            if isinstance(expected, str):
                with pytest.raises(kinds[expected]):
                    apply(target, path, checks=checks, min_size=0, **options)
                assert (len(base), store.sequence) == (len(there), 0)
                continue
            result, report = apply(target, path, checks=checks, min_size=0, **options)
            after = result if target is base else result["stolen"]
            assert {imei[:14] for imei in after} == expected
            assert report.added - report.removed == len(expected) - len(there)
            [read] = report.sources
            assert read.rows == len(rows) == read.accepted + sum(read.ignored.values())
            again = target if target is store else result
            if checks == {*CHECKS} and expected != there:  # what was applied does not fit again
                with pytest.raises(FeedConflict):
                    apply(again, path, min_size=0, **options)

"""Everything out of a register and back."""

import datetime
import tempfile

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store

from .holding import digests, registers

pytest.importorskip("nanoarrow")


def rebuilt(given, names):
    """The register that has these entries, made by hand, row by row; names: its lists."""
    made = Register()
    for one in names:
        made.add_list(type(one)(one.name, one.status, one.kind, one.reason, one.owner))
    for batch in given:
        for row in batch.to_pylist():
            said = {"status": EquipmentStatus[row["status"].upper()]} if row["kind"] != "exempt" else {}
            imei, name, rule = row["imei"], row["list"], row["rule"]
            if rule == "exact":
                told = {"reasons": [row["reasons"]], "dates": [row["date"]], "until": [row["until"]]}
                made.add(name, [imei], **told, **said)
            elif rule == "irregular":
                made.add(name, ImeiSet([imei], irregular="keep"), **said)
            elif rule == "range":
                made.add_ranges(name, [imei], [row["high"]], **said)
            elif rule == "tac":
                assert (imei[8:14], row["high"][8:14]) == ("000000", "999999")
                tacs = range(int(imei[:8]), int(row["high"][:8]) + 1)
                made.add_tacs(name, [f"{tac:08}" for tac in tacs], **said)
            elif rule == "pair":
                getattr(made, row["kind"])(name, [imei], [row["imsi"]], until=[row["until"]], **said)
            else:
                made.add_imsis(name, [row["imsi"]], **said)
            assert (row["owner"] or "", row["list_reason"] or "") == next(
                (one.owner, one.reason) for one in names if one.name == name
            )
    return made


@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(registers(), st.sampled_from([1, 3, 1 << 16]))
def test_a_register_comes_back(register, rows):
    batches = list(register.entries(rows=rows))
    assert all(0 < len(batch) <= rows for batch in batches)
    assert len({str(batch.schema) for batch in batches}) <= 1
    assert digests(rebuilt(batches, register.lists)) == digests(register)


@settings(max_examples=30, deadline=None, phases=[Phase.generate])
@given(registers(), registers())
def test_a_store_with_changes_comes_back(register, more):
    """Entries of layers are those of the same lists made flat."""
    with tempfile.TemporaryDirectory() as folder, Store.create(f"{folder}/eir", register) as store:
        for one in register.lists:
            if one.kind == "imeis" and one.exact:
                for text in list(one.exact.base)[::2]:
                    store.apply(Delta(one.name, remove=[text], by=one.owner))
                for other in more.lists:
                    if other.exact:
                        store.apply(
                            Delta(
                                one.name, add=other.exact.base, reason="new", date="2024-01-01", by=one.owner
                            )
                        )
            elif one.pairs:
                keys, imsis = one.pairs.base.of_imeis(one.pairs.base.imeis.to_numpy()[::2].copy())
                pairs = keys, [str(number)[1:] for number in imsis.tolist()]
                new = [1, 49015420000007], ["26201", "262011234567890"]
                store.apply(
                    Delta(one.name, add=new, remove=pairs, rule="pair", until="2030-01-01", by=one.owner)
                )
        store.save(f"{folder}/now.imei")
        flat = Register.open(f"{folder}/now.imei", mode="memory")
        assert digests(rebuilt(store.entries(rows=7), store.lists)) == digests(flat)


def test_rows_and_names():
    register = Register()
    register.add("a", ["490154203237518"], status=1, reasons=["x"], dates=["20240229"], owner="op-a")
    register.exempt("b", ["490154203237518"], ["00101"], until=["20250101"])
    [row] = [row for batch in register.entries(lists=["b"]) for row in batch.to_pylist()]
    assert (row["imsi"], row["until"], row["reasons"]) == ("00101", datetime.date(2025, 1, 1), None)
    assert list(register.entries(lists=[])) == []
    assert [batch.to_pylist()[0]["list"] for batch in register.entries(lists=["b", "a", "b"])] == ["b", "a"]
    with pytest.raises(KeyError, match="one of a, b"):
        register.entries(lists=["c"])
    with pytest.raises(TypeError, match="a list of them"):
        register.entries(lists="a")
    with pytest.raises(ValueError, match="rows"):
        register.entries(rows=0)


def test_other_libraries_read_batches():
    pa = pytest.importorskip("pyarrow")
    register = Register()
    register.add("a", ["490154203237518"], status=1, reasons=["x"], dates=["20240229"])
    register.add_ranges("a", [5], [9], status=1)
    register.add("b", ["490154203237518"], status=2)
    table = pa.Table.from_batches([pa.record_batch(batch) for batch in register.entries()])
    table.validate(full=True)
    assert table["list"].combine_chunks().cast("string").to_pylist() == ["a", "a", "b"]

"""What changes from one register to another, and the deltas that make the one of the other."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from register.holding import digests, registers

from imeiset import ImeiSet, Register, Store, apply, diff
from imeiset.deltas import differences

LISTED, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"


def like(one, register):
    """A list of these facts that holds what one of a register does, of the same kind."""
    for other in register.lists:
        if other.kind == one.kind:
            return replace(other, name=one.name, status=one.status, owner=one.owner, reason=one.reason)
    return replace(one, exact=None, pairs=None)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(registers(), registers())
def test_deltas_make_one_of_the_other(old, more):
    new = Register(old.policy)
    for one in old.lists:
        if one.kind != "imsis":
            new.add_list(like(one, more))
    before = Register(old.policy)
    for one in old.lists:
        if one.kind != "imsis":
            before.add_list(one)
    with tempfile.TemporaryDirectory() as folder, Store.create(f"{folder}/eir", before) as store:
        found = differences(before, new, folder=f"{folder}/out")
        assert differences(new, new) == []
        names = [one.name for one in before.lists]
        for path in sorted(Path(folder, "out").iterdir()):
            name = names[int(path.name[:2]) - 1]
            options = {"by": next(one.owner for one in before.lists if one.name == name) or None}
            if path.name.endswith("-imeis-irregular.csv") or path.name.endswith("-imeis.csv"):
                options |= {"irregular": "keep", "lost_zeros": "keep"}
            if "reasons" in path.read_text().partition("\n")[0]:
                options["reason_column"] = "reasons"
            apply(store, path, list=name, min_size=0, **options)
        store.save(f"{folder}/now.imei")
        assert digests(Register.open(f"{folder}/now.imei", mode="memory")) == digests(new)
        assert {one.list for one in found} == {
            one.name
            for one, other in zip(before.lists, new.lists, strict=True)
            if one.digest() != other.digest()
        }


def test_what_is_said(tmp_path):
    old, new = Register(), Register()
    old.add("stolen", [LISTED, OTHER], status=1, reasons=["a", "b"])
    old.add("gone", [LISTED], status=2)
    new.add("stolen", [OTHER, THIRD], status=1, reasons=["c", None], owner="op-a")
    new.exempt("new", [LISTED], ["26201"])
    assert [str(one) for one in differences(old, new)] == [
        "stolen: owner none -> op-a; 1 added, 1 removed, 1 changed by exact",
        "gone: status greylisted -> none; kind imeis -> none; 1 removed by exact",
        "new: status none -> whitelisted; kind none -> exempt; 1 added by pair",
    ]
    differences(old, new, lists=["new"], folder=tmp_path / "out")
    assert b"".join(diff(old, new, list="new")).decode() == f"imei,imsi,change_type\n{LISTED},26201,add\n"
    assert b"".join(diff(old, new, list="stolen")).decode() == (
        f"imei,change_type,reasons\n{THIRD},add,\n{OTHER},update,c\n{LISTED},remove,a\n"
    )
    for wrong, call in {
        "one of gone, new, stolen": lambda: diff(old, new),
        "with registers": lambda: diff(ImeiSet(), ImeiSet(), list="a"),
        "the form dirbs": lambda: diff(old, new, form="plain"),
    }.items():
        with pytest.raises(ValueError, match=wrong):
            call()
    with pytest.raises(TypeError, match="one of both"):
        diff(old, ImeiSet())
    with pytest.raises(KeyError, match="one of stolen"):
        [*diff(old, new, list="x")]
    assert (tmp_path / "out" / "01-exempt.csv").read_text() == f"imei,imsi,change_type\n{LISTED},26201,add\n"

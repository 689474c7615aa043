"""Deltas whose container is whole and whose content is forged: refused in words, whatever they say."""

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from imeiset import EquipmentStatus, Register, snapshot
from imeiset.errors import ImeisetError, TrustRefused
from imeiset.trust import delta

FIRST = 10**13
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [2**63, -1, 0, 10**40, "", "stolen", "imeis", "exempt", "2026-02-30", "b|a", "a|b", "\ud800"]
    )
    | st.floats()
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def many_kinds(more):
    """A register of every kind of list and rule; `more` moves something in each."""
    made = Register()
    keys = [FIRST + n for n in range(20 + more)]
    made.add(
        "stolen",
        keys,
        status=EquipmentStatus.BLACKLISTED,
        reasons=["a" if key % 3 else "b" for key in keys],
        dates=["2026-01-01" if key % 2 else None for key in keys],
        until=["2027-01-01" if key % 5 else None for key in keys],
    )
    made.add("other", [FIRST], status=EquipmentStatus.GREYLISTED)
    made.add_ranges("ranges", [FIRST + 10**6 + more], [FIRST + 2 * 10**6], status=EquipmentStatus.BLACKLISTED)
    made.add_tacs("tacs", ["35693803", *["35209900"] * more], status=EquipmentStatus.BLACKLISTED)
    made.exempt("pairs", [FIRST + more], ["234150999999999"])
    made.block("clones", [FIRST + 7], [f"23415099999999{more}"])
    if more:
        made.add("new", [5], status=EquipmentStatus.BLACKLISTED)
    else:
        made.add("gone", [6], status=EquipmentStatus.BLACKLISTED)
    return made.lists


OLD, NEW = many_kinds(0), many_kinds(1)


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    """Those of a delta that is as it should be."""
    path = tmp_path_factory.mktemp("delta") / "made"
    delta.write(path, OLD, NEW)
    file = snapshot.open(path, "memory", kind=delta.KIND)
    return {name: bytes(data) for name, data in file.sections.items()}, file.count


def places(value, at=()):
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def put(value, at, new):
    if not at:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[at[0]] = put(value[at[0]], at[1:], new)
    return changed


def forged(draw, given):
    """Sections of which something is another."""
    made = dict(given)
    how = draw(st.sampled_from(["text", "bytes", "cut", "longer", "left out", "swapped", "more"]))
    name = draw(st.sampled_from(sorted(made)))
    if how == "text":
        about = json.loads(made["delta"])
        at = draw(st.sampled_from(list(places(about))))
        made["delta"] = json.dumps(put(about, at, draw(JSON))).encode("utf-8", "surrogatepass")
    elif how == "bytes":
        data = bytearray(made[name])
        assume(data)
        for _ in range(draw(st.integers(1, 4))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        made[name] = bytes(data)
    elif how == "cut":
        made[name] = made[name][: draw(st.integers(0, len(made[name])))]
    elif how == "longer":
        made[name] += draw(st.binary(min_size=1, max_size=12))
    elif how == "left out":
        del made[name]
    elif how == "swapped":
        other = draw(st.sampled_from(sorted(made)))
        made[name], made[other] = made[other], made[name]
    else:
        number, sign = draw(st.integers(0, 9)), draw(st.sampled_from("+-"))
        rule = draw(st.sampled_from(["exact", "range", "tac", "pair", "irreg", "imsi", "magic"]))
        made[f"{number}{sign}{rule}"] = draw(st.binary(max_size=12))
    return made


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_sections_that_are_forged(sections, tmp_path, data):
    given_sections, count = sections
    made = forged(data.draw, given_sections)
    path = tmp_path / "forged"
    try:
        snapshot.write(path, delta.KIND, [*made.items()], count=count)
    except (ImeisetError, ValueError):
        assume(False)
    try:
        changes = delta.read(path, "https://lists.example/delta-00000002.imei")
    except TrustRefused as error:
        said = str(error)
        assert said.startswith("https://lists.example/delta-00000002.imei")
        assert len(said) < 1_500
        return
    try:
        found = delta.lists_after(OLD, changes)
    except (ImeisetError, ValueError, LookupError):  # as followers take it
        return
    for one in found:  # whatever it is, it is whole: it can be counted and digested
        assert all(number >= 0 for number in one.counts().values())
        assert len(one.digest()) == 32


def test_the_delta_itself_is_whole(sections, tmp_path):
    given_sections, count = sections
    path = tmp_path / "same"
    snapshot.write(path, delta.KIND, [*given_sections.items()], count=count)
    found = delta.lists_after(OLD, delta.read(path, "here"))
    assert {one.name: one.digest() for one in found} == {one.name: one.digest() for one in NEW}

"""What a publisher may not say, though it signs well: editions, lists, digests, files, and all about them."""

import contextlib
import json
import shutil

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset.errors import TrustError, TrustRefused

from .following import Following, begun, held
from .forger import FIRST, Forger, keys, register

LISTS = {"stolen": keys(20), "lost": keys(10, 100)}
MORE = {"stolen": keys(22), "lost": keys(10, 100)}
MOST = {"stolen": keys(24), "lost": keys(10, 100)}


@pytest.fixture
def forger(tmp_path):
    """A publication of editions 1, a base, and 2, a delta."""
    made = Forger(tmp_path / "published")
    made.base(LISTS)
    made.publish()
    return made


@pytest.fixture
def follower(forger, tmp_path):
    """It follows editions 1 and 2."""
    made = begun(forger.folder, forger.first_root, tmp_path)
    forger.delta(MORE)
    forger.publish()
    made.step()
    assert made.members() == MORE
    assert made.edition == 2
    return made


def both(forger, follower, words, tmp_path, error=TrustRefused):
    """Refused by who follows already, and by who begins, who gets as far as the edition before at most."""
    forger.publish()
    follower.expect_refusal(error, words)
    fresh = Following(follower.url, tmp_path / "fresh", follower.root)
    with pytest.raises(error, match=f"(?is){words}"):
        fresh.step()
    assert fresh.members() in ({}, LISTS, MORE), "neither an edition nor nothing"


# Editions -------------------------------------------------------------------------
def test_editions_that_go_back(forger, follower):
    forger.roles["targets"].targets.clear()
    forger.edition = 0
    forger.base(MOST)
    forger.publish()
    follower.expect_refusal(TrustRefused, "1.*2|rolled back")


def test_editions_that_go_back_when_nothing_is_remembered_but_the_store(forger, follower):
    follower.forget()
    forger.roles["targets"].targets.clear()
    forger.edition = 0
    forger.base(MOST)
    forger.publish()
    follower.expect_refusal(TrustRefused, "1.*2|rolled back")


def test_another_content_of_the_same_edition(forger, follower):
    """The edition is the same, its lists are others: whoever has it already keeps what it has, or says so."""
    before = held(follower.store)
    forger.edition = 1
    forger.delta(MOST, old=register(LISTS).lists)
    forger.publish()
    with contextlib.suppress(TrustRefused):
        follower.step()
    assert held(follower.store) == before


def test_no_targets(forger, follower, tmp_path):
    forger.roles["targets"].targets.clear()
    both(forger, follower, "edition|base|nothing", tmp_path)


def test_a_gap(forger, follower, tmp_path):
    """Deltas that begin later than the follower is, and no base that is newer."""
    forger.delta(MOST)
    del forger.roles["targets"].targets["delta-00000003.imei"]
    forger.delta(MOST)
    both(forger, follower, "3|base|gap", tmp_path)


@pytest.mark.parametrize("begins", [0, 1, 3, 4, 2**62])
def test_a_delta_that_begins_elsewhere(forger, follower, tmp_path, begins):
    """from is the edition before its own: nothing else, no loop either."""
    name = forger.delta(MOST)
    forger.amend(name, **{"from": begins})
    both(forger, follower, "from|begins|delta-00000003", tmp_path)


def test_two_targets_for_one_step(forger, follower, tmp_path):
    forger.delta(MOST)
    forger.edition = 2
    forger.delta(MOST, name="delta-00000004.imei", old=register(MORE).lists)
    both(forger, follower, "delta", tmp_path)


def test_two_bases_of_one_edition(forger, follower, tmp_path):
    forger.base(MOST)
    forger.edition = 2
    forger.base(MORE, name="base-00000004.imei")
    both(forger, follower, "base", tmp_path)


@pytest.mark.parametrize("edition", [0, -1, 1, 2, 4, 2**63, 2**64, 10**40, True, "3", None])
def test_a_name_and_an_edition_that_differ(forger, follower, tmp_path, edition):
    """delta-00000003 says that it is another."""
    name = forger.delta(MOST)
    forger.amend(name, edition=edition)
    both(forger, follower, "edition|delta-00000003", tmp_path)


def test_editions_that_no_store_can_hold(forger, follower):
    """Who stole keys publishes an enormous edition; the publisher goes on after it, if there is an after."""
    forger.edition = 2**60
    forger.base(MOST)
    before = held(follower.store)
    forger.publish()
    try:
        follower.step()
    except TrustRefused:
        assert held(follower.store) == before
    else:
        assert follower.members() == MOST
        forger.delta(MORE)
        forger.publish()
        follower.step()
        assert follower.members() == MORE


# What a target is -------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        "../base-00000003.imei",
        "../../root.json",
        "/etc/passwd",
        "targets/base-00000003.imei",
        "base-00000003.imei/..",
        "..",
        ".",
        "",
        "base-00000003.imei\n",
        "base-\u0663.imei",
        "base-3.imei",
        "base-00000003.imei.part",
        "BASE-00000003.imei",
        "base-00000003.exe",
        "base-0000000000000000000000000000000000000000000003.imei",
        "\x1b[31mbase-00000003.imei",
        "base-00000003\0.imei",
        "C:\\base-00000003.imei",
        "delta-00000003.imei",  # of kind base
    ],
)
def test_names_of_targets(forger, follower, tmp_path, name):
    """Refused or let be: nothing is written anywhere by such a name, and nothing of it is followed."""
    before = held(follower.store)
    try:
        forger.base(MOST, name=name)
        forger.publish()
    except (UnicodeEncodeError, ValueError, OSError) as error:
        pytest.skip(f"cannot be made: {error}")
    around = {path for path in tmp_path.rglob("*") if "followed" not in path.parts}
    for _ in range(2):
        said = ""
        try:
            follower.step()
        except TrustRefused as error:
            said = str(error)
        assert not {"\x1b", "\0"} & set(said), said
        result = follower.command()
        assert result.exit_code in (0, 4), result.output
        assert "\x1b" not in result.output
    assert held(follower.store) == before
    assert {path for path in tmp_path.rglob("*") if "followed" not in path.parts} == around


def with_file(change):
    """A delta whose file is another, signed all the same."""

    def make(forger):
        name = forger.delta(MOST)
        custom = forger.roles["targets"].targets[name].custom
        forger.target(name, change(forger, forger.path_of(name).read_bytes()), custom)

    return make


def saved(forger, what):
    path = forger.folder / "made.imei"
    what.save(path)
    return path.read_bytes()


FILES = {
    "empty": lambda forger, data: b"",
    "junk": lambda forger, data: b"junk" * 100,
    "cut": lambda forger, data: data[: len(data) // 2],
    "longer": lambda forger, data: data + bytes(64),
    "a set": lambda forger, data: saved(forger, ImeiSet.from_keys(sorted(keys(5)))),
    "a register": lambda forger, data: saved(forger, register(MOST)),
    "the delta before": lambda forger, data: forger.path_of("delta-00000002.imei").read_bytes(),
}


@pytest.mark.parametrize("file", FILES)
def test_a_delta_whose_file_is_another(forger, follower, tmp_path, file):
    with_file(FILES[file])(forger)
    both(forger, follower, "delta-00000003|stolen", tmp_path)


@pytest.mark.parametrize("file", [name for name in FILES if name != "a register"])
def test_a_base_whose_file_is_another(forger, follower, tmp_path, file):
    forger.roles["targets"].targets.clear()
    name = forger.base(MOST)
    custom = forger.roles["targets"].targets[name].custom
    if file == "the delta before":
        return
    forger.target(name, FILES[file](forger, forger.path_of(name).read_bytes()), custom)
    both(forger, follower, "base-00000003", tmp_path)


def test_a_length_that_no_disk_has(forger, follower, tmp_path):
    name = forger.delta(MOST)
    forger.roles["targets"].targets[name].length = 2**62
    forger.publish()
    before = held(follower.store)
    with pytest.raises(TrustError):
        follower.step()
    assert held(follower.store) == before


# Lists and what is told of them -------------------------------------------------------
def told(**changed):
    """What `custom` tells of a list is something else."""

    def change(custom):
        custom["lists"]["stolen"] |= changed

    return change


def left_out(custom):
    del custom["lists"]["stolen"]


def one_more(custom):
    custom["lists"]["other"] = custom["lists"]["stolen"]


def other_name(custom):
    custom["lists"]["stolen "] = custom["lists"].pop("stolen")


def swapped(custom):
    lists = custom["lists"]
    lists["stolen"]["digest"], lists["lost"]["digest"] = lists["lost"]["digest"], lists["stolen"]["digest"]


TOLD = {
    "digest": told(digest="0" * 64),
    "digests swapped": swapped,
    "digest cut": told(digest="00"),
    "digest in capitals": told(digest="ZZ" * 32),
    "count": told(counts={"exact": 23}),
    "count of another rule": told(counts={"exact": 24, "tac": 1}),
    "unknown rule": told(counts={"exact": 24, "magic": 1}),
    "negative": told(counts={"exact": -24}),
    "status": told(status=0),
    "unknown status": told(status=9),
    "kind": told(kind="exempt"),
    "unknown kind": told(kind="magic"),
    "reason": told(reason="other"),
    "left out": left_out,
    "one more": one_more,
    "other name": other_name,
}


@pytest.mark.parametrize("kind", ["base", "delta"])
@pytest.mark.parametrize("change", TOLD)
def test_lists_that_are_not_what_is_told_of_them(forger, follower, tmp_path, change, kind):
    if kind == "base":
        forger.roles["targets"].targets.clear()
    name = getattr(forger, kind)(MOST)
    custom = json.loads(json.dumps(forger.roles["targets"].targets[name].custom))
    TOLD[change](custom)
    forger.amend(name, **custom)
    forger.publish()
    follower.expect_refusal(TrustRefused, "stolen|lost|other|lists|digest")


STOLEN_OR_LOST = {
    "nothing changed": lambda lists: ({}, []),
    "another digest": lambda lists: ({"stolen": lists["stolen"] | {"digest": "0" * 64}}, []),
    "another count": lambda lists: ({"stolen": lists["stolen"] | {"counts": {"exact": 23}}}, []),
    "another list": lambda lists: ({"lost": lists["stolen"]}, []),
    "one that is there is gone": lambda lists: ({"stolen": lists["stolen"]}, ["lost"]),
    "one that is not there": lambda lists: ({"stolen": lists["stolen"], "other": lists["lost"]}, []),
    "one that never was is gone": lambda lists: ({"stolen": lists["stolen"]}, ["other"]),
}


@pytest.mark.parametrize("change", STOLEN_OR_LOST)
def test_changes_that_are_not_what_is_told_of_them(forger, follower, tmp_path, change):
    """Where only what changed is told."""
    name = forger.delta(MOST)
    lists = forger.roles["targets"].targets[name].custom["lists"]
    changed, gone = STOLEN_OR_LOST[change](lists)
    forger.amend(name, lists=None, changed=changed, gone=gone)
    both(forger, follower, "stolen|lost|other|lists|digest", tmp_path)


def test_an_older_edition_cannot_be_told_otherwise_to_who_was_behind(forger, follower, tmp_path):
    """What a later one says rests on it, and is compared whole."""
    name = forger.delta(MOST)
    lists = forger.roles["targets"].targets[name].custom["lists"]
    forger.amend(name, lists=None, changed={"stolen": lists["stolen"]}, gone=[])
    older = forger.roles["targets"].targets["delta-00000002.imei"].custom["lists"]
    forger.amend("delta-00000002.imei", lists=older | {"lost": older["lost"] | {"digest": "0" * 64}})
    both(forger, follower, "lost", tmp_path)


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_what_changed_leads_whoever_was_at_any_edition(forger, follower, tmp_path, ahead):
    sets = [{"stolen": keys(30 + at), "lost": keys(10, 100)} for at in range(ahead)]
    for some in sets:
        name = forger.delta(some)
        lists = forger.roles["targets"].targets[name].custom["lists"]
        forger.amend(name, lists=None, changed={"stolen": lists["stolen"]}, gone=[])
    forger.publish()
    follower.step()
    assert follower.members() == sets[-1]
    fresh = Following(follower.url, tmp_path / "fresh", follower.root)
    fresh.step()
    assert fresh.members() == sets[-1]


@pytest.mark.parametrize("change", ["count", "status", "kind", "left out", "one more"])
def test_without_digests_the_rest_is_compared(forger, follower, change):
    name = forger.delta(MOST)
    custom = json.loads(json.dumps(forger.roles["targets"].targets[name].custom))
    TOLD[change](custom)
    forger.amend(name, **custom)
    forger.publish()
    follower.expect_refusal(TrustRefused, "stolen|lost|other|lists", digests=False)


def test_a_base_of_another_policy_than_is_told(forger, follower, tmp_path):
    forger.roles["targets"].targets.clear()
    made = Register(policy=Policy(response_type=3))
    made.add("stolen", sorted(MOST["stolen"]), status=EquipmentStatus.BLACKLISTED)
    name = forger.base(made)
    forger.amend(name, policy={**forger.roles["targets"].targets[name].custom["policy"], "response_type": 1})
    forger.publish()
    fresh = Following(follower.url, tmp_path / "fresh", follower.root)
    fresh.expect_refusal(TrustRefused, "polic")
    assert held(fresh.store) is None


@pytest.mark.parametrize("kind", ["base", "delta"])
def test_an_owner_inside_what_is_published(forger, follower, tmp_path, kind):
    """What is published has no owners: in the store here its lists are the feed's."""
    if kind == "base":
        forger.roles["targets"].targets.clear()
    getattr(forger, kind)(register(MOST, owner="op-a"))
    forger.publish()
    follower.expect_refusal(TrustRefused, "owner|op-a|digest|lists")


# Owners -------------------------------------------------------------------------------
@pytest.mark.parametrize("owner", ["", "op-x"])
@pytest.mark.parametrize("kind", ["base", "delta"])
def test_a_list_that_somebody_else_has_here(forger, follower, kind, owner):
    """A publisher cannot touch it, whatever it signs."""
    with Store.open(follower.store) as store:
        store.add_list("mine", status=EquipmentStatus.BLACKLISTED, owner=owner)
        store.apply(Delta("mine", add=[FIRST + 500], by=owner or None))
    getattr(forger, kind)({**MOST, "mine": keys(3)})
    if kind == "base":
        del forger.roles["targets"].targets["delta-00000002.imei"]
    forger.publish()
    follower.expect_refusal(TrustRefused, "mine.*--prefix|--prefix.*mine")
    assert follower.members()["mine"] == {FIRST + 500}


def test_a_delta_that_takes_from_a_list_of_somebody_else(forger, follower):
    """Its removals name a list that it never published."""
    with Store.open(follower.store) as store:
        store.add_list("mine", status=EquipmentStatus.BLACKLISTED, owner="op-x")
        store.apply(Delta("mine", add=[FIRST + 500], by="op-x"))
    before = register({**MORE, "mine": keys(1, 500)})
    forger.delta(MOST, old=before.lists)
    forger.publish()
    follower.expect_refusal(TrustRefused, "mine")
    assert follower.members()["mine"] == {FIRST + 500}


def test_a_prefix_keeps_two_publishers_apart(forger, follower, tmp_path):
    other = Forger(tmp_path / "other")
    other.base({"stolen": keys(5, 900)})
    other.publish()
    second = Following(other.folder, follower.store, other.first_root)
    second.expect_refusal(TrustRefused, "stolen.*--prefix|--prefix.*stolen")
    second.options["prefix"] = "other_"
    second.step()
    assert follower.members() == {**MORE, "other_stolen": keys(5, 900)}
    other.delta({"stolen": keys(6, 900)})
    other.publish()
    second.step()
    forger.delta(MOST)
    forger.publish()
    follower.step()
    assert follower.members() == {**MOST, "other_stolen": keys(6, 900)}
    forger.roles["targets"].targets.clear()
    forger.base(MORE)
    forger.publish()
    follower.step()
    assert follower.members() == {**MORE, "other_stolen": keys(6, 900)}


# Lists that shrink, and statuses ----------------------------------------------------------
@pytest.mark.parametrize("kind", ["base", "delta"])
@pytest.mark.parametrize(
    "lists",
    [
        {"stolen": keys(11), "lost": keys(10, 100)},
        {"stolen": set(), "lost": keys(10, 100)},
        {"stolen": keys(22)},
        {},
    ],
    ids=["half", "emptied", "dropped", "all dropped"],
)
def test_a_list_that_loses_its_members(forger, follower, kind, lists):
    if kind == "base":
        forger.roles["targets"].targets.clear()
    getattr(forger, kind)(lists)
    forger.publish()
    follower.expect_refusal(TrustRefused, "max-shrink|max_shrink|shrink")
    follower.step(max_shrink=100)
    assert follower.members() == lists


@pytest.mark.parametrize("status", [0, 2])
def test_a_status_that_changes(forger, follower, status):
    """A list of stolen phones that is a white list from now on: as if all of them were gone."""
    made = Register()
    made.add("stolen", sorted(MORE["stolen"]), status=EquipmentStatus(status))
    made.add("lost", sorted(MORE["lost"]), status=EquipmentStatus.BLACKLISTED)
    forger.roles["targets"].targets.clear()
    forger.base(made)
    forger.publish()
    follower.expect_refusal(TrustRefused, "stolen.*shrink")
    follower.step(max_shrink=100)
    assert follower.members() == MORE


# custom of wrong types --------------------------------------------------------------------
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -1, 0, 10**400, "", "../x", "\x1b[31m", "\ud800", "9" * 64])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value, at=()):
    """Every place inside a JSON value."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))


def put(value, at, new):
    if not at:
        return new
    return {**value, at[0]: put(value[at[0]], at[1:], new)}


def left(value, at):
    if len(at) == 1:
        return {key: inner for key, inner in value.items() if key != at[0]}
    return {**value, at[0]: left(value[at[0]], at[1:])}


def texts_are_text(value):
    """Signed metadata is UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), kind=st.sampled_from(["base", "delta"]))
def test_custom_of_any_types(forger, follower, data, kind):
    """Refused in words, or followed to exactly what the file has: nothing else, no traceback."""
    targets = dict(forger.roles["targets"].targets)
    before = held(follower.store)
    edition, lists = forger.edition, forger.lists
    try:
        if kind == "base":
            forger.roles["targets"].targets.clear()
        name = getattr(forger, kind)(MOST)
        custom = forger.roles["targets"].targets[name].custom
        at = data.draw(st.sampled_from(list(places(custom))))
        new = data.draw(JSON)
        assume(texts_are_text(new))
        dropped = at and data.draw(st.booleans())
        forger.roles["targets"].targets[name].unrecognized_fields["custom"] = (
            left(custom, at) if dropped else put(custom, at, new)
        )
        forger.publish()
        said = None
        try:
            follower.step()
        except TrustRefused as error:
            said = str(error)
        if said is not None:
            assert held(follower.store) == before, custom
            assert "\x1b" not in said
            assert len(said) < 2_000
        else:
            assert follower.members() in (MOST, before["members"])
            assume(follower.members() != MOST)
    finally:
        forger.roles["targets"].targets = targets
        forger.edition, forger.lists = edition, lists
        if follower.members() == MOST:  # followed rightly: begin again before it
            shutil.rmtree(follower.store)
            forger.publish()
            follower.step()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), kind=st.sampled_from(["base", "delta"]))
def test_files_of_any_bytes(forger, follower, data, kind):
    """Signed all the same: refused in words, or followed to exactly what is told; the process lives."""
    targets = dict(forger.roles["targets"].targets)
    before = held(follower.store)
    edition, lists = forger.edition, forger.lists
    try:
        if kind == "base":
            forger.roles["targets"].targets.clear()
        name = getattr(forger, kind)(MOST)
        content = bytearray(forger.path_of(name).read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] ^= data.draw(st.integers(1, 255))
        end = data.draw(st.sampled_from([len(content), len(content) // 2, 70]))
        custom = forger.roles["targets"].targets[name].custom
        forger.target(name, bytes(content[:end]), custom)
        forger.publish()
        try:
            follower.step()
        except TrustRefused:
            assert held(follower.store) == before
        else:
            assert follower.members() == MOST
    finally:
        forger.roles["targets"].targets = targets
        forger.edition, forger.lists = edition, lists
        if follower.members() == MOST:
            shutil.rmtree(follower.store)
            forger.publish()
            follower.step()


def test_a_format_of_the_future(forger, follower, tmp_path):
    name = forger.delta(MOST)
    forger.amend(name, imeiset=2)
    both(forger, follower, "update imeiset", tmp_path)

"""What a publisher says of an edition: written, read, compared with lists, and refused where it cannot be."""

import datetime
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register.holding import registers

from imeiset import EquipmentStatus, Policy, Register
from imeiset.errors import TrustRefused
from imeiset.trust.edition import Edition, customs, editions, followed, published

W, B, G, _ = EquipmentStatus
LISTED, OTHER, THIRD = "490154203237518", "356938035643809", "352099001761481"
NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
POLICY = Policy(
    response_type=2, unlisted=G, malformed=None, precedence=("tac", "imsi", "pair", "exact", "range")
)


def made(*imeis, **beside):
    register = Register(POLICY)
    register.add("stolen", imeis, status=B, reasons=["theft"] * len(imeis), **beside)
    register.exempt("testers", [LISTED], ["001010123456789"])
    register.add_imsis("guests", ["26299", "001"], status=G, reason="roaming")
    return register


def base(**changes):
    """What the metadata says of a base, with other values: None takes a key away."""
    told = Edition.of(made(LISTED).lists, 7, NOON, policy=POLICY).custom() | changes
    return {name: value for name, value in told.items() if value is not None}


def lists(**changes):
    """The same with other facts of the list 'stolen'."""
    told = base()["lists"]
    stolen = told["stolen"] | changes
    told["stolen"] = {name: value for name, value in stolen.items() if value is not None}
    return base(lists=told)


def refused(custom):
    with pytest.raises(TrustRefused) as caught:
        Edition.read(custom, "targets/base-00000007.imei")
    assert str(caught.value).startswith(
        "targets/base-00000007.imei: expected the description of an edition, got "
    )
    return caught.value.got


def test_what_it_says():
    assert base() == {
        "imeiset": 1,
        "kind": "base",
        "edition": 7,
        "time": "2026-01-31T12:00:00Z",
        "policy": {
            "response_type": 2,
            "unlisted": 2,
            "malformed": None,
            "precedence": ["tac", "imsi", "pair", "exact", "range"],
        },
        "lists": {
            "stolen": {
                "status": 1,
                "kind": "imeis",
                "reason": "",
                "counts": {"exact": 1},
                "digest": made(LISTED).lists[0].digest().hex(),
            },
            "testers": {
                "status": 0,
                "kind": "exempt",
                "reason": "",
                "counts": {"pair": 1},
                "digest": made().lists[1].digest().hex(),
            },
            "guests": {
                "status": 2,
                "kind": "imsis",
                "reason": "roaming",
                "counts": {"imsi": 2},
                "digest": made().lists[2].digest().hex(),
            },
        },
    }
    delta = Edition.of((), 8, NOON.astimezone(datetime.timezone(datetime.timedelta(hours=5))))
    assert delta.custom() == {
        "imeiset": 1,
        "kind": "delta",
        "edition": 8,
        "from": 7,
        "time": "2026-01-31T12:00:00Z",
        "lists": {},
    }
    assert {type(one["status"]) for one in base()["lists"].values()} == {int}  # not of an enumeration


@settings(max_examples=50, deadline=None)
@given(registers(), st.integers(1, 2**63 - 1), st.booleans())
def test_it_is_read_as_it_was_written(register, number, full):
    edition = Edition.of(register.lists, number, NOON, policy=register.policy if full else None)
    told = json.loads(json.dumps(edition.custom()))
    assert Edition.read(told, "here") == edition
    edition.expect_lists(published(followed(register, "cloud", "c-").lists, "cloud", "c-"), "here")


def history(*imeis, first=7):
    """A base, and the deltas after it."""
    some = [Edition.of(made(*imeis[0]).lists, first, NOON, policy=POLICY)]
    return some + [Edition.of(made(*one).lists, first + at, NOON) for at, one in enumerate(imeis[1:], 1)]


def names(some):
    return [f"{one.kind}-{one.number:08d}.imei" for one in some]


def read_together(told, some):
    return [*editions(dict(zip(names(some), told, strict=True)), str).values()]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(registers(), min_size=1, max_size=5), st.integers(1, 5), st.sets(st.integers(0, 8)), st.randoms()
)
def test_editions_that_stand_together_are_read_as_they_were_written(some, based, away, order):
    written = [Edition.of(one.lists, 3 + at, NOON) for at, one in enumerate(some)]
    at = min(based, len(some)) - 1
    written.append(Edition.of(some[at].lists, 3 + at, NOON, policy=POLICY))
    written = [one for place, one in enumerate(written) if place not in away] or written[-1:]
    order.shuffle(written)
    told = json.loads(json.dumps(customs(written)))
    assert read_together(told, written) == written
    for one, facts in zip(written, told, strict=True):
        follows = one.kind == "delta" and any(other.number == one.before for other in written)
        assert ("changed" in facts, "lists" in facts) == (follows, not follows)


def test_a_delta_says_what_is_another_than_in_the_edition_before():
    some = history((LISTED,), (LISTED, OTHER), (LISTED, OTHER))
    gone = Edition.of(made(LISTED, OTHER).lists[:2], 10, NOON)
    told = customs([*some, gone])
    assert [*told[0]["lists"]] == ["stolen", "testers", "guests"]
    assert told[1]["changed"] == {"stolen": some[1].custom()["lists"]["stolen"]}
    assert (told[2]["changed"], told[2]["gone"]) == ({}, [])
    assert (told[3]["changed"], told[3]["gone"]) == ({}, ["guests"])
    assert "lists" not in told[1] | told[2] | told[3]
    assert [one.seal() for one in read_together(told, [*some, gone])] == [one.seal() for one in (*some, gone)]
    assert "lists" in customs([some[0], some[2]])[1], "the edition before is not there"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lists": {}}, "both lists and what changed of them"),
        ({"gone": None}, "gone: expected list, got none"),
        ({"changed": None}, "changed: expected dict, got none"),
        ({"changed": []}, "changed: expected dict, got list"),
        ({"gone": "stolen"}, "gone: expected list, got str"),
        ({"gone": ["nowhere"]}, "gone: expected names of lists of the edition before"),
        ({"gone": [7]}, "gone: expected names of lists of the edition before"),
        ({"gone": [["stolen"]]}, "gone: expected names of lists of the edition before"),
        ({"gone": ["guests", "guests"]}, "gone: expected names of lists of the edition before"),
        ({"gone": ["stolen"]}, "list 'stolen': both changed and gone"),
        ({"changed": {"stolen": {}}}, "list 'stolen': kind: expected str, got none"),
        ({"edition": 9, "from": 8}, "what changed, and the edition before is not there"),
        ({"kind": "base", "policy": base()["policy"]}, "what changed, and the edition before is not there"),
    ],
)
def test_what_changed_cannot_be(changes, why):
    some = history((LISTED,), (LISTED, OTHER))
    first, last = customs(some)
    last = {name: value for name, value in (last | changes).items() if value is not None}
    with pytest.raises(TrustRefused) as caught:
        editions({"one": last, "other": first}, lambda name: f"place/{name}")
    assert str(caught.value).startswith("place/one: expected the description of an edition, got ")
    assert why in caught.value.got


def test_many_lists_of_which_few_change_have_short_metadata():
    """A month of editions of 31 lists, of which one changes in each."""
    lists = [EquipmentStatus.BLACKLISTED] * 31

    def edition(number, **more):
        register = Register()
        for at, status in enumerate(lists):
            register.add(
                f"operator-{at}", [LISTED] + [OTHER] * (at == number % 31), status=status, reason="theft"
            )
        return Edition.of(register.lists, number, NOON, **more)

    some = [edition(number) for number in range(1, 31)] + [edition(1, policy=POLICY)]
    size = len(json.dumps(customs(some)))
    assert size < 40_000 < 150_000 < len(json.dumps([one.custom() for one in some]))


def test_what_is_not_known_is_left_alone():
    told = lists(colour="blue") | {"from": 3, "mood": [1]}
    told["policy"] |= {"more": {}}
    assert Edition.read(told, "here") == Edition.read(base(), "here")


@pytest.mark.parametrize(
    ("custom", "why"),
    [
        (None, "expected an object, got NoneType"),
        ([1], "expected an object, got list"),
        ({}, "none: it is another's file"),
        (base(imeiset=2), "format 2: update imeiset"),
        (base(imeiset=True), "format True: update imeiset"),
        (base(imeiset="1"), "format '1': update imeiset"),
        (base(kind="full"), "kind: expected one of base, delta, got 'full'"),
        (base(kind=None), "kind: expected str, got none"),
        (base(edition=0), "edition: expected 1 or more, got 0"),
        (base(edition=1 << 63), "edition: expected 1 or more, got 92233720*"),
        (base(edition=7.0), "edition: expected int, got float 7.0"),
        (base(edition=True), "edition: expected int, got bool True"),
        (base(kind="delta"), "from: expected int, got none"),
        (base(kind="delta") | {"from": 5}, "a delta from edition 5 to 7, and not to the next one"),
        (base(kind="delta") | {"from": 7}, "a delta from edition 7 to 7, and not to the next one"),
        (base(kind="delta") | {"from": -1}, "from: expected 0 or more, got -1"),
        (base(time="2026-01-31"), "time: expected 2026-01-31T12:00:00Z, got '2026-01-31'"),
        (base(time="2026-02-31T12:00:00Z"), "time: expected"),
        (base(time="0000-01-01T12:00:00Z"), "time: expected"),
        (base(time="2026-01-31T12:00:00Z\n"), "time: expected"),
        (base(time=1769860800), "time: expected str, got int"),
        (base(policy=None), "policy: expected dict, got none"),
        (base(policy={}), "precedence: expected list, got none"),
        (base(policy={"precedence": [1], "response_type": 1}), "precedence: expected rules, got [1]"),
        (base(policy={"precedence": ["imsi"], "response_type": 1}), "precedence: expected 'exact',"),
        (base(policy=base()["policy"] | {"response_type": 4}), "response_type: expected 1, 2 or 3, got 4"),
        (base(policy=base()["policy"] | {"unlisted": 9}), "unlisted: expected"),
        (base(policy=base()["policy"] | {"malformed": "black"}), "malformed: expected int, got str"),
        (base(lists=None), "lists: expected dict, got none"),
        (base(lists=["stolen"]), "lists: expected dict, got list"),
        (base(lists={"stolen": 1}), "list 'stolen': expected an object, got int"),
        (base(lists={f"n{n}": {} for n in range(33)}), "33 lists, and not at most 32"),
        (base(lists={"": base()["lists"]["stolen"]}), "name: expected 1 to 100 printable characters"),
        (base(lists={"a\nb": base()["lists"]["stolen"]}), "name: expected 1 to 100 printable characters"),
        (base(lists={"n" * 101: base()["lists"]["stolen"]}), "name: expected 1 to 100 printable characters"),
        (lists(status=None), "list 'stolen': status: expected int, got none"),
        (lists(status=3), "status: expected WHITELISTED, BLACKLISTED or GREYLISTED, got UNKNOWN"),
        (lists(status=-1), "status: expected 0 or more, got -1"),
        (lists(status=1 << 70), "status: expected 0 or more"),
        (lists(status=True), "status: expected int, got bool"),
        (lists(kind="exempt"), "status: expected that of every list of kind 'exempt', got BLACKLISTED"),
        (lists(kind="phones"), "kind: expected one of imeis, block, exempt, lock, imsis, got 'phones'"),
        (lists(reason=5), "reason: expected str, got int 5"),
        (lists(reason="\ud800"), "surrogates not allowed"),
        (lists(counts=None), "counts: expected dict, got none"),
        (lists(counts={"pair": 1}), "rule: expected one of exact, range, tac, irregular, got 'pair'"),
        (lists(counts={"exact": 0}), "exact: expected 1 or more, got 0"),
        (lists(counts={"exact": "1"}), "exact: expected int, got str '1'"),
        (lists(digest=None), "digest: expected str, got none"),
        (lists(digest="AB" * 32), "digest: expected 64 hexadecimal digits"),
        (lists(digest="ab" * 32 + "\n"), "digest: expected 64 hexadecimal digits"),
    ],
)
def test_what_it_cannot_be(custom, why):
    assert why in refused(custom)


def test_what_is_said_of_it_shows_no_phone():
    assert LISTED[8:14] not in refused(base(kind=LISTED))
    assert LISTED[8:14] not in refused(lists(counts={LISTED: 1}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_nothing_else_is_raised(data):
    told = json.loads(json.dumps(base(kind=data.draw(st.sampled_from(["base", "delta"])), **{"from": 6})))
    place = told
    while True:
        name = data.draw(st.sampled_from([*place] if isinstance(place, dict) else [*range(len(place))]))
        if not (isinstance(place[name], dict | list) and place[name]) or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(JSON)
    try:
        Edition.read(told, "here")
    except TrustRefused:
        return


# ---- compared with lists ----

SAID = Edition.of(made(LISTED, OTHER).lists, 7, NOON)


def other(**facts):
    register = Register()
    for one in made(LISTED, OTHER).lists:
        if one.name not in facts:
            register.add_list(one)
    for name, fill in facts.items():
        if fill is not None:
            fill(register, name)
    return register.lists


@pytest.mark.parametrize(
    ("lists", "expected", "got"),
    [
        (other(stolen=None), "lists 'guests', 'stolen', 'testers'", "'guests', 'testers'"),
        (
            other(more=lambda one, name: one.add(name, [], status=B)),
            "lists 'guests', 'stolen', 'testers'",
            "more",
        ),
        (
            other(stolen=lambda one, name: one.add(name, [LISTED, OTHER], status=G, reasons=["theft"] * 2)),
            "list 'stolen' with status BLACKLISTED",
            "GREYLISTED",
        ),
        (
            other(testers=lambda one, name: one.lock(name, [LISTED], ["001010123456789"], status=W)),
            "list 'testers' with kind exempt",
            "lock",
        ),
        (
            other(guests=lambda one, name: one.add_imsis(name, ["26299", "001"], status=G, reason="guests")),
            "list 'guests' with reason 'roaming'",
            "'guests'",
        ),
        (made(LISTED).lists, "list 'stolen' with members 2 by exact", "1 by exact"),
        (
            other(stolen=lambda one, name: one.add_ranges(name, [LISTED], [LISTED], status=B)),
            "list 'stolen' with members 2 by exact",
            "1 by range",
        ),
    ],
)
def test_lists_that_are_not_those_of_the_edition(lists, expected, got):
    with pytest.raises(TrustRefused) as caught:
        SAID.expect_lists(lists, "here", digests=False)
    assert caught.value.expected == expected
    assert got in caught.value.got


@pytest.mark.parametrize(
    "lists",
    [
        made(LISTED, THIRD).lists,
        other(stolen=lambda one, name: one.add(name, [LISTED, OTHER], status=B)),
        made(LISTED, OTHER, dates=["2026-01-01", None]).lists,
        other(testers=lambda one, name: one.exempt(name, [LISTED], ["001010123456780"])),
    ],
)
def test_a_digest_that_does_not_fit(lists):
    SAID.expect_lists(lists, "here", digests=False)
    with pytest.raises(
        TrustRefused, match=r"here: expected list '\w+' with digest [0-9a-f]{64}, got [0-9a-f]{64}"
    ):
        SAID.expect_lists(lists, "here")


# ---- names and owners ----


def test_lists_here_and_there():
    register = made(LISTED)
    here = followed(register, "cloud", "c-")
    assert [(one.name, one.owner) for one in here.lists] == [
        ("c-stolen", "cloud"),
        ("c-testers", "cloud"),
        ("c-guests", "cloud"),
    ]
    assert here.policy == register.policy
    assert here.check(LISTED).list == "c-stolen"
    here.add("own", [OTHER], status=W)
    again = published(here.lists, "cloud", "c-")
    assert [(one.name, one.owner) for one in again] == [("stolen", ""), ("testers", ""), ("guests", "")]
    with pytest.raises(ValueError, match="name: expected 1 to 100 printable characters"):
        followed(register, "cloud", "c" * 99)

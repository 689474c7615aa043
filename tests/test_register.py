"""Verdicts: every row of the tables, a twin of plain dicts, one file and what is refused of it."""

import datetime
import itertools
import json

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiError, ImeiSet, ImsiError, Policy, Register, Verdict, snapshot
from imeiset.errors import SnapshotBounds, SnapshotError, SnapshotKind, SnapshotSectionChecksum

W, B, G, U = EquipmentStatus
LISTED, OTHER = "490154203237518", "356938035643809"
HOME, AWAY = "234150999999999", "262011234567890"

# ---- the three response types, row by row: the lists an IMEI is on, and the answers of types 1, 2 and 3

TABLE = [
    ("", W, U, U),
    ("W", W, W, W),
    ("G", G, G, U),
    ("B", B, B, U),
    ("WG", G, G, G),
    ("WB", B, B, B),
    ("BG", B, B, U),
    ("WBG", B, B, B),
]


@pytest.mark.parametrize(("lists", "type1", "type2", "type3"), TABLE, ids=[row[0] or "none" for row in TABLE])
@pytest.mark.parametrize("rule", ["exact", "range", "tac"])
def test_response_types(lists, type1, type2, type3, rule):
    for response_type, expected in ((1, type1), (2, type2), (3, type3)):
        register = Register(Policy(response_type=response_type))
        for letter, status in zip("WBG", (W, B, G), strict=True):
            register.add(letter, [OTHER], status=status)
            if letter in lists and rule == "exact":
                register.add(letter, [LISTED], status=status)
            elif letter in lists and rule == "range":
                register.add_ranges(letter, [49015420323751], [49015420323751], status=status)
            elif letter in lists:
                register.add_tacs(letter, ["49015420"], status=status)
        verdict = register.check(LISTED)
        decided = next((letter for letter in "BGW" if letter in lists), None)
        assert verdict == Verdict(expected, decided, rule if lists else "default")
        statuses, codes = register.check_many([LISTED, LISTED], lists=True)
        assert statuses.tolist() == [expected] * 2
        assert codes.tolist() == [-1 if decided is None else "WBG".index(decided)] * 2


def test_exact_beats_range_beats_tac():
    register = Register()
    register.add_tacs("models", ["49015420"], status=G)
    register.add_ranges("batch", [49015420000000], [49015420300000], status=B)
    register.add("mine", ["49015420000001"], status=W)
    verdicts = [register.check(imei) for imei in ("49015420000001", "49015420000002", LISTED, OTHER)]
    assert [(v.status, v.rule) for v in verdicts] == [(W, "exact"), (B, "range"), (G, "tac"), (W, "default")]


def test_the_regulators_rule():
    """Not on the blocklist: allow. On it, with a pair on the exceptions: allow. Else: block."""
    register = Register()
    register.add("stolen", [LISTED], status=B)
    register.exempt("exceptions", [LISTED, LISTED], [HOME, "001010123456789"])
    assert register.check(OTHER, HOME).status == W
    assert register.check(LISTED, HOME) == Verdict(W, "exceptions", "pair")
    assert register.check(LISTED, "001010123456789").status == W
    assert register.check(LISTED, "01010123456789").status == B  # a leading zero less is another
    assert register.check(LISTED, AWAY) == Verdict(B, "stolen", "exact")
    assert register.check(LISTED).status == B
    imeis, imsis = [OTHER, LISTED, LISTED, LISTED], [HOME, HOME, AWAY, None]
    assert register.check_many(imeis, imsis).tolist() == [W, W, B, B]
    assert register.check_many(imeis, np.array([HOME, HOME, AWAY, ""])).tolist() == [W, W, B, B]


def test_a_lock():
    register = Register()
    register.lock("paired", [LISTED], [HOME], status=B)
    answers = [register.check(LISTED, imsi).status for imsi in (HOME, AWAY, None)]
    assert answers == [W, B, B]
    register.add("stolen", [LISTED], status=G)
    assert register.check(LISTED, HOME).list == "stolen"  # the lock says nothing more


def test_imsi_prefixes_and_precedence():
    def make(precedence):
        register = Register(Policy(precedence=precedence))
        register.add_imsis("guests", ["262", "00101"], status=G)
        register.add_imsis("friends", ["26201"], status=W)
        register.add("stolen", [LISTED], status=B)
        return register

    first = make(("imsi", "pair", "exact", "range", "tac"))
    assert first.check(LISTED, AWAY) == Verdict(W, "friends", "imsi")  # the longest prefix
    assert first.check(LISTED, "262021234567890") == Verdict(G, "guests", "imsi")
    assert first.check(LISTED, "101123456789").status == B  # 00101 is not 101
    assert first.check(LISTED, "001011").status == G
    last = make(("exact", "range", "tac", "pair", "imsi"))
    assert last.check(LISTED, AWAY) == Verdict(B, "stolen", "exact")
    assert last.check(OTHER, AWAY) == Verdict(W, "friends", "imsi")
    assert last.check_many([LISTED, OTHER, OTHER], [AWAY, "26207123456", HOME]).tolist() == [B, G, W]
    with pytest.raises(ValueError, match="'262': expected on one list"):
        first.add_imsis("others", ["262"], status=B)


def test_reasons_and_dates():
    register = Register()
    day = datetime.date(2024, 2, 29)
    register.add(
        "stolen",
        [OTHER, LISTED, "86012345678901", LISTED],
        status=B,
        reason="reported",
        reasons=["lost", "stolen", None, ["lost", "stolen"]],
        dates=[np.datetime64("2024-03-01"), "20240301", None, day],
    )
    assert register.check(OTHER) == Verdict(B, "stolen", "exact", ("lost",), datetime.date(2024, 3, 1))
    assert register.check(LISTED) == Verdict(B, "stolen", "exact", ("lost", "stolen"), day)
    assert register.check("86012345678901") == Verdict(B, "stolen", "exact", ("reported",), None)
    register.add("stolen", ImeiSet(["35000000000001", LISTED]), status=B, reasons=["new", "again"])
    assert register.check("35000000000001").reasons == ("new",)
    assert register.check(LISTED).reasons == ("again",)
    assert register.check(OTHER).reasons == ("lost",)
    with pytest.raises(ValueError, match="reasons: expected 1, one for each IMEI, got 2"):
        register.add("stolen", [LISTED], status=B, reasons=["a", "b"])
    with pytest.raises(ValueError, match="dates"):
        register.add("stolen", [LISTED], status=B, dates=["yesterday"])
    with pytest.raises(TypeError, match="reasons"):
        register.add("stolen", [LISTED], status=B, reasons=[1])


@pytest.mark.parametrize(
    "bad",
    [
        "49015420323751x",
        "",
        None,
        10**14,
        "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\uff11\uff12\uff13\uff14",
        1.5,
    ],
)
def test_malformed_imeis(bad):
    strict, lenient = Register(), Register(Policy(malformed=B))
    with pytest.raises(ImeiError):
        strict.check(bad)
    with pytest.raises(ImeiError, match="row 1: "):
        strict.check_many([LISTED, bad])
    with pytest.raises(ImeiError, match="row 1: "):
        strict.check_many([LISTED, bad], [None, None])
    assert lenient.check(bad) == Verdict(B)
    assert lenient.check_many([LISTED, bad]).tolist() == [W, B]
    assert lenient.check_many([LISTED, bad], [HOME, HOME], lists=True)[1].tolist() == [-1, -1]


@pytest.mark.parametrize(
    "bad",
    [
        "12345",
        "1234567890123456",
        "23415099999999x",
        "\uff12\uff13\uff14\uff11\uff15\uff10\uff19\uff19\uff19\uff19\uff19\uff19",
        23415099999,
    ],
)
def test_malformed_imsis(bad):
    strict, lenient = Register(), Register(Policy(malformed=G))
    with pytest.raises(ImsiError) as caught:
        strict.check(LISTED, bad)
    assert "099999" not in str(caught.value)
    with pytest.raises(ImsiError, match="row 1: "):
        strict.check_many([LISTED, LISTED], [HOME, bad])
    with pytest.raises(ImsiError, match="row 0: "):
        strict.exempt("pairs", [LISTED], [bad])
    assert lenient.check(LISTED, bad) == Verdict(G)
    assert lenient.check_many([LISTED, LISTED], [HOME, bad]).tolist() == [W, G]


def test_irregular_identities():
    register = Register(Policy(response_type=3))
    register.add("stolen", ImeiSet([LISTED, "62#222222222222"], irregular="keep"), status=B)
    register.add("good", ImeiSet(["62#222222222222", "62#3"], irregular="keep"), status=W)
    register.add_imsis("guests", ["26201"], status=G)
    assert register.check("62#222222222222") == Verdict(B, "stolen", "irregular")
    assert register.check("62#3") == Verdict(W, "good", "irregular")
    assert register.check("62#3", AWAY) == Verdict(G, "guests", "imsi")
    assert register.check(LISTED[:14] + "#") == Verdict(U, "stolen", "exact")  # 14 digits are the key
    for unknown in ("62#4", "62#222222222222222"):  # listed nowhere: malformed, never let through
        with pytest.raises(ImeiError):
            register.check(unknown)
    column = ["62#222222222222", "62#3", LISTED, OTHER]
    lines = "\r\n".join(column).encode()
    for imeis in (column, np.array(column), lines):
        assert register.check_many(imeis).tolist() == [B, W, U, U]
        assert register.check_many(imeis, [None] * 4, lists=True)[1].tolist() == [0, 1, 0, -1]
    with pytest.raises(ImeiError, match="row 1: "):
        register.check_many([LISTED, "62#4"])
    with pytest.raises(ImsiError, match="row 0: "):
        register.check_many(["62#3"], ["x"])


def test_irregular_identities_are_saved(tmp_path):
    register = Register(Policy(malformed=G))
    register.add("stolen", ImeiSet(["62#2", "*AB"], irregular="keep"), status=B)
    register.save(tmp_path / "r.imei")
    opened = Register.verify(tmp_path / "r.imei")
    assert opened.counts() == {"stolen": {"irregular": 2}}
    assert opened.check_many(["62#2", "*ab", "62#3", "", LISTED]).tolist() == [B, B, G, G, W]


def test_no_repr_shows_a_serial_number_or_an_imsi():
    register = Register()
    register.add("stolen", ImeiSet([LISTED, "DEAD*BEEF"], irregular="keep"), status=B)
    register.exempt("paired", [LISTED], [HOME])
    register.add_imsis("home", [HOME], status=W)
    for shown in map(repr, (register, register.lists, register.check(LISTED))):
        assert not any(secret in shown for secret in (LISTED[8:14], HOME[5:], "DEAD"))


def test_arguments():
    register = Register()
    register.add("stolen", [LISTED], status=B)
    for call, match in [
        (lambda: register.add("stolen", [LISTED], status=W), "expected BLACKLISTED, 'imeis' as before"),
        (lambda: register.exempt("stolen", [LISTED], [HOME]), "as before, got WHITELISTED, 'exempt'"),
        (lambda: register.add("x", [LISTED], status=U), "got UNKNOWN"),
        (lambda: register.add("x", [LISTED], status=4), "4 is not a valid"),
        (lambda: register.add("", [LISTED], status=B), "printable"),
        (lambda: register.add_tacs("x", ["1234567"], status=B), "8 digits"),
        (
            lambda: register.add_tacs("x", ["\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18"], status=B),
            "8 digits",
        ),
        (lambda: register.add_imsis("x", ["1" * 16], status=B), r"1 to 15 digits, as str, got '1{5}\*+'"),
        (lambda: register.exempt("x", [LISTED], [HOME, HOME]), "expected 1, one for each IMEI, got 2"),
        (lambda: register.exempt("x", [LISTED], [None]), "IMSI"),
        (lambda: register.check_many([LISTED], [HOME, HOME]), "expected 1, one for each IMEI, got 2"),
        (lambda: register.check_many([LISTED], [HOME], threads=0), "at least 1"),
        (lambda: Policy(response_type=4), "expected 1, 2 or 3"),
        (lambda: Policy(precedence=("exact",)), "precedence"),
        (lambda: [register.add(f"list {n}", status=B) for n in range(40)], "at most 32 lists"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    assert register["stolen"] == ImeiSet([LISTED])
    with pytest.raises(KeyError):
        register["stole"]


# ---- the twin

KEYS = st.integers(10**13, 10**13 + 40) | st.integers(0, 3) | st.sampled_from([10**14 - 1, 5 * 10**6])
IMSIS = st.sampled_from([HOME, AWAY, "001011", "01011123", None])
PREFIXES = ["2", "234", "23415", "262", "00101", "0", "001011", "26201"]


@st.composite
def registers(draw):
    """A register and its twin."""
    policy = Policy(
        response_type=draw(st.sampled_from([1, 2, 3])),
        unlisted=draw(st.sampled_from([None, W, B, G, U])),
        precedence=tuple(draw(st.permutations(oracle.Equipment.PRECEDENCE))),
    )
    register, twin = (
        Register(policy),
        oracle.Equipment(policy.response_type, policy.unlisted, policy.precedence),
    )
    for n in range(draw(st.integers(0, 4))):
        name, status = f"list {n}", draw(st.sampled_from([W, B, G]))
        mine = twin.list(name, status)
        for key in draw(st.lists(KEYS, max_size=6)):
            mine["exact"][key] = draw(st.sampled_from(["", "lost", "lost|stolen"]))
        register.add(name, list(mine["exact"]), status=status, reasons=list(mine["exact"].values()))
        mine["range"] = {tuple(sorted(draw(st.tuples(KEYS, KEYS)))) for _ in range(draw(st.integers(0, 2)))}
        lows, highs = [low for low, _ in mine["range"]], [high for _, high in mine["range"]]
        register.add_ranges(name, lows, highs, status=status)
        mine["tac"] = set(draw(st.lists(st.sampled_from([10**7, 0, 5]), max_size=2)))
        register.add_tacs(name, [f"{tac:08}" for tac in mine["tac"]], status=status)
    for n, kind in enumerate(draw(st.lists(st.sampled_from(["exempt", "lock"]), max_size=3))):
        name = f"pairs {n}"
        mine = twin.list(name, W if kind == "exempt" else B, kind)
        mine["pairs"] = set(draw(st.lists(st.tuples(KEYS, IMSIS.filter(bool)), max_size=5)))
        getattr(register, kind)(name, [key for key, _ in mine["pairs"]], [imsi for _, imsi in mine["pairs"]])
    left = draw(st.lists(st.sampled_from(PREFIXES), unique=True, max_size=4))
    for n, prefix in enumerate(left):
        status = (W, B, G)[n % 3]
        twin.list(f"imsis {n}", status, "imsis")["prefixes"] = {prefix}
        register.add_imsis(f"imsis {n}", [prefix], status=status)
    return register, twin


@given(registers(), st.lists(st.tuples(KEYS, IMSIS), min_size=1, max_size=30))
def test_verdicts_are_those_of_the_twin(tmp_path_factory, pair, questions):
    register, twin = pair
    path = tmp_path_factory.getbasetemp() / "twin.imei"
    register.save(path)
    keys, imsis = [key for key, _ in questions], [imsi for _, imsi in questions]
    names = [*twin.lists, None]
    for one in (register, Register.open(path), Register.verify(path)):
        expected = [twin.check(*question) for question in questions]
        verdicts = [one.check(*question) for question in questions]
        assert [(v.status, v.list, v.rule, "|".join(v.reasons)) for v in verdicts] == expected
        statuses, codes = one.check_many(keys, imsis, lists=True)
        assert statuses.tolist() == [status for status, *_ in expected]
        assert [names[code] for code in codes.tolist()] == [name for _, name, *_ in expected]
        alone = one.check_many(np.array(keys, np.uint64), threads=2)
        assert alone.tolist() == [twin.check(key)[0] for key in keys]
        assert {v.name: v.status for v in one.lists} == {
            name: mine["status"] for name, mine in twin.lists.items()
        }
    again = path.with_name("again.imei")
    Register.open(path).save(again)
    assert again.read_bytes() == path.read_bytes()


def test_many_lists():
    """More than have a table of outcomes."""
    register, twin = Register(Policy(response_type=3)), oracle.Equipment(3)
    rng = np.random.default_rng(1)
    for n in range(20):
        status, keys = (W, B, G)[n % 3], rng.integers(0, 200, 40).tolist()
        register.add(f"{n}", keys, status=status)
        twin.list(f"{n}", status)["exact"] = dict.fromkeys(keys, "")
    expected = [twin.check(key)[:2] for key in range(200)]
    statuses, codes = register.check_many(range(200) and list(range(200)), lists=True)
    names = [*twin.lists, None]
    assert [(s, names[c]) for s, c in zip(statuses.tolist(), codes.tolist(), strict=True)] == expected
    assert [(v.status, v.list) for v in map(register.check, range(200))] == expected


# ---- one file


@pytest.fixture
def path(tmp_path):
    register = Register(Policy(response_type=2, malformed=G))
    register.add("stolen", [LISTED, OTHER], status=B, reasons=["a|b", "c"], dates=["20240229", None])
    register.add_ranges("barred", [10**13], [10**13 + 10**7], status=B)
    register.add_tacs("models", ["35123456"], status=G)
    register.exempt("exceptions", [LISTED] * 3, [HOME, AWAY, "001011"])
    register.add_imsis("guests", ["26299"], status=W)
    found = tmp_path / "register.imei"
    register.save(found)
    return found


@pytest.mark.parametrize("mode", ["mmap", "memory"])
def test_a_file_is_the_register(path, mode):
    register = Register.open(path, mode)
    assert register.policy == Policy(response_type=2, malformed=G)
    assert register.counts() == {
        "stolen": {"exact": 2},
        "barred": {"range": 10**7 + 1},
        "models": {"tac": 10**6},
        "exceptions": {"pair": 3},
        "guests": {"imsi": 1},
    }
    assert register.check(LISTED) == Verdict(B, "stolen", "exact", ("a", "b"), datetime.date(2024, 2, 29))
    assert register.check(LISTED, "001011").rule == "pair"
    assert register.check("x") == Verdict(G)
    register.add("stolen", ["86012345678901"], status=B)  # an opened register may grow
    assert [register.check(imei).status for imei in (LISTED, "86012345678901")] == [B, B]


def test_one_list_is_stored_once(tmp_path):
    keys = np.arange(0, 10**9, 9973, np.uint64)
    alone, register = ImeiSet.from_keys(keys), Register()
    register.add("stolen", alone, status=B)
    alone.save(tmp_path / "set.imei")
    register.save(tmp_path / "register.imei")
    sizes = [(tmp_path / name).stat().st_size for name in ("set.imei", "register.imei")]
    assert sizes[1] < sizes[0] + 1000


def test_a_set_is_no_register(tmp_path, path):
    ImeiSet([LISTED]).save(tmp_path / "set.imei")
    with pytest.raises(SnapshotKind):
        Register.open(tmp_path / "set.imei")
    with pytest.raises(SnapshotKind):
        ImeiSet.open(path)


def test_any_flipped_byte_is_found(path):
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 13):
        data[at] ^= 0x41
        path.write_bytes(data)
        with pytest.raises(SnapshotError):
            Register.verify(path)
        data[at] ^= 0x41


def sections(path):
    return {name: bytes(data) for name, data in snapshot.open(path).sections.items()}


def rewritten(path, parts):
    snapshot.write(path, "register", parts.items(), count=2)


def test_descriptions_that_lie(path):
    parts = sections(path)
    good = json.loads(parts["register"])

    def refused(change):
        about = json.loads(parts["register"])
        change(about)
        rewritten(path, {**parts, "register": json.dumps(about).encode()})
        with pytest.raises(SnapshotError):
            Register.open(path)

    for keep in good:
        refused(lambda about, keep=keep: about.pop(keep))
    for value in (None, [], 7, "x", -1, {"exact": 0}):
        for key in good:
            if (key, value) not in (("lists", []), ("shift", 7)):
                refused(lambda about, key=key, value=value: about.update({key: value}))
        for key in good["lists"][0]:
            if (key, value) not in (("reason", "x"), ("name", "x"), ("r", []), ("d", [])):
                refused(lambda about, key=key, value=value: about["lists"][0].update({key: value}))
    refused(lambda about: about["lists"].append(about["lists"][0]))
    refused(lambda about: about["lists"][3].update(pairs=0))
    for junk in (b"", b"{", b"[]", b"\xff", b"[" * 100_000):
        rewritten(path, {**parts, "register": junk})
        with pytest.raises(SnapshotBounds):
            Register.open(path)


def test_sections_that_lie(path):
    """Whatever is in them, no crash; and verify finds it."""
    parts = sections(path)
    keys = [int(LISTED[:14]), int(OTHER[:14]), 10**13, 35123456000000, 5]
    for name, data in parts.items():
        if name == "register" or not data:
            continue
        for junk in (b"\xff" * len(data), bytes(len(data)), data[::-1]):
            if junk == data or (name[-1] in "rd" and junk == data[::-1]):  # other reasons are as good
                continue
            rewritten(path, {**parts, name: junk})
            try:
                register = Register.open(path)
                register.check_many(keys, [HOME] * 5)
                for key in keys:
                    register.check(key, HOME)
            except (SnapshotError, IndexError):
                pass
            with pytest.raises(SnapshotError):
                Register.verify(path)
        rewritten(path, {other: data for other, data in parts.items() if other != name})
        with pytest.raises(SnapshotError):
            Register.verify(path)


def test_a_union_that_lacks_a_list_is_found(path):
    parts = sections(path)
    about = json.loads(parts["register"])
    about["known"] = about["lists"][0]["exact"]
    rewritten(path, {**parts, "register": json.dumps(about).encode()})
    with pytest.raises(SnapshotBounds, match="union"):
        Register.verify(path)


def test_a_damaged_payload_has_a_checksum(path):
    data = path.read_bytes().replace(b'"reason":""', b'"reason":"x', 1)
    path.write_bytes(data)
    with pytest.raises(SnapshotSectionChecksum):
        snapshot.open(path).verify()


def test_columns_of_every_kind_agree():
    register = Register()
    register.add("stolen", [LISTED], status=B)
    texts = [LISTED, OTHER]
    given = [texts, tuple(texts), np.array(texts), np.array(texts, "S15"), "\n".join(texts).encode()]
    for imeis, imsis in itertools.product(given, [None, [HOME, None], np.array([HOME, ""], "S15")]):
        assert register.check_many(imeis, imsis).tolist() == [B, W]
    assert register.check_many([], []).tolist() == []

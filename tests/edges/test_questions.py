"""Questions from seeds that no list holds, held against what the guides say: rows 1, 2, 5 and r9."""

import random
import warnings

import numpy as np
import pytest

from edges.cells import form_of
from edges.maker import Maker
from imeiset import (
    EquipmentStatus,
    ImeiError,
    ImeiSet,
    ImeiWarning,
    ImsiError,
    Policy,
    Register,
    load_register,
)
from imeiset.errors import ParseStatus as S

DRAWS = 250  # of each kind, of which the table of edges asks for 200
BLACK = EquipmentStatus.BLACKLISTED
HOME = "262011234567890"


# ---- 1: integers ----


def key_of(value, digits):
    """The key of an integer, or why it has none."""
    if value < 0:
        return S.NEGATIVE
    if value >= 10**15:
        return S.OUT_OF_RANGE
    if digits == 15:
        return value // 10
    return S.FIFTEEN_DIGITS if value >= 10**14 else value


def answered(values, listed, digits, malformed):
    """What `contains` has to answer, or the errors of which it has to raise one."""
    keys = [key_of(value, digits) for value in values]
    wrong = {key for key in keys if isinstance(key, S)}
    if wrong - {S.NEGATIVE} or (wrong and malformed is None):
        return wrong
    return [malformed if isinstance(key, S) else key in listed for key in keys]


@pytest.mark.parametrize("seed", range(DRAWS))
def test_1_integers(seed):
    dice = random.Random(seed)
    lengths = dice.choice([[13, 14], [14, 15], [13, 14, 15], [15], [12, 14, 16]])
    values = [dice.randrange(10 ** (length - 1), 10**length) for length in dice.choices(lengths, k=8)]
    values += [-1] if dice.random() < 0.2 else []
    listed = {value % 10**15 // dice.choice([1, 10]) % 10**14 for value in values[::2]}
    digits, malformed = dice.choice([14, 15]), dice.choice([None, False, True])
    members = ImeiSet.from_keys(np.array(sorted(listed), np.uint64))
    column = dice.choice([list, np.array, lambda of: np.array(of, object)])(values)
    right = answered(values, listed, digits, malformed)
    if isinstance(right, list):
        assert members.contains(column, digits=digits, malformed=malformed).tolist() == right
        return
    with pytest.raises(ImeiError) as caught:
        members.contains(column, digits=digits, malformed=malformed)
    assert caught.value.status in right


# ---- 2: columns in which hardly anything is an IMEI ----


@pytest.mark.parametrize("seed", range(DRAWS))
def test_2_columns_of_something_else(seed):
    maker = Maker(seed)
    share, count = maker.pick([0.0, 0.3, 0.45, 0.55, 0.9, 1.0]), maker.pick([20, 99, 100, 101, 300])
    column = [maker.bad() if maker.chance(share) else maker.identity() for _ in range(count)]
    nothing = sum(form_of(text) is None for text in column)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ImeiSet([]).contains(column, malformed=False)
    warned = [one for one in caught if one.category is ImeiWarning]
    assert len(warned) == (count >= 100 and 2 * nothing > count)
    assert all(f"{nothing} of {count} rows" in str(one.message) for one in warned)


# ---- 5, r9: IMSIs ----


def imsi(maker):
    """A text that an IMSI may be asked for as, and what it says: an IMSI, None for not given, or an error."""
    digits = maker.digits(maker.random.randint(1, 17))
    kind = maker.pick(["home", "bare", "prefix", "other", "none", "wrong"])
    if kind == "home":
        return maker.pick([HOME, f"imsi-{HOME}"]), HOME
    if kind in ("bare", "prefix"):
        right = digits if 5 <= len(digits) <= 15 else ImsiError
        return ("imsi-" if kind == "prefix" else "") + digits, right
    if kind == "other":
        return maker.pick(["nai-", "gci-", "gli-"]) + maker.pick(["user@example.org", digits]), None
    return (None, None) if kind == "none" else (maker.pick(["imsi-", "x", HOME + "F", "+" + HOME]), ImsiError)


@pytest.mark.parametrize("seed", range(DRAWS))
def test_5_subscribers(seed):
    maker = Maker(seed)
    exempt, locked, stolen = maker.imei(), maker.imei(), maker.imei()
    text, said = imsi(maker)
    malformed = maker.pick([None, *EquipmentStatus])
    register = Register(Policy(response_type=2, malformed=malformed))
    register.add("stolen", [exempt, stolen], status=BLACK)
    register.exempt("owners", [exempt], [HOME])
    register.lock("locked", [locked], [HOME])
    if said is ImsiError and malformed is None:
        for phone in (exempt, locked, stolen):
            with pytest.raises(ImsiError):
                register.check(phone, text)
            with pytest.raises(ImsiError):
                register.check_many([phone], [text])
        return
    right = {stolen: True, exempt: said != HOME, locked: said != HOME}
    for phone, blocked in right.items():
        assert (register.check(phone, text).status == BLACK) == blocked
        assert (register.check_many([phone], [text])[0] == BLACK) == blocked


@pytest.mark.parametrize("seed", range(DRAWS))
def test_r9_imsis_in_lists(seed, tmp_path):
    maker = Maker(seed)
    rows = [(maker.imei(), *imsi(maker)) for _ in range(6)]
    lines = "".join(f"{phone},{text or ''}\n" for phone, text, _ in rows)
    (tmp_path / "pairs.csv").write_text("imei,imsi\n" + lines)
    (tmp_path / "register.toml").write_text("[[lists]]\nname = 'p'\nkind = 'exempt'\nfiles = ['pairs.csv']\n")
    good = {(phone, said) for phone, _, said in rows if isinstance(said, str)}
    if not good:
        return
    register, [read] = load_register(tmp_path / "register.toml")
    assert register.counts()["p"]["pair"] == len(good)
    assert read.report.rejected == len(rows) - sum(isinstance(said, str) for _, _, said in rows)

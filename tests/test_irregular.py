"""Irregular identities beside a set: normal form, lookups, algebra, files."""

import copy
import pickle

import identities
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset import ImeiError, ImeiSet, errors, irregular, snapshot

IMEI = "490154203237518"
ODD = "62#222222222222"

field = st.text("0123456789ABCDEFabcdef*#", min_size=1, max_size=18)
texts = st.one_of(
    field,
    field.map(lambda text: ("4" * 14 + text)[:16]),
    st.text(max_size=18),
    st.integers(0, 10**15 - 1).map("{:015d}".format),
)


@pytest.fixture
def kept():
    return ImeiSet([IMEI, ODD, "dead*beef", "52003020863612#", "123"], irregular="keep")


@given(texts)
def test_the_normal_form_is_that_of_the_oracle(text):
    found = irregular.normalised(text)
    assert (found.decode() if isinstance(found, bytes) else found) == oracle.normalise(text)
    assert irregular.normalised(text.encode()) == found


@pytest.mark.parametrize("value", [None, 12, 1.5, "", b"", " ", "a" * 17, "\u0664", "abc\xa0", "a b", "g"])
def test_what_is_neither(value):
    assert irregular.normalised(value) is None


def test_a_table_is_sorted_and_has_each_once():
    assert irregular.table(["b", "A", b"a", "#"]).tolist() == [b"#", b"A", b"B"]
    assert irregular.table([]).dtype == irregular.NONE.dtype
    with pytest.raises(ImeiError, match=r"row 1: .*got '49015420\*"):
        irregular.table(["a", IMEI])


def test_they_are_kept_beside_the_imeis(kept):
    assert kept.irregular.tolist() == [b"123", ODD.encode(), b"DEAD*BEEF"]
    assert list(kept) == [IMEI, "520030208636124"]
    assert len(kept) == 2
    assert "3 irregular" in repr(kept)
    for text in (ODD, ODD.encode(), "DEAD*beef", "123", "52003020863612AB"):
        assert text in kept
    for text in ("12", "1234", "#", "62#22222222222", "52003020863613#", "ffffffffffffffff"):
        assert text not in kept
    for text in ("", "x", "DEAD BEEF", "1" * 17):
        with pytest.raises(ImeiError):
            text in kept  # noqa: B015


def test_a_set_that_rejects_them_raises(kept):
    plain = ImeiSet([IMEI])
    assert plain.irregular is None
    for ask in (plain.__contains__, lambda text: plain.contains([text])):
        with pytest.raises(ImeiError):
            ask(ODD)
    with pytest.raises(ImeiError, match="row 1"):
        ImeiSet([IMEI, ODD])
    with pytest.raises(ValueError, match="'reject' or 'keep'"):
        ImeiSet([ODD], irregular="maybe")


def test_one_that_keeps_none_answers():
    empty = ImeiSet(irregular="keep")
    assert empty.irregular.tolist() == []
    assert ODD not in empty
    assert empty.contains([ODD]).tolist() == [False]


@pytest.mark.parametrize("malformed", [None, False, True])
@pytest.mark.parametrize("make", [list, np.array, lambda rows: "\r\n".join(rows).encode()])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_of_texts(kept, make, threads, malformed):
    rows = [IMEI, ODD, "abc", "356938035643809", "123", "52003020863612#", "dead*BEEF"] * 7_000
    expected = [True, True, False, False, True, True, True] * 7_000
    assert kept.contains(make(rows), threads=threads, malformed=malformed).tolist() == expected
    rows[20_001] = "x"
    if malformed is None:
        with pytest.raises(ImeiError, match="row 20001"):
            kept.contains(make(rows), threads=threads)
    else:
        expected[20_001] = malformed
        assert kept.contains(make(rows), threads=threads, malformed=malformed).tolist() == expected


def test_they_have_no_position(kept):
    assert kept.positions(["52003020863612#", IMEI, "356938035643809"]).tolist() == [1, 0, -1]
    with pytest.raises(ImeiError, match="row 1"):
        kept.positions([IMEI, ODD])


def test_a_column_that_keeps_them_still_has_to_be_sound(kept):
    rows = [IMEI, ODD] * 50_000
    assert len(ImeiSet(rows, irregular="keep").irregular) == 1
    with pytest.raises(ImeiError, match=r"row 100000: .*outside ASCII"):
        ImeiSet([*rows, "\u0664"], irregular="keep")
    with pytest.raises(ImeiError, match="row 1: a wrong check digit"):
        ImeiSet([ODD, "490154203237517"], irregular="keep", check_digit="require")


given_set = st.builds(
    lambda keys, texts: ImeiSet.from_keys(np.array(keys, np.uint64), irregular=texts),
    st.lists(st.integers(0, 20), max_size=10),
    st.one_of(st.none(), st.lists(st.sampled_from(["A", "B", "#", "1*"]), max_size=4)),
)


def model(members):
    odd = () if members.irregular is None else members.irregular.tolist()
    return {*members.to_numpy().tolist(), *odd}


@given(given_set, given_set)
def test_algebra_is_that_of_python_sets(a, b):
    for name in ("__or__", "__and__", "__sub__", "__xor__"):
        result = getattr(a, name)(b)
        assert model(result) == getattr(model(a), name)(model(b))
        assert (result.irregular is None) == (a.irregular is None and b.irregular is None)
    for name in ("__eq__", "__ne__", "__le__", "__lt__", "__ge__", "__gt__", "isdisjoint"):
        assert getattr(a, name)(b) == getattr(model(a), name)(model(b))
    if a == b:
        assert hash(a) == hash(b)


@pytest.mark.parametrize("mode", ["mmap", "memory"])
def test_files(kept, tmp_path, mode):
    path = tmp_path / "set"
    for members in (kept, ImeiSet(irregular="keep"), ImeiSet([IMEI])):
        members.save(path)
        for found in (
            ImeiSet.open(path, mode=mode),
            ImeiSet.verify(path),
            pickle.loads(pickle.dumps(members)),
        ):
            assert found == members
            assert (found.irregular is None) == (members.irregular is None)
        assert copy.copy(members) is members
    names = list(snapshot.open(path).sections)
    assert "irreg" not in names  # as before there were any
    kept.save(path)
    assert list(snapshot.open(path).sections) == [*names, "irreg"]


@pytest.mark.parametrize(
    "section",
    [
        b"A".ljust(16, b"\0") * 2,
        b"a".ljust(16, b"\0"),
        b"B".ljust(16, b"\0") + b"A".ljust(16, b"\0"),
        b"4" * 16,
    ],
)
def test_a_damaged_table_does_not_pass(kept, tmp_path, section):
    parts = [*ImeiSet([IMEI]).sections(), ("irreg", section)]
    snapshot.write(tmp_path / "set", "set", parts, count=1)
    "123" in ImeiSet.open(tmp_path / "set")  # noqa: B015
    with pytest.raises(errors.SnapshotBounds, match="irreg"):
        ImeiSet.verify(tmp_path / "set")
    snapshot.write(tmp_path / "set", "set", [*parts[:-1], ("irreg", section[1:])], count=1)
    with pytest.raises(errors.SnapshotBounds, match="fit together"):
        ImeiSet.open(tmp_path / "set")


def test_blanks_are_no_part_of_an_irregular_identity(kept):
    for text in (f" {ODD}", f"{ODD}\t", f"\v{ODD}\r\n", f" {ODD} ".encode()):
        assert irregular.normalised(text) == ODD.encode()
        assert text in kept
        assert kept.contains([text]).tolist() == [True]
    assert irregular.table([" b ", "B"]).tolist() == [b"B"]


def test_a_text_of_a_form_is_no_irregular_identity():
    for text, digits in identities.FORMS.items():
        made = ImeiSet([text], irregular="keep")
        assert (made.irregular.tolist(), made.to_numpy().tolist()) == ([], [int(digits[:14])])


def test_a_check_digit_that_is_required_is_not_got_around():
    for text in ("49015420323751", "4901542032375106", "49015420323751FF", "52003020863612#"):
        assert len(ImeiSet([text], irregular="keep", check_digit="spare")) == 1
        with pytest.raises(ImeiError, match=r"^row 1: "):
            ImeiSet([IMEI, text], irregular="keep", check_digit="require")
    assert ImeiSet([ODD], irregular="keep", check_digit="require").irregular.tolist() == [ODD.encode()]

"""A register is a mapping of its lists: what Python asks of one, it answers."""

from collections.abc import Mapping

import numpy as np
import pytest

from imeiset import EquipmentStatus, ImeiSet, Register

W, B, G, U = EquipmentStatus
LISTED, OTHER = "490154203237518", "356938035643809"
HOME = "234150999999999"


def several() -> Register:
    register = Register()
    register.add("stolen", [LISTED], status=B)
    register.add_tacs("models", ["01012300"], status=G)
    register.add_ranges("batch", [10], [20], status=G)
    register.exempt("paired", [OTHER], [HOME])
    register.add_imsis("roamers", ["26201"], status=G)
    return register


def test_a_register_is_a_mapping_of_its_lists():
    register = several()
    names = ["stolen", "models", "batch", "paired", "roamers"]
    assert isinstance(register, Mapping)
    assert list(register) == list(register.keys()) == names
    assert len(register) == 5
    assert "stolen" in register
    for other in ("lost", LISTED, 0, None, ("stolen",), np.array([1, 2])):
        assert other not in register
    assert register["stolen"] == register.get("stolen") == ImeiSet([LISTED])
    assert register.get("lost") is None
    assert register.get(0, "nothing") == "nothing"
    assert (
        dict(register)
        == dict(register.items())
        == {"stolen": ImeiSet([LISTED])} | dict.fromkeys(names[1:], ImeiSet())
    )
    assert [len(members) for members in register.values()] == [1, 0, 0, 0, 0]


def test_a_list_without_exact_imeis_is_the_empty_set():
    register = several()
    for name in ("models", "batch", "paired", "roamers"):
        assert register[name] == ImeiSet()
        assert isinstance(register[name], ImeiSet)


@pytest.mark.parametrize("name", ["lost", 0, None, b"stolen"])
def test_a_name_that_no_list_has(name):
    with pytest.raises(KeyError, match="expected one of stolen, models, batch, paired, roamers, got"):
        several()[name]
    with pytest.raises(KeyError, match="expected one of no lists, got"):
        Register()[name]


def test_no_message_shows_an_imei():
    """A register is not asked by an IMEI, but people try."""
    for call in (lambda: several()[LISTED], lambda: Register().add(f"{LISTED}\n", status=B)):
        with pytest.raises((KeyError, ValueError), match=r"got '49015420\*{7}") as error:
            call()
        assert LISTED not in str(error.value)


def test_a_register_is_true_and_equal_to_itself_alone():
    empty, other = Register(), Register()
    assert empty
    assert bool(several())
    assert empty == empty
    assert empty != other
    assert several() != several()
    assert empty != {}
    assert len({empty, other, empty}) == 2

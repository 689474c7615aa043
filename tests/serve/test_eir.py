"""The contract of a 5G equipment identity register, row by row."""

import json

import pytest

from imeiset import EquipmentStatus, Policy, Register
from imeiset.serve.eir import PATH, Eir

BLACK, GREY, WHITE = "490154203237518", "356938035643809", "352099001761481"


@pytest.fixture
def register():
    register = Register(Policy(response_type=2))
    register.add("stolen", [BLACK], status=EquipmentStatus.BLACKLISTED)
    register.add("watched", [GREY], status=EquipmentStatus.GREYLISTED)
    register.add("known", [WHITE], status=EquipmentStatus.WHITELISTED)
    return register


@pytest.mark.parametrize(
    ("imei", "status"), [(BLACK, "BLACKLISTED"), (GREY, "GREYLISTED"), (WHITE, "WHITELISTED")]
)
def test_statuses(register, imei, status):
    answer = Eir(register).answer("GET", PATH, f"pei=imei-{imei}", {})
    assert answer.status == 200
    assert answer.headers == [("content-type", "application/json")]
    assert json.loads(answer.body) == {"status": status}


def test_unknown_equipment(register):
    answer = Eir(register).answer("GET", PATH, "pei=imei-863212345678905", {})
    assert answer.status == 404
    assert answer.headers == [("content-type", "application/problem+json")]
    assert answer.body == b'{"status":404,"title":"Not Found","cause":"ERROR_EQUIPMENT_UNKNOWN"}'

"""Registers of every kind of list, and what becomes of them elsewhere."""

import numpy as np
from hypothesis import strategies as st

from imeiset import EquipmentStatus, ImeiSet, Policy, Register

STATUSES = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED, EquipmentStatus.WHITELISTED)
KEYS = st.one_of(st.integers(0, 10**14 - 1), st.integers(49015420000000, 49015420000200))
IMSIS = st.from_regex(r"[0-9]{5,15}", fullmatch=True)
DAYS = st.sampled_from([None, None, "2024-02-29", "2025-01-01", "0001-01-01", "9999-12-31"])
PRINTABLE = st.text(st.characters(exclude_categories=("C", "Zl", "Zp", "Zs")) | st.just(" "), max_size=20)
NAMES = PRINTABLE.filter(lambda name: name and name.isprintable())
REASONS = st.sampled_from(
    [None, None, "stolen", "stolen|lost", 'a "b", c', "#1", "unblocked", "0", "perdu é"]
)
TEXTS = st.from_regex(r"[0-9A-F*#]{1,16}", fullmatch=True).filter(
    lambda text: not text[:14].isdigit() or len(text) < 14
)


@st.composite
def registers(draw, names=NAMES):
    """A register of any lists."""
    register = Register(
        Policy(
            response_type=draw(st.sampled_from([1, 2, 3])),
            unlisted=draw(st.sampled_from([None, *STATUSES])),
            malformed=draw(st.sampled_from([None, *STATUSES])),
        )
    )
    prefixes = draw(st.lists(st.from_regex(r"[0-9]{1,15}", fullmatch=True), unique=True, max_size=6))
    for name in draw(st.lists(names, unique=True, max_size=4)):
        kind = draw(st.sampled_from(["imeis", "imeis", "imeis", "block", "exempt", "lock", "imsis"]))
        said = {
            "owner": draw(st.sampled_from(["", "op-a", "é, b"])),
            "reason": draw(st.sampled_from(["", "theft"])),
        }
        status = draw(st.sampled_from(STATUSES))
        if kind == "imsis":
            some, prefixes = prefixes[:2], prefixes[2:]
            register.add_imsis(name, some, status=status, **said)
            continue
        keys = draw(st.lists(KEYS, max_size=12))
        untils = draw(st.lists(DAYS, min_size=len(keys), max_size=len(keys)))
        if kind != "imeis":
            imsis = draw(st.lists(IMSIS, min_size=len(keys), max_size=len(keys)))
            given = {} if kind == "exempt" else {"status": status}
            getattr(register, kind)(name, np.array(keys, np.uint64), imsis, until=untils, **given, **said)
            continue
        members = ImeiSet.from_keys(keys, irregular=draw(st.sets(TEXTS, max_size=3)))
        rows = len(members)
        dates = draw(st.lists(DAYS, min_size=rows, max_size=rows))
        reasons = draw(st.lists(REASONS, min_size=rows, max_size=rows))
        ends = [one and max(one, date or "") for one, date in zip(untils[:rows], dates, strict=True)]
        register.add(name, members, status=status, reasons=reasons, dates=dates, until=ends, **said)
        lows = draw(st.lists(KEYS, max_size=3))
        highs = [min(low + draw(st.sampled_from([0, 1, 40, 10**6])), 10**14 - 1) for low in lows]
        register.add_ranges(name, np.array(lows, np.uint64), np.array(highs, np.uint64), status=status)
        tacs = draw(st.lists(st.sampled_from(["49015420", "49015421", "00000000", "99999999"]), max_size=3))
        register.add_tacs(name, tacs, status=status)
    return register


def digests(register):
    """Of each list, in order."""
    return [(one.name, one.digest()) for one in register.lists]

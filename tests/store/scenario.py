"""A writer for test_crashes.py: says on stdout what was promised, one line for each step."""

import os
import sys

from imeiset import Delta, EquipmentStatus, ImeisetError, Register, Store

MEMBERS = [10**13 + n for n in range(50)]


def register(keys=MEMBERS):
    """The first base."""
    made = Register()
    made.add("stolen", list(keys), status=EquipmentStatus.BLACKLISTED, reasons=["first"] * len(keys))
    made.exempt("pairs", [MEMBERS[0]], ["234150999999999"])
    return made


def state(step):
    """What is listed after so many steps."""
    keys = set(MEMBERS)
    if step >= 1:
        keys = (keys - {MEMBERS[0]}) | {1, 2}
    if step >= 2:
        keys -= {2}
    if step >= 4:
        keys |= {3}
    if step >= 5:
        keys = set(MEMBERS)
    if step >= 6:
        keys |= {5}
    return keys


STEPS = [
    lambda store: store.apply(Delta("stolen", add=[1, 2], remove=MEMBERS[:1]), sequence=1),
    lambda store: store.apply(Delta("stolen", remove=[2]), sequence=2),
    lambda store: store.compact(),
    lambda store: store.apply(Delta("stolen", add=[3]), sequence=3),
    lambda store: store.replace(register()),
    lambda store: store.apply(Delta("stolen", add=[5]), sequence=4),
    lambda store: store.prune(1),
]


def main(directory):
    """Take the steps; where one fails, reopen and take it again."""
    store = Store.open(directory)
    for number, step in enumerate(STEPS, 1):
        for _ in range(2):
            try:
                step(store)
                break
            except (OSError, ImeisetError) as error:
                os.write(1, f"failed {number} {error}\n".encode())
                store.close()
                store = Store.open(directory)
        os.write(1, f"done {number}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])

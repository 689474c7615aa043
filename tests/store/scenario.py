"""Writers for test_crashes.py: they say on stdout what was promised, one line for each step."""

import datetime
import json
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


class Feeds:
    """Feeds, full lists, lists that come and go, what is past; in a store whose journal has version 1."""

    @staticmethod
    def register():
        made = Register()
        made.add("stolen", MEMBERS, status=EquipmentStatus.BLACKLISTED)
        made.add("a_stolen", [1], status=EquipmentStatus.BLACKLISTED, owner="op-a")
        return made

    @staticmethod
    def full():
        made = Register()
        made.add("a_stolen", [1, 5], status=EquipmentStatus.BLACKLISTED)
        return made

    @staticmethod
    def state(step):
        """What is listed after so many steps, and how far each feed is."""
        keys, feeds = {*MEMBERS, 1}, {}
        if step >= 1:
            keys, feeds = keys | {2}, {"op-a": 1}
        if step >= 3:
            keys, feeds = keys | {3}, {**feeds, "op-b": 20261201}
        if step >= 4:
            keys, feeds = (keys - {2}) | {5}, {**feeds, "op-a": 4}
        if step >= 5:
            keys -= {3}
        if step >= 6 and step != 8:
            keys |= {2}
            feeds = {**feeds, "op-a": 5}
        return keys, feeds

    @staticmethod
    def told(step):
        """What history has of one of the IMEIs after so many steps."""
        events = {1: ("added", 1), 4: ("removed", 4), 6: ("added", 5), 8: ("removed", 4), 9: ("added", 5)}
        return [event for at, event in events.items() if at <= step]

    STEPS = (
        lambda store: store.apply(Delta("a_stolen", add=[2]), feed="op-a", sequence=1),
        lambda store: (
            "b" in store or store.add_list("b", status=EquipmentStatus.BLACKLISTED, owner="op-b", ref="new")
        ),
        lambda store: store.apply(
            Delta("b", add=[3], until="2020-01-01"), feed="op-b", sequence=20261201, after=0
        ),
        lambda store: store.replace(Feeds.full(), feed="op-a", through=4),
        lambda store: store.expire(datetime.datetime.now(datetime.UTC).date(), force=True),
        lambda store: store.apply(Delta("a_stolen", add=[2]), feed="op-a", sequence=5),
        lambda store: "b" in store and store.drop_list("b", by="op-b", force=True),
        lambda store: store.replace(Feeds.full(), feed="op-a", through=4, force=True),
        lambda store: store.apply(Delta("a_stolen", add=[2]), feed="op-a", sequence=5),
        lambda store: store.compact(),
        lambda store: store.prune(1, history=10_000),
    )


class Plain:
    """The state of the one list after so many steps, and no feeds."""

    register = staticmethod(register)
    STEPS = tuple(STEPS)

    @staticmethod
    def state(step):
        return state(step), {}

    @staticmethod
    def told(step):
        """Its history is gone when it ends."""


SCENARIOS = {"plain": Plain, "feeds": Feeds}


def main(name, directory):
    """Take the steps; where one fails, reopen and take it again."""
    store = Store.open(directory)
    for number, step in enumerate(SCENARIOS[name].STEPS, 1):
        for _ in range(2):
            try:
                step(store)
                break
            except (OSError, ImeisetError) as error:
                os.write(1, f"failed {number} {error}\n".encode())
                store.close()
                store = Store.open(directory)
        os.write(1, f"done {number}\n".encode())


def serve():
    """Begin a writer for each line of stdin, and say when it has ended. Each is a process of its own, which
    need not import anything. The line: its scenario, its directory, and what of its environment makes it
    fail."""
    for line in sys.stdin:
        name, directory, environment = json.loads(line)
        child = os.fork()
        if not child:
            os.environ.update(environment)
            for number, file in ((1, "said"), (2, "wrong")):
                path = os.path.join(os.path.dirname(directory), file)  # noqa: PTH118, PTH120
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            return main(name, directory)
        os.waitpid(child, 0)
        os.write(1, b"ended\n")
    return None


if __name__ == "__main__":
    serve()

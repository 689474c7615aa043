"""Publishers, followers and mirrors in any order, with crashes at any call: in the end all are equal."""

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from imeiset import Store

from . import commands as _commands
from .following import held
from .forger import keys
from .world import Publisher

NAMES = st.sampled_from(["stolen", "lost", "third"])
PHONES = st.sets(st.integers(0, 40), max_size=8)
WHO = st.sampled_from(["a", "b"])
STORES = st.sampled_from([0, 1, 2])
HOW = st.sampled_from(["kill", "after", "error", "short"])
AT = st.integers(1, 70)
LOST_LITTLE = {"suppress_health_check": list(HealthCheck), "deadline": None}


def remote_edition(folder: Path) -> int:
    """The edition that a place says it has, by its files alone; 0 for none."""
    metadata = folder / "metadata"
    if not (metadata / "timestamp.json").exists():
        return 0
    version = json.loads((metadata / "timestamp.json").read_bytes())["signed"]["meta"]["snapshot.json"][
        "version"
    ]
    snapshot = json.loads((metadata / f"{version}.snapshot.json").read_bytes())
    version = snapshot["signed"]["meta"]["targets.json"]["version"]
    targets = json.loads((metadata / f"{version}.targets.json").read_bytes())["signed"]["targets"]
    return max((about["custom"]["edition"] for about in targets.values()), default=0)


class Histories(RuleBasedStateMachine):
    """`commands` is set before it runs; `scratch` is a folder for each history."""

    commands: _commands.Commands
    scratch: Path
    count = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).count += 1
        self.folder = self.scratch / f"history-{self.count}"
        self.publishers = {
            who: Publisher(self.folder / who, {"stolen": keys(5), "lost": set()}, self.commands.run)
            for who in ("a", "b")
        }
        self.feeds: dict[tuple[int, str], str] = {}
        self.reached: dict[tuple[int, str], int] = {}
        self.backups: dict[str, tuple[Path, dict[str, set[int]]]] = {}
        self.restored: set[str] = set()

    # Publishers -----------------------------------------------------------------
    @initialize()
    def begin(self) -> None:
        for who in self.publishers:
            self.publish(who, base=False)

    @rule(who=WHO, name=NAMES, add=PHONES, remove=PHONES)
    def change(self, who, name, add, remove):
        self.publishers[who].change(name, add, remove - add)

    @rule(who=WHO)
    @precondition(lambda self: any("third" in one.lists for one in self.publishers.values()))
    def drop(self, who):
        if "third" in self.publishers[who].lists:
            self.publishers[who].drop("third")

    @rule(who=WHO)
    def compact(self, who):
        self.publishers[who].compact()

    @rule(who=WHO, phones=PHONES)
    def replace(self, who, phones):
        self.publishers[who].replace({"stolen": {10**13 + one for one in phones}, "lost": keys(2, 50)})

    @rule(who=WHO, base=st.booleans())
    def publish(self, who, base):
        publisher = self.publishers[who]
        code = publisher.publish(*["--base"] * base)
        if code == 4 and who in self.restored and not base:
            assert "backup" in self.commands.said or "--base" in self.commands.said, self.commands.said
            return
        assert code == 0, self.commands.said
        self.observe(who)
        assert publisher.editions[max(publisher.editions)] == publisher.lists
        self.restored.discard(who)

    def observe(self, who):
        """A new edition has what the store had when it was published."""
        publisher = self.publishers[who]
        edition = remote_edition(publisher.url)
        assert edition >= max(publisher.editions, default=0), "the place went back"
        if edition not in publisher.editions and edition:
            assert edition == max(publisher.editions, default=0) + 1
            publisher.editions[edition] = publisher.pending

    @rule(who=WHO, at=AT, how=HOW, base=st.booleans())
    def publish_and_crash(self, who, at, how, base):
        publisher = self.publishers[who]
        code = publisher.publish(*["--base"] * base, folder=publisher.folder, at=at, how=how)
        assert code in (-9, 0, 2, 4), self.commands.said
        assert "Traceback" not in self.commands.said, self.commands.said
        before = max(publisher.editions, default=0)
        self.observe(who)
        if code == 0:
            assert publisher.editions[max(publisher.editions)] == publisher.lists
            self.restored.discard(who)
        if base and max(publisher.editions) > before:
            self.restored.discard(who)
        if code == 4:
            assert who in self.restored, self.commands.said

    @rule(who=WHO, role=st.sampled_from(["targets", "online", "root"]))
    def rotate(self, who, role):
        publisher = self.publishers[who]
        code, _ = self.commands.run("keys", "rotate", publisher.url, "--keys", publisher.keys, "--role", role)
        assert code == 0, self.commands.said

    @rule(who=WHO)
    def back_up(self, who):
        publisher, to = self.publishers[who], self.folder / f"backup-{who}"
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(publisher.store, to)
        self.backups[who] = to, {name: set(members) for name, members in publisher.lists.items()}

    @rule(who=WHO)
    @precondition(lambda self: bool(self.backups))
    def restore(self, who):
        if who in self.backups:
            backup, lists = self.backups[who]
            publisher = self.publishers[who]
            shutil.rmtree(publisher.store)
            shutil.copytree(backup, publisher.store)
            publisher.lists = {name: set(members) for name, members in lists.items()}
            self.restored.add(who)

    # Followers ------------------------------------------------------------------
    def follow(self, number, who, *more, url=None, **how):
        publisher, store = self.publishers[who], self.folder / f"follower-{number}"
        arguments = ["follow", url or publisher.url, store, "--root", self.first_root(who), "--once"]
        arguments += ["--prefix", f"{who}_", "--max-shrink", "100", *more]
        code, reached = self.commands.run(*arguments, **how)
        assert "Traceback" not in self.commands.said, self.commands.said
        self.look(number)
        return code, reached

    def first_root(self, who):
        """Followers have the first root, for ever."""
        kept = self.folder / f"{who}-root.json"
        if not kept.exists():
            shutil.copy(self.publishers[who].url / "metadata" / "1.root.json", kept)
        return kept

    def look(self, number):
        """Each feed of a store has exactly what one edition had, and never an older one than before."""
        state = held(self.folder / f"follower-{number}")
        if state is None:
            return
        for who, publisher in self.publishers.items():
            found = {
                name.removeprefix(f"{who}_"): members
                for name, members in state["members"].items()
                if name.startswith(f"{who}_")
            }
            feed = self.feeds.get((number, who))
            if feed is None:
                others = {self.feeds.get((number, other)) for other in self.publishers}
                new = [name for name in state["feeds"] if name not in others]
                if not new or not found:
                    continue
                feed = self.feeds[number, who] = new[0]
            edition = state["feeds"].get(feed, 0)
            assert edition >= self.reached.get((number, who), 0), "an edition went back"
            self.reached[number, who] = edition
            assert found == publisher.editions.get(edition, {}), (number, who, edition)

    @rule(number=STORES, who=WHO)
    def step(self, number, who):
        code, _ = self.follow(number, who)
        assert code == 0, self.commands.said
        assert self.reached[number, who] == max(self.publishers[who].editions)

    @rule(number=STORES, who=WHO, at=AT, how=HOW)
    def step_and_crash(self, number, who, at, how):
        store = self.folder / f"follower-{number}"
        code, _ = self.follow(number, who, folder=store, at=at, how=how)
        assert code in (-9, 0, 2), self.commands.said
        if code == 0:
            assert self.reached[number, who] == max(self.publishers[who].editions)

    @rule(number=STORES)
    def forget(self, number):
        shutil.rmtree(self.folder / f"follower-{number}" / "followed", ignore_errors=True)

    @rule(number=STORES)
    def compact_follower(self, number):
        store = self.folder / f"follower-{number}"
        if (store / "current").exists():
            with Store.open(store) as one:
                one.compact()
                one.prune(1)
            self.look(number)

    @rule(who=WHO, at=st.none() | AT, how=HOW)
    def mirror(self, who, at, how):
        publisher, mirror = self.publishers[who], self.folder / f"mirror-{who}"
        arguments = ["follow", publisher.url, "--mirror", mirror, "--root", self.first_root(who), "--once"]
        faults = {} if at is None else {"folder": mirror, "at": at, "how": how}
        code, _ = self.commands.run(*arguments, **faults)
        assert code in ((0,) if at is None else (0, 2, -9)), self.commands.said
        assert "Traceback" not in self.commands.said, self.commands.said

    @rule(number=STORES, who=WHO)
    def follow_a_mirror(self, number, who):
        """It may be older than what the follower has: then that is said."""
        mirror = self.folder / f"mirror-{who}"
        if mirror.exists():
            before = self.reached.get((number, who), 0)
            code, _ = self.follow(number, who, url=mirror)
            edition = remote_edition(mirror)
            if edition == 0:
                assert code == 2, self.commands.said
            elif code == 0:
                assert self.reached[number, who] == edition
            else:
                assert code == 4, self.commands.said
                assert edition < before or before == edition, (edition, before, self.commands.said)

    # The end --------------------------------------------------------------------
    def teardown(self) -> None:
        for who in self.publishers:
            if self.publishers[who].editions:
                self.publish(who, base=who in self.restored)
                for number in range(3):
                    self.step(number, who)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with _commands.running(tmp_path_factory.mktemp("commands")) as commands:
        if commands is None:
            pytest.skip("needs Linux and a C compiler")
        yield type(
            "Histories", (Histories,), {"commands": commands, "scratch": tmp_path_factory.mktemp("histories")}
        )


def test_histories(machine):
    run_state_machine_as_test(
        machine, settings=settings(max_examples=8, stateful_step_count=15, **LOST_LITTLE)
    )


@pytest.mark.long
def test_many_histories(machine):
    examples = int(os.environ.get("HISTORIES", "150"))
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=40, derandomize=False, **LOST_LITTLE),
    )

"""Whenever a publisher or a follower dies, and whatever fails: one edition or the next, and nothing lost."""

import os
import random
import shutil

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from . import commands as _commands
from .following import held
from .forger import keys
from .world import Publisher

FIRST_LISTS = {"stolen": keys(50), "lost": keys(10, 100)}
CODES = {"error": (0, 2), "short": (0, 2), "kill": (-9, 0), "after": (-9, 0)}
# What fails, and each how manieth call does: every one in the tests that take minutes.
HOW = [
    ("error", 7),
    ("kill", 7),
    *(pytest.param(how, 1, marks=pytest.mark.long) for how in CODES),
]


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    with _commands.running(tmp_path_factory.mktemp("commands")) as found:
        if found is None:
            pytest.skip("needs Linux and a C compiler")
        yield found


class World:
    """A publisher with a change that is not published yet, and a follower of the edition before."""

    def __init__(self, folder, run):
        self.publisher, self.run = Publisher(folder / "world", FIRST_LISTS, run), run
        self.store = self.publisher.folder / "follower"
        assert self.publisher.publish() == 0, run.__self__.said
        self.before = dict(self.publisher.lists)
        self.root = folder / "root.json"
        shutil.copy(self.publisher.root, self.root)
        assert self.follow() == 0, run.__self__.said
        self.publisher.change("stolen", add=range(200, 210), remove=range(3))
        self.publisher.change("new", add=[300])
        self.after = dict(self.publisher.lists)

    def follow(self, *more, store=None, **how):
        arguments = ["follow", self.publisher.url, store or self.store, "--root", self.root, "--once", *more]
        return self.run(*arguments, **how)[0]

    def has(self, store=None):
        state = held(store or self.store)
        return state and (max(state["feeds"].values(), default=0), state["members"])


@pytest.fixture
def world(tmp_path, commands):
    """One that can be put back to its beginning."""
    made = World(tmp_path, commands.run)
    kept = shutil.copytree(made.publisher.folder, tmp_path / "kept", symlinks=True)

    def again():
        shutil.rmtree(made.publisher.folder)
        shutil.copytree(kept, made.publisher.folder, symlinks=True)

    made.again = again
    return made


def check_published(world, commands):
    """After a publisher that died: followers are at one edition or the next; then it goes on."""
    one, two = (1, world.before), (2, world.after)
    for store in (world.store, world.publisher.folder / "fresh"):
        assert world.follow(store=store) == 0, commands.said
        assert world.has(store) in (one, two)
    assert world.publisher.publish() == 0, commands.said
    world.publisher.change("lost", add=[999])
    assert world.publisher.publish() == 0, commands.said
    for store in (world.store, world.publisher.folder / "fresh"):
        assert world.follow(store=store) == 0, commands.said
        edition, members = world.has(store)
        assert members == world.publisher.lists
        assert edition == 3
    world.publisher.lists = dict(world.after)


@pytest.mark.parametrize(("how", "every"), HOW)
def test_every_call_of_a_publisher_fails_in_turn(world, commands, how, every):
    world.publisher.lists = dict(world.after)
    for at in range(1, 1_000, every):
        code, reached = commands.run(
            "publish", world.publisher.store, world.publisher.url, "--keys", world.publisher.keys,
            folder=world.publisher.folder, at=at, how=how,
        )  # fmt: skip
        assert code in CODES[how], (at, code, commands.said)
        assert "Traceback" not in commands.said, (at, commands.said)
        if code == 2:
            assert "No space" in commands.said or "Input/output" in commands.said, (at, commands.said)
        check_published(world, commands)
        world.again()
        if not reached:
            break
    assert at > 20, "the faults were not where it writes"


@pytest.mark.parametrize("fresh", [False, True], ids=["delta", "base"])
@pytest.mark.parametrize(("how", "every"), HOW)
def test_every_call_of_a_follower_fails_in_turn(world, commands, how, every, fresh):
    assert world.publisher.publish() == 0, commands.said
    world_now = world.publisher.folder.parent / "now"
    shutil.copytree(world.publisher.folder, world_now, symlinks=True)
    store = world.publisher.folder / "fresh" if fresh else world.store
    for at in range(1, 1_000, every):
        before = world.has(store)
        code, reached = commands.run(
            "follow", world.publisher.url, store, "--root", world.root, "--once",
            folder=store, at=at, how=how,
        )  # fmt: skip
        assert code in CODES[how], (at, code, commands.said)
        assert "Traceback" not in commands.said, (at, commands.said)
        found = world.has(store)
        assert found in (before, (1, world.before), (2, world.after)), (at, found)
        if code == 0:
            assert found == (2, world.after), (at, commands.said)
        if code == 2:
            assert "No space" in commands.said or "Input/output" in commands.said, (at, commands.said)
        assert world.follow(store=store) == 0, (at, commands.said)
        assert world.has(store) == (2, world.after), at
        left = [path.name for path in store.rglob("*.part")] + [path.name for path in store.rglob("*.tmp")]
        assert not left, (at, left)
        shutil.rmtree(world.publisher.folder)
        shutil.copytree(world_now, world.publisher.folder, symlinks=True)
        if not reached:
            break
    assert at > 15, "the faults were not where it writes"


def kill(tmp_path, commands, times, seed):
    """Publisher and follower are killed at random moments; what was said to be done is never gone."""
    rng, made = random.Random(seed), World(tmp_path, commands.run)
    publisher, editions, number = made.publisher, {1: made.before}, 0
    killed = {"publish": 0, "follow": 0}
    while sum(killed.values()) < times:
        number += 1
        publisher.change("stolen", add=[1_000 + number], remove=[1_000 + number - 3])
        last = max(editions)
        code, _ = commands.run(
            "publish", publisher.store, publisher.url, "--keys", publisher.keys,
            *(["--base"] if rng.random() < 0.1 else []), kill_after=rng.random() * 0.25,
        )  # fmt: skip
        assert code in (0, -9), commands.said
        killed["publish"] += code == -9
        if code == 0:
            editions[last + 1] = dict(publisher.lists)
        pending = dict(publisher.lists)
        code = made.follow(kill_after=rng.random() * 0.25)
        assert code in (0, -9), commands.said
        killed["follow"] += code == -9
        edition, members = made.has()
        if edition == last + 1 and edition not in editions:
            editions[edition] = pending  # it was published, though nobody lived to say so
        assert members == editions[edition], (number, edition)
        if number % 10 == 0:
            assert publisher.publish() == 0, commands.said
            assert made.follow() == 0, commands.said
            edition, members = made.has()
            assert members == publisher.lists
            assert edition >= max(editions)
            editions = {edition: dict(publisher.lists)}
        elif code == 0:
            editions = {edition: members}
        else:
            # Whether the publisher's edition was there is known when somebody has followed it.
            assert made.follow() == 0, commands.said
            edition, members = made.has()
            assert members in (pending, *editions.values())
            editions = {edition: members}
        for folder in (publisher.store, made.store):
            assert len(list(folder.rglob("*"))) < 200, "what the dead left is cleared away"
    print(f"killed: {killed}, editions: {edition}")


def test_killed_at_random_moments(tmp_path, commands):
    kill(tmp_path, commands, 30, 1)


@pytest.mark.long
def test_killed_a_thousand_times(tmp_path, commands):
    kill(tmp_path, commands, int(os.environ.get("KILLS", "1000")), 2)

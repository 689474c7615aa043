"""A service that follows publishers by itself: what it serves, logs and tells, and how it ends."""

import re
import shutil
import time

import pytest

pytest.importorskip("granian", reason="the extra serve is not installed")
pytest.importorskip("tuf", reason="the extra follow is not installed")

from imeiset import Delta, EquipmentStatus, Register, Store
from imeiset.errors import ServeConfigError, mask_log
from imeiset.serve.config import FollowConfig, dumped, loaded, understood, with_fixed
from imeiset.serve.processes.check import facts
from imeiset.trust import Follower, keys, publish

from .servers import HOST, free_port, until
from .test_running import BLACK, Run, core, kill, lives

OTHER = "356938035643809"


class Publisher:
    """A store, its keys, and where it is published."""

    def __init__(self, folder, *imeis):
        self.folder = folder
        register = Register()
        register.add("stolen", imeis, status=EquipmentStatus.BLACKLISTED)
        folder.mkdir()
        Store.create(folder / "eir", register).close()
        self.root = folder / "keys" / "root.json"
        self.fingerprint = keys.new(folder / "keys")
        self.publish()

    def publish(self, *imeis):
        if imeis:
            with Store.open(self.folder / "eir") as store:
                store.apply(Delta("stolen", add=imeis))
        return publish(self.folder / "eir", self.folder / "place", keys=self.folder / "keys")

    def table(self, **more):
        told = {"url": str(self.folder / "place"), "root": str(self.folder / "keys" / "root.json"), **more}
        lines = [
            f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
            for name, value in told.items()
        ]
        return "\n".join(["[[follow]]", "every = 1", *lines, ""])


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "publisher", BLACK)


@pytest.fixture
def a_run(servers, tmp_path, publisher):
    Follower(
        publisher.folder / "place", tmp_path / "eir", root=publisher.folder / "keys" / "root.json"
    ).step()
    return Run(servers, tmp_path)


def told(a_run, name):
    text = a_run.server.get("/metrics")[1].decode()
    found = re.findall(rf"^{name}{{(.*?)}} (\S+)$", text, re.M)
    return [(labels, float(value)) for labels, value in found]


def test_a_service_follows_by_itself(a_run, publisher):
    a_run.start("workers = 1", publisher.table())
    port = a_run.ports["http"]
    assert (core.status(port, BLACK), core.status(port, OTHER)) == ("BLACKLISTED", "WHITELISTED")
    publisher.publish(OTHER)
    until(lambda: core.status(port, OTHER) == "BLACKLISTED")
    a_run.said("edition 2 serves, before it 1")
    [(labels, edition)] = told(a_run, "imeiset_follow_edition")
    assert (mask_log(publisher.fingerprint) in labels, edition) == (True, 2)  # one in eight has a long number
    assert told(a_run, "imeiset_follow_fault")[0][1] == 0
    assert told(a_run, "imeiset_follow_checked_age_seconds")[0][1] < 20
    place = publisher.folder / "place"
    shutil.move(place, place.with_name("away"))
    until(lambda: told(a_run, "imeiset_follow_fault")[0][1] == 1)
    assert core.status(port, OTHER) == "BLACKLISTED"
    shutil.move(place.with_name("away"), place)
    a_run.said("is followed again")


def test_what_is_refused_is_not_served_and_said(a_run, publisher):
    a_run.start("workers = 1", publisher.table())
    with Store.open(publisher.folder / "eir") as store:
        store.apply(Delta("stolen", remove=[BLACK]))
    publisher.publish()
    a_run.said("TrustRefused")
    status, said = a_run.server.get("/readyz")
    assert (status, b"edition 1 serves" in said) == (503, True)
    assert core.status(a_run.ports["http"], BLACK) == "BLACKLISTED"


def test_the_process_that_follows_is_started_again(a_run, publisher):
    a_run.start("workers = 1", publisher.table())
    [state] = a_run.states("follow")
    kill(state.pid)
    until(lambda: [one.pid for one in a_run.states("follow")] not in ([], [state.pid]))
    publisher.publish(OTHER)
    until(lambda: core.status(a_run.ports["http"], OTHER) == "BLACKLISTED")


def test_it_ends_with_the_service(a_run, publisher):
    a_run.start("workers = 1", publisher.table())
    [state] = a_run.states("follow")
    began = time.monotonic()
    a_run.server.process.terminate()
    assert a_run.server.process.wait(20) == 0
    assert time.monotonic() - began < 10
    until(lambda: not lives(state.pid))


def test_two_publishers_in_one_service(a_run, publisher, tmp_path):
    second = Publisher(tmp_path / "second", BLACK)
    a_run.start("workers = 1", publisher.table() + second.table(prefix="b."))
    a_run.said("edition 1 serves, before it 0")
    second.publish(OTHER)
    until(lambda: core.status(a_run.ports["http"], OTHER) == "BLACKLISTED")
    assert len(told(a_run, "imeiset_follow_edition")) == 2


# ---- the configuration -------------------------------------------------------------------


def configured(publisher, **more):
    table = {"url": "place", "root": "keys/root.json", **more}
    tables = {"store": {"path": "eir"}, "admin": {"listen": f"{HOST}:{free_port()}"}, "follow": [table]}
    return understood(tables, str(publisher.folder / "eir.toml"))


def test_the_configuration(publisher):
    [one] = configured(publisher, every="5m", prefix="x-", max_shrink=10).follow
    place, root = str(publisher.folder / "place"), publisher.folder / "keys" / "root.json"
    assert one == FollowConfig(place, root, "", 300.0, 10.0, "x-")
    assert configured(publisher, url="s3://lists/eir").follow[0].url == "s3://lists/eir"
    config = configured(publisher)
    assert loaded(dumped(config)) == config
    assert "error" not in facts(dumped(config))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"every": 0}, "follow[0].every: expected 1 to 86,400 seconds"),
        ({"every": float("nan")}, "follow[0].every"),
        ({"max_shrink": 101}, "follow[0].max_shrink: expected percent from 0 to 100, got 101"),
        ({"max_shrink": float("nan")}, "follow[0].max_shrink"),
        ({"max_shrink": True}, "follow[0].max_shrink"),
        ({"url": ""}, "follow[0].url"),
        ({"prefix": 5}, "follow[0].prefix"),
        ({"root": "none.json"}, "follow[0].root: expected a file that is there"),
        ({"receipts": "x"}, "follow[0].receipts"),
    ],
)
def test_values_that_cannot_be(publisher, more, said):
    with pytest.raises(ServeConfigError, match=re.escape(said)):
        configured(publisher, **more)


def test_what_cannot_be_followed_is_said_before_it_serves(publisher):
    (publisher.folder / "other.json").write_text("{}")
    assert "metadata of role root" in facts(dumped(configured(publisher, root="other.json")))["error"]
    twice = configured(publisher)
    twice = type(twice)(
        **{**{name: getattr(twice, name) for name in twice.__slots__}, "follow": twice.follow * 2}
    )
    assert "one of them twice" in facts(dumped(twice))["error"]


def test_others_to_follow_need_a_restart(publisher):
    before, new = configured(publisher), configured(publisher, every=5)
    found, fixed = with_fixed(before, new)
    assert fixed == ["admin.listen", "follow"]
    assert found.follow == before.follow
    assert with_fixed(before, before) == (before, [])

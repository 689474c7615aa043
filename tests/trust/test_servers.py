"""From keys to a verdict over real servers: S3, SFTP and HTTPS, by the commands as users run them."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("tuf", reason="the extra follow is not installed")

from imeiset import Delta, Store

from .following import held
from .forger import FIRST, keys
from .world import Publisher


def run_with(environment):
    def run(*arguments, **_):
        command = [sys.executable, "-m", "imeiset", *map(str, arguments)]
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
        )
        run.said = done.stdout + done.stderr
        return done.returncode, False

    return run


def test_published_and_followed_over_a_server(server, tmp_path):
    at = server.named("somebody")
    run = run_with(at.environment)
    publisher = Publisher(tmp_path / "publisher", {"stolen": keys(5_000), "lost": keys(5, 9_000)}, run)
    publisher.url = at.folder or at.url
    assert publisher.publish() == 0, run.said
    store = tmp_path / "store"
    follow = ["follow", at.url, store, "--root", publisher.root, "--once"]
    assert run(*follow)[0] == 0, run.said
    assert held(store)["members"] == publisher.lists
    publisher.change("stolen", add=[20_000], remove=[1])
    assert publisher.publish() == 0, run.said
    assert run(*follow)[0] == 0, run.said
    assert held(store)["members"] == publisher.lists
    assert run(*follow)[0] == 0, run.said
    assert Store.open(store).check(FIRST + 20_000).status.name == "BLACKLISTED"
    assert "nothing-to-hide" not in run.said


def test_a_place_with_nothing_in_it(server, tmp_path):
    at = server.named("nobody")
    run = run_with(at.environment)
    publisher = Publisher(tmp_path / "publisher", {"stolen": keys(5)}, run)
    code, _ = run("follow", at.url, tmp_path / "store", "--root", publisher.root, "--once")
    assert code == 2, run.said
    assert "Traceback" not in run.said
    assert "nothing-to-hide" not in run.said
    assert held(tmp_path / "store") is None


def test_a_server_that_is_gone(tmp_path):
    run = run_with({})
    publisher = Publisher(tmp_path / "publisher", {"stolen": keys(5)}, run)
    for url in ("http://127.0.0.1:9/lists", "http://user:hush@127.0.0.1:9/lists?token=hush"):
        code, _ = run("follow", url, tmp_path / "store", "--root", publisher.root, "--once")
        assert code == 2, run.said
        assert "hush" not in run.said
        assert "Traceback" not in run.said


def test_a_change_here_beside_what_is_followed(server, tmp_path):
    """A list of one's own lives in the same store, over any server."""
    at = server.named("beside")
    run = run_with(at.environment)
    publisher = Publisher(tmp_path / "publisher", {"stolen": keys(5)}, run)
    publisher.url = at.folder or at.url
    assert publisher.publish() == 0, run.said
    store = tmp_path / "store"
    follow = ["follow", at.url, store, "--root", publisher.root, "--once"]
    assert run(*follow)[0] == 0, run.said
    with Store.open(store) as one:
        one.add_list("mine", status=1)
        one.apply(Delta("mine", add=[FIRST + 77]))
    publisher.change("stolen", add=[8])
    assert publisher.publish("--base") == 0, run.said
    assert run(*follow)[0] == 0, run.said
    assert held(store)["members"] == {**publisher.lists, "mine": {FIRST + 77}}

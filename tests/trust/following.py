"""A follower as the attacks meet it: its state before and after, and what it said."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from imeiset import Store
from imeiset.cli import main
from imeiset.errors import TrustRefused, TrustStale, TrustUnreachable
from imeiset.trust import Follower

CODES = {TrustUnreachable: 2, TrustStale: 3, TrustRefused: 4}


def held(directory: Path) -> dict[str, Any] | None:
    """All that a store says: its lists by digest, and how far its feeds are. None: there is no store."""
    if not (directory / "current").exists():
        return None
    with Store.open(directory, mode="memory") as store:
        return {
            "lists": {one.name: one.digest() for one in store.lists},
            "members": {one.name: set(store[one.name].to_numpy().tolist()) for one in store.lists},
            "feeds": store.feeds,
            "policy": store.policy,
        }


class Following:
    """A store that follows a folder, step by step."""

    def __init__(self, url: object, store: Path, root: Path, **options: Any) -> None:
        self.url, self.store, self.root, self.options = str(url), store, root, options

    def step(self, **options: Any) -> Any:
        return Follower(self.url, self.store, root=self.root, **{**self.options, **options}).step()

    @property
    def edition(self) -> int | None:
        """How far the one feed of the store is."""
        state = held(self.store)
        return max(state["feeds"].values(), default=None) if state else None

    def members(self) -> dict[str, set[int]]:
        state = held(self.store)
        return state["members"] if state else {}

    def command(self, *more: str) -> Any:
        """`imeiset follow`, once."""
        arguments = ["follow", self.url, str(self.store), "--root", str(self.root), "--once", *more]
        return CliRunner().invoke(main, arguments)

    def expect_refusal(self, error: type[Exception], words: str, **options: Any) -> Exception:
        """A step ends with this error, whose text has these words, and the store is what it was; so does the
        command, by its exit code."""
        before = held(self.store)
        with pytest.raises(error, match=f"(?is){words}") as caught:
            self.step(**options)
        said = str(caught.value)
        assert type(caught.value).__mro__.index(error) <= 1, repr(caught.value)
        assert held(self.store) == before, "a step that failed changed the store"
        if not options:
            result = self.command()
            assert result.exit_code == CODES[error], (result.exit_code, result.output)
            assert "Traceback" not in result.output
            assert held(self.store) == before, "a command that failed changed the store"
        assert len(said) < 2_000, said
        return caught.value

    def forget(self) -> None:
        """What TUF keeps beside the store is lost."""
        shutil.rmtree(self.store / "followed")


def begun(url, first_root, folder):
    """A follower of what is published there, at the newest edition of it."""
    root = folder / "root.json"
    shutil.copy(first_root, root)
    made = Following(url, folder / "store", root)
    made.step()
    return made

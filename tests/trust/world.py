"""Publishers as users run them, and what each of their editions held: what followers are measured by."""

import os
from pathlib import Path

from imeiset import Delta, EquipmentStatus, Store

from .following import held
from .forger import FIRST, register


class Publisher:
    """A store with lists of IMEIs, a place that it is published to, and keys.

    `lists` is what its store has; `editions` what was published under each number.
    """

    def __init__(self, folder: Path, lists, run) -> None:
        folder.mkdir(parents=True)
        self.folder, self.run = folder, run
        self.store, self.url, self.keys = folder / "store", folder / "published", folder / "keys"
        self.root = self.keys / "root.json"
        self.lists = {name: set(members) for name, members in lists.items()}
        self.editions: dict[int, dict[str, set[int]]] = {}
        Store.create(self.store, register(lists)).close()
        assert self.run("keys", "new", self.keys, "--no-passphrase")[0] == 0

    def change(self, name, add=(), remove=()):
        """Of one list."""
        add, remove = {FIRST + one for one in add}, {FIRST + one for one in remove}
        with Store.open(self.store) as store:
            if name not in self.lists:
                store.add_list(name, status=EquipmentStatus.BLACKLISTED)
                self.lists[name] = set()
            store.apply(Delta(name, add=sorted(add), remove=sorted(remove)))
        self.lists[name] = (self.lists[name] - remove) | add

    def drop(self, name):
        with Store.open(self.store) as store:
            store.drop_list(name, force=True)
        del self.lists[name]

    def compact(self):
        with Store.open(self.store) as store:
            store.compact()
            store.prune(1)

    def replace(self, lists):
        with Store.open(self.store) as store:
            store.replace(register(lists), force=True)
        self.lists = {name: set(members) for name, members in lists.items()}

    def publish(self, *more, **how):
        """The exit code; what the next edition would be is noted before."""
        self.note()
        return self.run("publish", self.store, self.url, "--keys", self.keys, *more, **how)[0]

    def note(self):
        """What the lists are, in case that it is published: whichever number it gets."""
        self.pending = {name: set(members) for name, members in self.lists.items()}

    def held(self):
        return held(self.store)


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, by name."""
    return {
        os.path.relpath(path, folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }

"""What was written of a mapped file does not stay in memory, and what is in memory stays as it is."""

import hashlib
import io
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store, export, open, snapshot
from imeiset.register.details import Column
from imeiset.register.entries import entries_of
from imeiset.register.layered import LayeredSet
from imeiset.register.lists import List

ROWS = 600_000
PAGES = Path("/proc/self/smaps")
on_linux = pytest.mark.skipif(not PAGES.exists(), reason="counts the pages as Linux shows them")


class Digest(io.RawIOBase):
    """A file that keeps only the digest of what is written to it, and looks at something meanwhile."""

    def __init__(self, look=lambda: 0):
        self.digest, self.look, self.seen = hashlib.sha256(), look, []

    def writable(self):
        return True

    def write(self, some):
        self.digest.update(some)
        self.seen.append(self.look())
        return len(some)


def listed(rows, seed=3):
    """A list of so many IMEIs with reasons, dates and untils."""
    rng = np.random.default_rng(seed)
    members = ImeiSet.from_keys(rng.integers(0, 10**14, rows, np.uint64))
    texts = ("fraud", "lost"), ("2024-01-01", "2024-02-29", "2025-03-31"), ("2030-01-01",)
    columns = (Column(some, rng.integers(0, len(some) + 1, len(members)).astype("u1")) for some in texts)
    return List(f"list {seed}", EquipmentStatus.BLACKLISTED, exact=LayeredSet(members, tuple(columns)))


@pytest.fixture(autouse=True)
def some_rows(monkeypatch):
    """Let go often, so that small files will do."""
    monkeypatch.setattr(snapshot, "_KEPT", 1 << 15)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A set, a register of two lists and one of pairs, of some MB each."""
    folder = tmp_path_factory.mktemp("mapped")
    register, pairs = Register(), Register()
    one, other = listed(ROWS), listed(ROWS // 2, seed=4)
    for some in (one, other):
        register.add_list(some)
    keys = one.exact.base.to_numpy()[: ROWS // 2]
    pairs.exempt("paired", keys, np.full(len(keys), b"234150999999999"))
    one.exact.base.save(folder / "set")
    register.save(folder / "register")
    pairs.save(folder / "pairs")
    return folder


def resident(path):
    """How many bytes of a file this process has mapped and in memory."""
    kept, of_file = 0, False
    for line in PAGES.read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            of_file = line.endswith(str(path))
        elif of_file and line.startswith("Rss:"):
            kept += int(line.split()[1]) * 1024
    return kept


def written(source, file, walk):
    """Everything by one of the doors, the memory looked at for each piece."""
    if walk == "keys":
        for some in entries_of(source.lists[0]):
            file.write(some.keys)
    elif walk == "joined":
        export(source, file, form="csv", joined=True)
    elif walk == "two":
        for name in source:
            export(source, file, form="csv", lists=[name])
    else:
        export(source, file, form=walk, lists=None if isinstance(source, ImeiSet) else list(source)[:1])
    return file.digest.hexdigest()


WALKS = [
    *(("register", walk) for walk in ("plain", "csv", "dirbs", "parquet", "joined", "two", "keys")),
    *(("set", form) for form in ("plain", "csv", "dirbs", "parquet")),
    *(("pairs", walk) for walk in ("csv", "keys")),
]


@on_linux
@pytest.mark.parametrize(("name", "walk"), WALKS, ids=lambda value: value)
def test_pages_are_let_go(files, name, walk):
    """While a walk reads on, what it has read is let go again and again, and all of it at its end; the bytes
    are those of a copy in memory."""
    if walk == "parquet":
        pytest.importorskip("pyarrow")
    path = files / name
    size, source = path.stat().st_size, open(path)
    file = Digest(lambda: resident(path))
    digest = written(source, file, walk)
    assert min(file.seen[len(file.seen) // 2 :]) < size * 0.2
    assert resident(path) < size * 0.02
    assert written(open(path, mode="memory"), Digest(), walk) == digest


def parts(source):
    """All sections of what is open, as they are in memory."""
    sections = source.sections() if isinstance(source, ImeiSet) else source._now().sections()
    return [hashlib.sha256(section).hexdigest() for _, section in sections]


@pytest.mark.parametrize("mode", ["mmap", "memory"])
@pytest.mark.parametrize(("name", "walk"), [("register", "csv"), ("set", "plain"), ("pairs", "csv")])
def test_nothing_is_lost(files, name, walk, mode):
    """What was walked reads as before: memory of our own is not let go."""
    source = open(files / name, mode=mode)
    before = parts(source)
    first = written(source, Digest(), walk)
    assert parts(source) == before
    assert written(source, Digest(), walk) == first
    if name == "set":
        assert source == ImeiSet.verify(files / name)


def test_only_mapped_files_have_places(files):
    """Neither copies in memory, nor sets that were made here, nor a mapping that somebody else made."""
    rows = np.arange(100_000, dtype=np.uint64) * 977
    made = ImeiSet.from_keys(rows)
    with (files / "set").open("rb") as file:
        other = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for buffer in (*dict(made.sections()).values(), rows, b"bytes", other, memoryview(other)[64:128]):
        assert snapshot._place_in_file(buffer) is None
    for mode, mapped in (("mmap", True), ("memory", False)):
        opened = snapshot.open(files / "register", mode)
        for name, section in opened.sections.items():
            for buffer in (section, np.frombuffer(section, np.uint8)) if len(section) else ():
                place = snapshot._place_in_file(buffer)
                assert (place is not None) == mapped, name
                if place:
                    pages, first, size = place
                    assert first % mmap.PAGESIZE == 0
                    assert size - len(section) < mmap.PAGESIZE
                    assert pages[first : first + size].endswith(bytes(section))


def test_a_store_with_changes(tmp_path):
    """Its base is let go, its changes are not, and readers meanwhile get their answers."""
    register = Register()
    register.add_list(listed(700_000))
    keys = register.lists[0].exact.base.to_numpy()
    with Store.create(tmp_path / "eir", register) as store:
        store.apply(Delta("list 3", add=keys[:5] + np.uint64(1), remove=keys[10:400_000:7], reason="new"))
        in_memory, asked = Store.open(tmp_path / "eir", mode="memory"), keys[::1000]
        expected = in_memory.check_many(asked).tolist()
        file = Digest(lambda: store.check_many(asked).tolist())
        digest = written(store, file, "csv")
        assert all(answers == expected for answers in file.seen)
        assert written(in_memory, Digest(), "csv") == digest
        in_memory.close()


@pytest.mark.parametrize("fault", ["no constant", "refused"])
def test_where_pages_cannot_be_let_go(files, monkeypatch, fault):
    """They stay, and the export is the same: other systems, and memory that is locked."""
    expected = written(open(files / "set", mode="memory"), Digest(), "plain")
    if fault == "no constant":
        monkeypatch.delattr(mmap, "MADV_DONTNEED", raising=False)
    else:
        monkeypatch.setattr(snapshot._FilePages, "madvise", refuse)
    assert written(open(files / "set"), Digest(), "plain") == expected


def refuse(*_):
    raise OSError(22, "Invalid argument")


EXPORT = """
import sys
import imeiset
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
register = imeiset.open(sys.argv[1])
before = peak()
with open("/dev/null", "wb") as file:
    imeiset.export(register, file, form="csv")
print(peak() - before)
"""


@on_linux
@pytest.mark.long
def test_memory_of_a_process(tmp_path):
    """10 million IMEIs, a file of 70 MB: an export adds less than 40 MB to what the process has."""
    register = Register()
    register.add_list(listed(10_000_000))
    register.save(tmp_path / "register")
    assert (tmp_path / "register").stat().st_size > 60 << 20
    command = [sys.executable, "-c", EXPORT, tmp_path / "register"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40 << 10

"""The snapshot container: what it round-trips, what it refuses and with which error, and how it publishes."""

import errno
import gc
import mmap
import os
import resource
import signal
import stat
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from imeiset import _files, snapshot
from imeiset._native.background import work_in_background, write_all
from imeiset.errors import (
    SnapshotBounds,
    SnapshotEmpty,
    SnapshotEndianness,
    SnapshotError,
    SnapshotHeaderChecksum,
    SnapshotKind,
    SnapshotMagic,
    SnapshotMissing,
    SnapshotSectionChecksum,
    SnapshotTruncated,
    SnapshotVersion,
)

GOLDEN = Path(__file__).parent / "golden" / "container-v1.imei"
SECTIONS = [("first", bytes(range(100))), ("empty", b""), ("8letters", b"x" * 64), ("last", b"\xff")]
MODES = ["mmap", "memory"]

# The layout as the module's docstring gives it, written down a second time.
HEADER = struct.Struct("<8sIIQQQ8sQQQ")
FIELDS = ["magic", "byte_order", "version", "length", "generation", "count", "kind"]
FIELDS += ["sections", "table_checksum", "checksum"]
ENTRY = struct.Struct("<8sQQQ")
HEADER_SIZE = 72
ENTRIES_END = HEADER_SIZE + len(SECTIONS) * ENTRY.size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    result = tmp_path / "test.imei"
    snapshot.write(result, "test", SECTIONS, count=42, generation=7)
    return result


def with_header(data: bytes, **changes: object) -> bytes:
    """`data` with header fields replaced and the header's checksum made right again."""
    fields = dict(zip(FIELDS, HEADER.unpack(data[:HEADER_SIZE]), strict=True)) | changes
    packed = HEADER.pack(*fields.values())[:-8]
    checksum = changes.get("checksum", xxhash.xxh3_64_intdigest(packed))
    return packed + struct.pack("<Q", checksum) + data[HEADER_SIZE:]


def with_entry(data: bytes, number: int, **changes: object) -> bytes:
    """`data` with fields of one table entry replaced and both checksums made right again."""
    start = HEADER_SIZE + number * ENTRY.size
    fields = dict(zip(["name", "offset", "length", "checksum"], ENTRY.unpack_from(data, start), strict=True))
    data = data[:start] + ENTRY.pack(*(fields | changes).values()) + data[start + ENTRY.size :]
    return with_table_checksum(data)


def with_table_checksum(data: bytes) -> bytes:
    return with_header(data, table_checksum=xxhash.xxh3_64_intdigest(data[HEADER_SIZE:ENTRIES_END]))


def refusal(path: Path, data: bytes) -> SnapshotError:
    """The error that opening `data` ends in, which must be the same in both modes."""
    path.write_bytes(data)
    errors = []
    for mode in MODES:
        with pytest.raises(SnapshotError) as caught:
            snapshot.open(path, mode)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    assert type(errors[0]) is type(errors[1])
    assert errors[0].path == str(path)
    assert errors[0].expected
    assert errors[0].got
    assert str(path) in str(errors[0])
    return errors[0]


# --- what goes in comes out


@pytest.mark.parametrize("mode", MODES)
def test_round_trip(path: Path, mode: str) -> None:
    opened = snapshot.open(path, mode, kind="test")
    assert (opened.kind, opened.version, opened.generation, opened.count) == ("test", 1, 7, 42)
    assert opened.path == str(path)
    assert opened.nbytes == path.stat().st_size
    assert [(name, bytes(data)) for name, data in opened.sections.items()] == SECTIONS
    assert all(data.readonly for data in opened.sections.values())
    opened.verify()


@pytest.mark.parametrize("mode", MODES)
def test_sections_begin_on_cache_lines(path: Path, mode: str) -> None:
    for data in snapshot.open(path, mode).sections.values():
        assert np.frombuffer(data, np.uint8).ctypes.data % 64 == 0 or len(data) == 0


@pytest.mark.parametrize("mode", MODES)
def test_sections_outlive_the_snapshot_and_the_file(path: Path, mode: str) -> None:
    data = snapshot.open(path, mode).sections["first"]
    snapshot.write(path, "other", [], count=0)  # by rename: the old file lives on
    gc.collect()
    assert bytes(data) == SECTIONS[0][1]
    path.unlink()
    assert bytes(data) == SECTIONS[0][1]


def test_opening_leaves_no_descriptor_behind(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for mode in MODES:
        snapshot.open(path, mode)
    path.write_bytes(path.read_bytes()[:-1])
    for mode in MODES:
        with pytest.raises(SnapshotTruncated):
            snapshot.open(path, mode)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@given(
    sections=st.dictionaries(
        st.text("abcdefgh0123", min_size=1, max_size=8), st.binary(max_size=300), max_size=6
    ),
    count=st.integers(0, 2**63 - 1),
    generation=st.integers(0, 2**64 - 1),
)
def test_any_sections(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, bytes], count: int, generation: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.imei"
    snapshot.write(path, "k", sections.items(), count=count, generation=generation)
    for mode in MODES:
        opened = snapshot.open(path, mode)
        opened.verify()
        assert {name: bytes(data) for name, data in opened.sections.items()} == sections
        assert (opened.count, opened.generation) == (count, generation)


def test_the_same_sections_give_the_same_bytes(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "deeper" / "other.imei"
    other.parent.mkdir()
    buffers = [(name, bytearray(data)) for name, data in SECTIONS]
    snapshot.write(other, "test", iter(buffers), count=42, generation=7)
    assert other.read_bytes() == path.read_bytes()


def test_golden_file(path: Path) -> None:
    """Version 1 for ever: today's writer gives these bytes, and every later reader reads them."""
    assert path.read_bytes() == GOLDEN.read_bytes()
    opened = snapshot.open(GOLDEN)
    opened.verify()
    assert [(name, bytes(data)) for name, data in opened.sections.items()] == SECTIONS


@pytest.mark.parametrize(
    "buffer",
    [
        np.arange(12, dtype="<u8"),
        np.zeros((3, 4), "<u2"),
        np.zeros((0, 4), "<u2"),
        np.array([(1, 2)], dtype=[("a", "<u4"), ("b", "<u8")]).view(np.uint8),
        np.arange(3, dtype="<u8")[:0],
        memoryview(b"abc"),
        mmap.mmap(-1, 10),
    ],
)
def test_any_contiguous_buffer(tmp_path: Path, buffer: object) -> None:
    path = tmp_path / "buffers.imei"
    snapshot.write(path, "test", [("a", buffer)], count=0)
    assert bytes(snapshot.open(path).sections["a"]) == bytes(buffer)


def test_sections_larger_than_a_chunk(tmp_path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 255, 2 * snapshot._CHUNK + 5, np.uint8)
    path = tmp_path / "big.imei"
    snapshot.write(path, "test", [("big", big), ("small", b"1")], count=0)
    for mode in MODES:
        opened = snapshot.open(path, mode)
        opened.verify()
        assert np.array_equal(np.frombuffer(opened.sections["big"], np.uint8), big)


@pytest.mark.parametrize(
    ("kind", "sections", "count", "generation"),
    [
        ("", [], 0, 0),
        ("ninechars", [], 0, 0),
        ("sét", [], 0, 0),
        ("a\0b", [], 0, 0),
        ("set", [("", b"")], 0, 0),
        ("set", [("ninechars", b"")], 0, 0),
        ("set", [("a", b""), ("a", b"")], 0, 0),
        ("set", [("a", np.arange(10)[::2])], 0, 0),
        ("set", [(str(i), b"") for i in range(1025)], 0, 0),
        ("set", [], -1, 0),
        ("set", [], 2**63, 0),
        ("set", [], 0, 2**64),
        ("set", [], 0, -1),
    ],
)
def test_arguments_the_format_cannot_hold(
    tmp_path: Path, kind: str, sections: list[tuple[str, bytes]], count: int, generation: int
) -> None:
    with pytest.raises(ValueError, match="expected"):
        snapshot.write(tmp_path / "a.imei", kind, sections, count=count, generation=generation)
    assert list(tmp_path.iterdir()) == []


def test_as_many_sections_as_the_format_holds(tmp_path: Path) -> None:
    sections = [(str(i), b"%d" % i) for i in range(1024)]
    snapshot.write(tmp_path / "a.imei", "set", sections, count=0)
    opened = snapshot.open(tmp_path / "a.imei")
    opened.verify()
    assert [(name, bytes(data)) for name, data in opened.sections.items()] == sections


# --- damage


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_damaged_byte_is_noticed(path: Path, flip: int) -> None:
    """Whichever byte changes, opening or verifying says so, by the kind of error of its region."""
    good = path.read_bytes()
    regions: list[tuple[int, int, type[SnapshotError]]] = [
        (0, 8, SnapshotMagic),
        (8, 12, SnapshotHeaderChecksum),
        (12, 16, SnapshotVersion),
        (16, ENTRIES_END, SnapshotHeaderChecksum),
    ]
    for number in range(len(SECTIONS)):
        _, offset, length, _ = ENTRY.unpack_from(good, HEADER_SIZE + number * ENTRY.size)
        regions.append((offset, offset + length, SnapshotSectionChecksum))
    for at in range(len(good)):
        data = bytearray(good)
        data[at] ^= flip
        path.write_bytes(data)
        expected = next((kind for begin, end, kind in regions if begin <= at < end), SnapshotBounds)
        if flip == 0x01 and at == 12:
            expected = SnapshotHeaderChecksum  # 1 turned into 0, which is no newer version
        for mode in MODES:
            with pytest.raises(SnapshotError) as caught:
                snapshot.open(path, mode).verify()
            assert type(caught.value) is expected, (at, caught.value)


def test_every_truncation(path: Path) -> None:
    """Whatever the length, the section edges and their neighbours included."""
    good = path.read_bytes()
    for length in range(len(good)):
        expected = SnapshotEmpty if length == 0 else SnapshotTruncated
        assert type(refusal(path, good[:length])) is expected, length


@pytest.mark.parametrize("tail", [b"\0", bytes(64), b"more"])
def test_longer_than_its_header_says(path: Path, tail: bytes) -> None:
    error = refusal(path, path.read_bytes() + tail)
    assert type(error) is SnapshotBounds


def test_section_errors_name_the_section(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[ENTRY.unpack_from(data, HEADER_SIZE + 2 * ENTRY.size)[1]] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotSectionChecksum, match="'8letters'"):
        snapshot.open(path).verify()


# --- headers and tables made to mislead, their checksums right


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"magic": b"\x89IMEI\n\x1a\n"}, SnapshotMagic),
        ({"magic": b"PK\3\4" + bytes(4)}, SnapshotMagic),
        ({"byte_order": 0x04030201}, SnapshotEndianness),
        ({"byte_order": 0}, SnapshotEndianness),
        ({"byte_order": 0x04030201, "version": 1 << 24}, SnapshotEndianness),
        ({"version": 0}, SnapshotVersion),
        ({"version": 2}, SnapshotVersion),
        ({"version": 2, "checksum": 0}, SnapshotVersion),  # of a header we do not know the end of
        ({"version": 2**32 - 1}, SnapshotVersion),
        ({"length": 0}, SnapshotBounds),
        ({"length": 2**64 - 1}, SnapshotTruncated),
        ({"length": 2**63}, SnapshotTruncated),
        ({"count": 2**63}, SnapshotBounds),
        ({"count": 2**64 - 1}, SnapshotBounds),
        ({"kind": bytes(8)}, SnapshotBounds),
        ({"kind": b"a\0b" + bytes(5)}, SnapshotBounds),
        ({"kind": b"\xff" * 8}, SnapshotBounds),
        ({"kind": b"\x1b[2J" + bytes(4)}, SnapshotBounds),
        ({"sections": 2**64 - 1}, SnapshotBounds),
        ({"sections": 2**59}, SnapshotBounds),
        ({"sections": 1025}, SnapshotBounds),
        ({"sections": 1024}, SnapshotHeaderChecksum),
        ({"sections": 0}, SnapshotHeaderChecksum),
        ({"table_checksum": 0}, SnapshotHeaderChecksum),
        ({"checksum": 0}, SnapshotHeaderChecksum),
    ],
)
def test_misleading_headers(path: Path, changes: dict[str, object], expected: type[SnapshotError]) -> None:
    assert type(refusal(path, with_header(path.read_bytes(), **changes))) is expected


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (0, {"name": bytes(8)}),
        (0, {"name": b"a\0b" + bytes(5)}),
        (0, {"name": b"\xc3\xa9" + bytes(6)}),
        (1, {"name": b"first" + bytes(3)}),  # twice
        (0, {"offset": 0}),  # the header itself
        (0, {"offset": HEADER_SIZE}),  # the table
        (0, {"offset": 257}),  # not aligned
        (0, {"offset": 320}),  # leaves a gap
        (0, {"offset": 2**64 - 64}),
        (0, {"length": 2**64 - 1}),
        (0, {"length": 2**63}),
        (0, {"length": 2**64 - 256}),  # offset + length wraps to 0
        (0, {"length": 1}),  # the next section is further than that
        (0, {"length": 129}),  # overlaps the next
        (3, {"length": 65}),  # past the end of the file
        (3, {"length": 2**40}),
        (3, {"offset": 256, "length": 1}),  # inside another
        (3, {"offset": 512}),
        (2, {"length": 0}),
    ],
)
def test_misleading_tables(path: Path, number: int, changes: dict[str, object]) -> None:
    assert type(refusal(path, with_entry(path.read_bytes(), number, **changes))) is SnapshotBounds


def test_file_that_goes_on_after_its_last_section(path: Path) -> None:
    data = path.read_bytes() + bytes(64)
    assert type(refusal(path, with_header(data, length=len(data)))) is SnapshotBounds


def test_table_that_does_not_fit_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.imei"
    snapshot.write(path, "test", [], count=0)
    data = path.read_bytes()
    found = xxhash.xxh3_64_intdigest(data[HEADER_SIZE:])
    assert type(refusal(path, with_header(data, sections=1000, table_checksum=found))) is SnapshotBounds


@given(data=st.data())
def test_anything_at_all(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Random fields in re-checksummed headers and tables: refused, or opened with every section inside."""
    path = tmp_path_factory.getbasetemp() / "anything.imei"
    snapshot.write(path, "test", SECTIONS, count=42)
    blob = path.read_bytes()
    edge = st.sampled_from(
        [0, 1, 63, 64, 72, 200, 256, 384, 448, 512, len(blob), 2**32, 2**63, 2**64 - 64, 2**64 - 1]
    )
    number = st.one_of(edge, st.integers(0, 2**64 - 1), st.integers(0, 600))
    for entry in data.draw(st.lists(st.integers(0, 3), max_size=3)):
        fields = st.fixed_dictionaries({}, optional={"offset": number, "length": number, "checksum": number})
        blob = with_entry(blob, entry, **data.draw(fields))
    optional = {"length": number, "count": number, "sections": number}
    blob = with_header(blob, **data.draw(st.fixed_dictionaries({}, optional=optional)))
    path.write_bytes(blob)
    for mode in MODES:
        try:
            opened = snapshot.open(path, mode)
        except SnapshotError:
            continue
        assert sum(len(section) for section in opened.sections.values()) <= len(blob)
        for section in opened.sections.values():
            bytes(section)


@given(st.binary(max_size=200))
def test_files_of_something_else(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "else.imei"
    path.write_bytes(data)
    with pytest.raises(SnapshotError):
        snapshot.open(path)


def test_wrong_kind(path: Path) -> None:
    for mode in MODES:
        with pytest.raises(SnapshotKind, match="expected a snapshot of kind 'set', got 'test'"):
            snapshot.open(path, mode, kind="set")


def test_unknown_mode(path: Path) -> None:
    with pytest.raises(ValueError, match="'mmap' or 'memory', got 'r'"):
        snapshot.open(path, "r")


# --- files that are not files


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(SnapshotMissing, match="No such file"):
        snapshot.open(tmp_path / "none.imei")
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotMissing, match="Not a directory"):
        snapshot.open(tmp_path / "file" / "none.imei")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(SnapshotMissing, match=os.strerror(errno.ELOOP)):
        snapshot.open(loop)


@pytest.mark.parametrize("mode", MODES)
def test_special_files_neither_hang_nor_crash(tmp_path: Path, mode: str) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for special in (tmp_path, fifo, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(SnapshotMissing, match="a regular file"):
            snapshot.open(special, mode)
    with pytest.raises(SnapshotError):
        snapshot.open("/proc/self/mem", mode)
    with pytest.raises(SnapshotMagic):
        snapshot.open("/proc/self/status", mode)  # says its size is 0


@pytest.fixture
def nobody() -> Iterator[None]:
    """Whom permissions bind: root reads and writes everything."""
    before = os.geteuid()
    if before == 0:
        try:
            os.seteuid(65534)
        except OSError as error:  # in a namespace that has no other user
            pytest.skip(f"cannot be another user: {error}")
    yield
    os.seteuid(before)


def test_unreadable(path: Path, request: pytest.FixtureRequest) -> None:
    path.chmod(0)
    request.getfixturevalue("nobody")
    for mode in MODES:
        with pytest.raises(SnapshotMissing, match="Permission denied"):
            snapshot.open(path, mode)


def test_memory_mode_does_not_need_the_file_any_more(path: Path) -> None:
    """Truncation under a reader kills it in mode 'mmap', as documented; never in mode 'memory'."""
    opened = snapshot.open(path, "memory")
    os.truncate(path, 0)
    opened.verify()


# --- opening is cheap


def test_opening_reads_the_header_and_the_table_only(tmp_path: Path) -> None:
    path = tmp_path / "sparse.imei"
    snapshot.write(path, "test", [("first", b"1"), ("big", b"2")], count=0)
    data, size = path.read_bytes(), 1 << 40
    start = ENTRY.unpack_from(data, HEADER_SIZE + ENTRY.size)[1]
    table = bytearray(data[HEADER_SIZE : HEADER_SIZE + 2 * ENTRY.size])
    ENTRY.pack_into(table, ENTRY.size, b"big", start, size - start, 0)
    head = with_header(data[:HEADER_SIZE], length=size, table_checksum=xxhash.xxh3_64_intdigest(table))
    with path.open("r+b") as file:
        file.write(head + table)
        file.truncate(size)  # a terabyte of zeros that take no room
        try:
            mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ).close()
        except OSError as error:  # under an emulator
            pytest.skip(f"maps of a terabyte cannot be had: {error}")
    opened = snapshot.open(path)
    assert opened.nbytes == size
    assert opened.sections["big"][-1] == 0
    assert opened.sections["first"][0] == ord("1")


# --- publishing


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "published"
    path.write_bytes(b"old")
    return path


def only(path: Path, content: bytes) -> bool:
    """Whether `path` has that content and nothing lies beside it."""
    return path.read_bytes() == content and list(path.parent.iterdir()) == [path]


def test_publish_replaces_at_the_end(old: Path) -> None:
    with _files.publish(old) as file:
        file.write(b"new")
        file.flush()
        assert old.read_bytes() == b"old"
    assert only(old, b"new")


@pytest.mark.parametrize("error", [ValueError("why"), KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_publish_nothing_after_an_error(old: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), _files.publish(old) as file:  # noqa: PT012
        file.write(b"new")
        raise error
    assert only(old, b"old")


def test_errors_of_the_block_are_left_alone(old: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), _files.publish(old):
        Path("input").read_bytes()
    assert only(old, b"old")


@pytest.mark.parametrize("call", ["fsync", "replace", "unlink"])
def test_failing_system_calls(old: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    if call != "fsync":
        monkeypatch.setattr(Path, call, fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        snapshot.write(old, "test", SECTIONS, count=0)
    assert caught.value.errno == errno.EIO
    assert caught.value.filename == str(old)
    assert old.read_bytes() == b"old"


def test_full_disk(old: Path) -> None:
    """A file size limit stands in for the disk: the kernel refuses the write in the middle of a section."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            snapshot.write(old, "test", [("big", bytes(1_000_000))], count=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(old)
    assert only(old, b"old")


def test_really_full_disk() -> None:
    """/dev/full takes the write and refuses the flush, as a disk that fills up does."""
    with pytest.raises(OSError, match="No space left"), Path("/dev/full").open("wb") as file:
        snapshot._write_section(file, memoryview(bytes(100_000)))


def test_killed_while_writing(old: Path) -> None:
    code = """
        import os, signal, sys
        from imeiset import _files
        with _files.publish(sys.argv[1]) as file:
            file.write(b"new")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-P", "-c", textwrap.dedent(code), str(old)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert old.read_bytes() == b"old"


def test_the_file_and_its_directory_are_synced_in_order(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def spy_replace(*arguments: str, **names: int) -> None:
        calls.append("rename")
        replace(*arguments, **names)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    snapshot.write(old, "test", SECTIONS, count=0)
    assert calls == ["file", "rename", "directory"]


@pytest.mark.parametrize(
    ("private", "umask", "mode"), [(False, 0o022, 0o644), (False, 0, 0o666), (True, 0, 0o600)]
)
def test_permissions(tmp_path: Path, private: bool, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with _files.publish(tmp_path / "a", private=private) as file:
            assert os.fstat(file.fileno()).st_mode & 0o777 == mode  # from the beginning
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_symbolic_links_stay(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    with _files.publish(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_publish_over_what_is_not_a_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for special in (fifo, tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file") as caught:
            snapshot.write(special, "test", [], count=0)
        assert caught.value.filename == str(special)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert list(tmp_path.iterdir()) == [fifo]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("none/a.imei", FileNotFoundError), ("published/a.imei", NotADirectoryError), ("a" * 300, OSError)],
)
def test_publish_where_nothing_can_be_written(old: Path, name: str, expected: type[OSError]) -> None:
    path = old.parent / name
    with pytest.raises(expected) as caught:
        snapshot.write(path, "test", [], count=0)
    assert caught.value.filename == str(path)
    assert only(old, b"old")


def test_unwritable_directory(old: Path, request: pytest.FixtureRequest) -> None:
    old.parent.chmod(0o500)
    request.getfixturevalue("nobody")
    with pytest.raises(PermissionError) as caught:
        snapshot.write(old, "test", [], count=0)
    assert caught.value.filename == str(old)


def test_longest_file_name(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 255)
    snapshot.write(path, "test", [], count=0)
    snapshot.open(path)


def test_large_pages_are_written_at_once(tmp_path, monkeypatch):
    """Pieces end at multiples of 4 MiB, so that a file system can keep them in pages of 2 MiB."""
    ends = []

    def noting(file, data):
        write_all(file, data)
        ends.append(os.lseek(file, 0, os.SEEK_CUR))

    monkeypatch.setattr(snapshot, "write_all", noting)
    size = 10 * 2**20 + 5
    data = np.random.default_rng(1).integers(0, 256, size, np.uint8).tobytes()
    with (tmp_path / "file").open("w+b") as file:
        file.write(bytes(3_000_064))
        assert snapshot._write_section(file, memoryview(data)) == xxhash.xxh3_64_intdigest(data)
        assert file.tell() == 3_000_064 + size + -size % 64
    assert (tmp_path / "file").read_bytes() == bytes(3_000_064) + data + bytes(-size % 64)
    assert ends == [4 * 2**20, 8 * 2**20, 12 * 2**20, 3_000_064 + size]


def test_writing_all(tmp_path):
    """Of anything that has bytes, in the background too; short writes go on, errors are told."""
    for wanted in (False, True):
        work_in_background(wanted)
        try:
            with (tmp_path / "file").open("wb", buffering=0) as file:
                for data in (b"", b"abc", memoryview(bytearray(b"de")), bytes(70_000)):
                    write_all(file.fileno(), data)
                with pytest.raises(ValueError, match="contiguous"):
                    write_all(file.fileno(), np.arange(4, dtype=np.uint8)[::2])
            assert (tmp_path / "file").read_bytes() == b"abcde" + bytes(70_000)
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                write_all(-1, b"x")
            assert caught.value.errno == errno.EBADF
            read, write = os.pipe()
            with ThreadPoolExecutor(1) as pool, os.fdopen(read, "rb") as end:
                got = pool.submit(end.read)
                write_all(write, bytes(1 << 20))  # more than a pipe takes at once
                os.close(write)
                assert got.result(60) == bytes(1 << 20)
        finally:
            work_in_background(False)

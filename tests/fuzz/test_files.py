"""Files and messages of every format, mutated: an answer that is right, or one of our errors. Nothing else.

What is mutated are the golden files, a delta as operators write it, and Diameter requests. Of half of the
files the checksums are made right again, so that what lies behind them says what is wrong. The mutations are
the same each time; `make fuzz` takes others, for FUZZ_SECONDS each.
"""

import os
import random
import shutil
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import xxhash

import imeiset
from imeiset import EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset.errors import ImeisetError
from imeiset.serve.diameter import messages, s13
from imeiset.serve.state import Counts
from imeiset.store import journal
from imeiset.trust import delta

GOLDEN = Path(__file__).parents[1] / "golden"
ROUNDS = 60
MOST_BYTES = 64 << 20  # that Python may ask for; the files have some kilobytes
KEYS = np.array([49015420323751, 35693803564380, 35209900176148, 0, 150, 305, 10**14 - 1], np.uint64)
PHONES = [f"{key:014}" for key in KEYS.tolist()]


# ---- mutations ----


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Some bytes of it are others, gone, or there twice."""
    made = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(made) + 1)
        size = dice.choice((1, 2, 4, 8, 33))
        kind = dice.randrange(6)
        if kind == 0:
            made[at : at + 1] = bytes([dice.randrange(256)])
        elif kind == 1:
            made[at : at + 1] = bytes([made[at] ^ 1 << dice.randrange(8)]) if at < len(made) else b""
        elif kind == 2:
            value = dice.choice((0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, len(made)))
            made[at : at + 8] = struct.pack("<Q", value)
        elif kind == 3:
            del made[at : at + size]
        elif kind == 4:
            made[at:at] = made[at : at + size]
        else:
            other = dice.randrange(len(made) + 1)
            made[at : at + size] = made[other : other + size]
    return bytes(made)


def mutations(name: str, data: bytes) -> Iterator[tuple[bytes, random.Random]]:
    """The same ones each time, or for FUZZ_SECONDS others."""
    seconds = float(os.environ.get("FUZZ_SECONDS", 0))
    seed, end = zlib.crc32(name.encode()), time.monotonic() + seconds
    if seconds:
        seed = time.time_ns()
        print(f"{name}: seed {seed}")
    for number in count() if seconds else range(ROUNDS):
        if seconds and time.monotonic() > end:
            print(f"{name}: {number:,} mutations")
            return
        dice = random.Random(seed + number)
        yield mutated(data, dice), dice


def bounded(use: Callable[[], object]) -> bool:
    """Whether it gave an answer: it may raise nothing but our errors, and asks for little memory."""
    tracemalloc.start()
    try:
        use()
    except ImeisetError:
        return False
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_BYTES
    return True


# ---- containers ----


def sealed(data: bytes) -> bytes:
    """A container whose checksums are right, as far as its header and its table say what they are of."""
    made = bytearray(data)
    if len(made) < 72:
        return data
    (sections,) = struct.unpack_from("<Q", made, 48)
    table = made[72 : 72 + 32 * min(sections, 1024)]
    for at in range(0, len(table) - 31, 32):
        offset, length = struct.unpack_from("<QQ", table, at + 8)
        if offset + length <= len(made):
            struct.pack_into("<Q", table, at + 24, xxhash.xxh3_64_intdigest(made[offset : offset + length]))
    made[72 : 72 + len(table)] = table
    struct.pack_into("<Q", made, 56, xxhash.xxh3_64_intdigest(table))
    struct.pack_into("<Q", made, 64, xxhash.xxh3_64_intdigest(made[:64]))
    return bytes(made)


def ask(opened: ImeiSet | Register | Store) -> list[object]:
    """What it says of some phones."""
    if isinstance(opened, ImeiSet):
        return [len(opened), opened.contains(KEYS).tolist(), opened.positions(KEYS).tolist()]
    verdicts = [opened.check(phone, "234150999999999") for phone in PHONES]
    return [verdicts, opened.check_many(KEYS).tolist(), [opened.explain(phone) for phone in PHONES]]


def use(path: Path, *, verify: bool) -> None:
    opened = imeiset.open(path, verify=verify)
    ask(opened)
    if isinstance(opened, ImeiSet):
        list(islice(opened, 50))
        other = ImeiSet(PHONES)
        for made in (opened | other, opened & other, opened - other, other - opened):
            ask(made)


def test_positions_below_all_of_a_damaged_index(tmp_path: Path) -> None:
    """Those of the IMEIs of pairs: the first was taken for the number of a layer."""
    data, path = bytearray((GOLDEN / "register-3.imei").read_bytes()), tmp_path / "damaged.imei"
    data[5510:5518] = b"\xff" * 8
    path.write_bytes(data)
    assert bounded(lambda: use(path, verify=False))


@pytest.mark.parametrize(
    "name",
    [
        "set-1.imei",
        "register-3.imei",
        "register-4.imei",
        "deciders-3.imei",
        "deciders-4.imei",
        "told-3.imei",
        "told-4.imei",
        "container-v1.imei",
    ],
)
def test_a_container(name: str, tmp_path: Path) -> None:
    data, path = (GOLDEN / name).read_bytes(), tmp_path / name
    for changed, dice in mutations(name, data):
        seal = dice.random() < 0.5
        path.write_bytes(sealed(changed) if seal else changed)
        for verify in (True, False):
            answered = bounded(lambda verify=verify: use(path, verify=verify))
            assert not (answered and verify and not seal and changed != data), "damage that nobody noticed"


def test_a_file_of_changes_of_an_edition(tmp_path: Path) -> None:
    path = tmp_path / "delta.imei"
    for changed, dice in mutations("delta-1.imei", (GOLDEN / "delta-1.imei").read_bytes()):
        path.write_bytes(sealed(changed) if dice.random() < 0.7 else changed)
        bounded(lambda: delta.read(path))


# ---- stores ----


def chained(data: bytes) -> bytes:
    """A journal whose digests and checksums are right, as far as its lengths say what they are of."""
    head = bytearray(data[: journal.HEADER_SIZE])
    if len(head) < journal.HEADER_SIZE:
        return data
    sequence, digest, began = struct.unpack_from("<QQq", head, 24)
    struct.pack_into("<Q", head, 48, xxhash.xxh3_64_intdigest(head[:48]))
    position, parts, at = journal.Position(sequence, digest, began), [], journal.HEADER_SIZE
    while at + journal.RECORD_SIZE <= len(data):
        length, _, when, _ = struct.unpack_from("<QQqQ", data, at)
        at += journal.RECORD_SIZE
        try:
            record, position = journal.after(position, when, data[at : at + length])
        except struct.error:  # numbers have an end
            break
        parts.append(record)
        at += length
    size = len(head) + sum(map(len, parts))
    struct.pack_into("<QQ", head, 56, size, size ^ 2**64 - 1)
    return bytes(head) + b"".join(parts)


def states(directory: Path) -> list[list[object]]:
    """What a store says after each of its changes."""
    path = next(path for path in directory.iterdir() if path.name.startswith("journal"))
    whole, found = path.read_bytes(), []
    opened = journal.Journal(path)
    ends = [journal.HEADER_SIZE, *(record.position.end for record in opened.records(opened.start))]
    opened.close()
    for end in ends:
        head = bytearray(whole[:end])
        struct.pack_into("<QQ", head, 56, end, end ^ 2**64 - 1)
        path.write_bytes(head)
        with Store.open(directory) as store:
            found.append(ask(store))
    path.write_bytes(whole)
    return found


def test_a_journal(tmp_path: Path) -> None:
    """Without right checksums, what it says is what it said after some change."""
    directory = tmp_path / "eir"
    shutil.copytree(GOLDEN / "store-1", directory)
    (path,) = (path for path in directory.iterdir() if path.name.startswith("journal"))
    data, known = path.read_bytes(), states(directory)
    for changed, dice in mutations("journal", data):
        chain = dice.random() < 0.6
        path.write_bytes(chained(changed) if chain else changed)
        said: list[list[object]] = []

        def read(said: list[list[object]] = said) -> None:
            with Store.open(directory) as store:
                said.append(ask(store))

        if bounded(read) and not chain:
            assert said[0] in known


# ---- messages ----


def requests() -> bytes:
    """Three of them: plain, with a subscriber, and with what is copied to answers."""
    avp, group, name_of = messages.avp, messages.group, messages.name_of
    head = messages.Header(0xC0, 324, 16777252, 1, 2)
    made = b""
    for number, phone in enumerate(PHONES[:3]):
        imei = avp(name_of(1402, 10415), phone + "0")
        parts = [avp(263, f"mme;{number}"), avp(264, "mme"), avp(296, "example.org"), avp(283, "example.org")]
        parts.append(group(name_of(1401, 10415), [imei, avp(name_of(1403, 10415), "01")]))
        if number:
            parts.append(avp(1, "234150999999999"))
        if number == 2:
            parts += [avp(284, "proxy"), avp(301, 1)]
        made += head.write(*parts)
    return made


def test_diameter_messages(tmp_path: Path) -> None:
    """Both ways to answer agree, and AVPs are what they are written from."""
    made = Register(Policy(response_type=1))
    made.add("stolen", PHONES[:1], status=EquipmentStatus.BLACKLISTED)
    with Store.create(tmp_path / "eir", made) as store:
        for changed, _ in mutations("diameter", requests()):
            fast = s13.IdentityChecks(store, "eir.example.org", "example.org", Counts())
            slow = s13.IdentityChecks(store, "eir.example.org", "example.org", Counts())
            at = 0
            while 0 < (size := messages.length_of(changed, at)) <= len(changed) - at:
                one = changed[at : at + size]
                answer = slow.answer(one)
                assert 0 < messages.length_of(answer) == len(answer)
                got, end = fast.answers(one)
                assert (got, end) in ((answer, size), (b"", 0))
                avps, broken = messages.read_avps(one, messages.HEADER)
                body = b"".join(avp.write() for avp in avps)
                if broken is None and len(body) == size - messages.HEADER:
                    again, _ = messages.read_avps(body)
                    assert again == avps
                at += size


def test_a_delta_as_operators_write_it(tmp_path: Path) -> None:
    rows = "".join(
        f"{phone},{change}\n" for phone, change in zip(PHONES, ["add", "remove"] * 4, strict=False)
    )
    path, base = tmp_path / "delta.csv", ImeiSet(PHONES[::2])
    for changed, _ in mutations("a delta", f"imei,change_type\n{rows}".encode()):
        path.write_bytes(changed)
        made: list[ImeiSet] = []
        if bounded(lambda made=made: made.append(imeiset.apply(base, path, checks=(), min_size=0)[0])):
            text = changed.decode("latin-1")
            for phone in PHONES:  # what the file does not name stays as it was
                digits = "".join(c for c in text if c.isdigit())
                assert phone in digits or (phone in made[0]) == (phone in base)

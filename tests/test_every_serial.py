"""Every serial of TACs that were chosen to break an index: sets, registers and stores against plain bitmaps.

A bitmap has a byte for each of the 10**6 serials of a TAC. What is asked is all of them, at every SIMD level.
"""

import itertools
from functools import cache

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register, Store
from imeiset._native import simd
from imeiset.index import Index

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("same_level_after")]

LEVELS = simd.simd_levels()
N = 10**6
SERIALS = np.arange(N, dtype=np.uint64)
FIRST = 35_209_900  # the TAC of the first bitmap; those of the others follow it
HASHED = 131_072  # members of a set that may have a hash table
ME, OTHER = "234150000000001", "234150000000002"
W, B, G, U = (int(status) for status in EquipmentStatus)


# ---- bitmaps ----


def of(serials):
    bits = np.zeros(N, bool)
    bits[serials] = True
    return bits


def runs(length, gap, first=0, stop=N):
    """Runs of that length with gaps in between, to where the last whole one ends."""
    starts = np.arange(first, stop - length + 1, length + gap)
    return of((starts[:, None] + np.arange(length)).ravel())


def chosen(n, seed, low=0, high=N):
    return of(low + np.random.default_rng(seed).choice(high - low, n, replace=False))


def adversarial():
    made = {"none": of([]), "all": ~of([]), "both ends": of([0, N - 1])}
    for serial in (0, 1, 499_999, N - 2, N - 1):
        made |= {f"only {serial}": of([serial]), f"all but {serial}": ~of([serial])}
    for n in (24, 25, 26):
        made[f"{n} anywhere"] = chosen(n, n)
        made[f"{n} at the first"] = of(range(n))
        made[f"{n} at the last"] = of(range(N - n, N))
        made[f"all but {n}"] = ~chosen(n, 100 + n)
        made[f"{n} next to each other but one"] = of([*range(n - 1), N - 1])
    for length in (31, 32, 33):
        made[f"a run of {length}"] = of(range(777_777, 777_777 + length))
        made[f"runs of {length}"] = runs(length, 1)
        made[f"runs of {length} far apart"] = runs(length, 9_000, first=5)
        made[f"runs of {length} at both ends"] = of([*range(length), *range(N - length, N)])
        made[f"gaps of {length}"] = ~runs(length, 1)
        made[f"runs of {length} among others"] = runs(length, 700, 100_000, 400_000) | chosen(3000, length)
    made |= {"even": of(slice(0, None, 2)), "odd": of(slice(1, None, 2)), "thirds": of(slice(0, None, 3))}
    made |= {"first half": of(slice(0, N // 2)), "last half even": of(slice(N // 2, None, 2))}
    for n in (60, 1000, 20_000, 300_000, 700_000, 990_000):
        made[f"{n} anywhere"] = chosen(n, n)
    made["crowded at one end"] = chosen(5000, 5, 0, 6000) | of([N - 1])
    return made


BITMAPS = adversarial()
NAMES = list(BITMAPS)
EVERY = np.stack(list(BITMAPS.values()))


def keys_of(bits, first=FIRST):
    """The keys of bitmaps of adjacent TACs."""
    return (np.flatnonzero(bits) + first * N).astype(np.uint64)


def asked(row):
    return SERIALS + np.uint64((FIRST + row) * N)


@cache
def texts(row):
    """The keys of a TAC as texts of 14 digits."""
    digits = np.empty((N, 14), np.uint8)
    digits[:, :8] = np.frombuffer(b"%08d" % (FIRST + row), np.uint8)
    digits[:, 8:] = np.frombuffer(b"".join(b"%06d" % serial for serial in range(N)), np.uint8).reshape(N, 6)
    return digits.view("S14").ravel()


# ---- sets ----


def agree(members, bits, rows=None):
    """A set has what the bitmaps have: each key at its place, in the order of the keys, at every level."""
    assert len(members) == bits.sum()
    before = np.concatenate([[0], bits.sum(axis=1, dtype=np.int64).cumsum()])
    for level in LEVELS:
        simd.use_simd(level)
        for row in range(len(bits)) if rows is None else rows:
            keys, place = asked(row), before[row] + np.cumsum(bits[row]) - bits[row]
            about = level, row
            assert (members.contains(keys) == bits[row]).all(), about
            assert (members.positions(keys) == np.where(bits[row], place, -1)).all(), about
        outside = np.concatenate([asked(-1), asked(len(bits))])[::37]
        assert not members.contains(outside).any(), level
        assert (members.positions(outside) == -1).all(), level


@pytest.fixture(scope="module")
def every():
    return ImeiSet.from_keys(keys_of(EVERY))


def test_all_in_one_set(every):
    agree(every, EVERY)
    assert (every.to_numpy() == keys_of(EVERY)).all()
    out = np.empty(N, np.int64)
    index = Index.from_keys(keys_of(EVERY))
    for level in LEVELS:
        simd.use_simd(level)
        before = 0
        for row, bits in enumerate(EVERY):
            index.ranks(asked(row), out)
            assert (out == before + np.cumsum(bits) - bits).all(), (level, NAMES[row])
            before += bits.sum()


@pytest.mark.parametrize("name", NAMES)
def test_each_in_a_set_of_its_own(name):
    """A small one has a hash table, once it was asked enough; texts and threads take ways of their own."""
    bits = BITMAPS[name][None]
    members = ImeiSet.from_keys(keys_of(bits))
    agree(members, bits)
    if len(members) <= HASHED:
        agree(members, bits)
    column = texts(0)
    for level in LEVELS:
        simd.use_simd(level)
        assert (members.contains(column, threads=2) == bits[0]).all(), level
    assert (members.to_numpy() == keys_of(bits)).all()
    ranged = ImeiSet.from_ranges(*ranges_of(bits))
    assert ranged == members
    assert ranged.digest() == members.digest()


@pytest.mark.parametrize("seed", range(3))
def test_sets_that_were_changed(every, seed):
    """Patched and combined: each TAC becomes another, or a little different: what its keys make."""
    rng = np.random.default_rng(seed)
    other = EVERY[rng.permutation(len(EVERY))]
    few = EVERY.copy()
    for row in few:
        row[rng.choice(N, rng.integers(1, 40), replace=False)] ^= True
        edge = rng.choice(np.flatnonzero(np.diff(row)) if row.any() and not row.all() else [0])
        row[edge : edge + 2] ^= True
    for bits in (other, few):
        flips = keys_of(bits ^ EVERY)
        patched = Index.patched(Index.from_keys(every.to_numpy()), Index.from_keys(flips))
        expected = Index.from_keys(keys_of(bits))
        assert [bytes(one) for _, one in patched.sections()] == [bytes(one) for _, one in expected.sections()]
        changed = ImeiSet.from_keys(keys_of(bits))
        agree(every ^ ImeiSet.from_keys(flips), bits)
        for made, twin in (
            (every | changed, EVERY | bits),
            (every & changed, EVERY & bits),
            (every - changed, EVERY & ~bits),
        ):
            assert (made.to_numpy() == keys_of(twin)).all()
            agree(made, twin, rng.choice(len(bits), 8, replace=False))


# ---- registers ----

ROWS = 4  # TACs of a register
KINDS = {"block": B, "exempt": W, "lock": B}  # in the order of asking
STATUSES = {"exact": (B, G, W, B, G), "range": (G, B, W), "tac": (W, B)}
RULES = ("imsi", "pair", "exact", "range", "tac", "block", "default")
NONE = -1
ORDERS = (("imsi", "pair", "exact", "range", "tac"), ("range", "exact", "imsi", "tac", "pair"))


class Twin:
    """Lists as bitmaps, and the rules of a verdict for all serials of a TAC at once.

    exact, range, tac: (status, a bitmap for each TAC) by name. pairs: by name, which is
    the kind, the bitmaps of each subscriber.
    """

    def __init__(self, seed, response_type, precedence):
        self.rng = np.random.default_rng(seed)
        self.response_type, self.precedence = response_type, precedence
        self.lists = {rule: {} for rule in STATUSES}
        for rule, statuses in STATUSES.items():
            for number, status in enumerate(statuses):
                self.lists[rule][f"{rule} {number}"] = status, getattr(self, f"some_{rule}")()
        names = [*(name for lists in self.lists.values() for name in lists), *KINDS, "imsi"]
        self.numbers = {name: number for number, name in enumerate(names)}
        self.pairs = {kind: {who: self.some_pairs() for who in (ME, OTHER)} for kind in KINDS}

    def some_exact(self):
        return EVERY[self.rng.choice(len(EVERY), ROWS)]

    def some_range(self):
        bits = np.zeros((ROWS, N), bool)
        for row in bits:
            for start in self.rng.integers(0, N, 4):
                row[start : start + self.rng.choice([1, 2, 31, 32, 33, 1000, 300_000])] = True
        return bits

    def some_tac(self):
        return np.broadcast_to(self.rng.random((ROWS, 1)) < 0.3, (ROWS, N))

    def some_pairs(self):
        """Of most TACs few serials: there is one pair for each."""
        return self.some_exact() & ((self.rng.random((ROWS, 1)) < 0.1) | (self.rng.random(N) < 0.005))

    def combined(self, rule, row):
        """The first list of the strongest status that has a phone, and the status."""
        name, status, white = np.full(N, NONE), np.full(N, U, np.uint8), np.zeros(N, bool)
        for strongest in (B, G, W):
            for one, (said, bits) in self.lists[rule].items():
                if said == strongest:
                    here = bits[row] & (name == NONE)
                    name[here], status[here] = self.numbers[one], said
                    white |= bits[row] & (said == W)
        if self.response_type == 3:
            status[~white] = U
        return name, status

    def paired(self, row, imsi):
        name, status = np.full(N, NONE), np.full(N, U, np.uint8)
        for kind, subscribers in self.pairs.items():
            mine = subscribers[imsi][row] if imsi else np.zeros(N, bool)
            some = subscribers[ME][row] | subscribers[OTHER][row]
            here = ((some & ~mine) if kind == "lock" else mine) & (name == NONE)
            name[here], status[here] = self.numbers[kind], KINDS[kind]
        return name, status

    def answers(self, row, imsi):
        """The status of every serial, and the numbers of its list and of the rule."""
        name, rule = np.full(N, NONE), np.full(N, RULES.index("default"))
        status = np.full(N, W if self.response_type == 1 else U, np.uint8)
        for asked_by in self.precedence:
            if asked_by == "imsi":
                some, said = np.full(N, self.numbers["imsi"] if imsi == OTHER else NONE), np.full(N, G)
            elif asked_by == "pair":
                some, said = self.paired(row, imsi)
            else:
                some, said = self.combined(asked_by, row)
            here = (name == NONE) & (some != NONE)
            name[here], status[here], rule[here] = some[here], said[here], RULES.index(asked_by)
        rule[name == self.numbers["block"]] = RULES.index("block")
        return status, name, rule

    def register(self):
        made = Register(Policy(response_type=self.response_type, precedence=self.precedence))
        for name, (status, bits) in self.lists["exact"].items():
            made.add(name, keys_of(bits), status=EquipmentStatus(status))
        for name, (status, bits) in self.lists["range"].items():
            made.add_ranges(name, *ranges_of(bits), status=EquipmentStatus(status))
        for name, (status, bits) in self.lists["tac"].items():
            made.add_tacs(name, tacs_of(bits), status=EquipmentStatus(status))
        for kind in KINDS:
            about = {} if kind == "exempt" else {"status": EquipmentStatus(KINDS[kind])}
            getattr(made, kind)(kind, *self.columns(self.pairs[kind]), **about)
        made.add_imsis("imsi", [OTHER], status=EquipmentStatus(G))
        return made

    @staticmethod
    def columns(subscribers):
        keys = {who: keys_of(bits) for who, bits in subscribers.items()}
        imsis = np.repeat(np.array(list(keys), "S15"), [len(some) for some in keys.values()])
        return np.concatenate(list(keys.values())), imsis

    def changes(self):
        """Every list becomes another: the changes, which the twin has made."""
        for rule, lists in self.lists.items():
            for name, (status, old) in lists.items():
                new = getattr(self, f"some_{rule}")()
                if rule == "exact":  # of every other TAC a few serials, next to others
                    new = np.where(np.arange(ROWS)[:, None] % 2, new, old ^ self.few())
                lists[name] = status, new
                columns = {"exact": keys_of, "range": ranges_of, "tac": tacs_of}[rule]
                yield Delta(name, add=columns(new & ~old), remove=columns(old & ~new), rule=rule)
        for kind, subscribers in self.pairs.items():
            new = {who: bits ^ self.few() for who, bits in subscribers.items()}
            more, less = (
                {w: b & ~o[w] for w, b in n.items()} for n, o in ((new, subscribers), (subscribers, new))
            )
            self.pairs[kind] = new
            yield Delta(kind, add=self.columns(more), remove=self.columns(less), rule="pair")

    def few(self):
        return self.rng.random((ROWS, N)) < 0.0001


def ranges_of(bits):
    edges = np.diff(np.concatenate([[False], bits.ravel(), [False]]).astype(np.int8))
    lows, highs = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return (lows + FIRST * N).astype(np.uint64), (highs + FIRST * N).astype(np.uint64)


def tacs_of(bits):
    return [f"{FIRST + row:08d}" for row in np.flatnonzero(bits[:, 0])]


def numbered(column, numbers):
    """A column of words as numbers; that of none is the last."""
    return np.array([*(numbers[word] for word in column.words), NONE])[column.codes]


def answer_alike(checks, twin, rows, *, by_turns=False):
    """At every level, or at one after another."""
    rules = {rule: number for number, rule in enumerate(RULES)}
    questions = itertools.product((None, ME, OTHER), rows)
    for turn, (imsi, row) in enumerate(questions):
        imsis = None if imsi is None else np.full(N, imsi, "S15")
        status, name, rule = twin.answers(row, imsi)
        for level in LEVELS[turn % len(LEVELS) :][:1] if by_turns else LEVELS:
            simd.use_simd(level)
            about = level, row, imsi
            assert (checks.check_many(asked(row), imsis) == status).all(), about
        said = checks.check_many(asked(row), imsis, details=True)
        assert (said["status"] == status).all(), about
        assert (numbered(said["list"], twin.numbers) == name).all(), about
        assert (numbered(said["rule"], rules) == rule).all(), about


@pytest.mark.parametrize(("response_type", "precedence"), [(1, ORDERS[1]), (3, ORDERS[0])])
def test_registers_and_their_changes(tmp_path, response_type, precedence):
    """A register; a store of it with changes on top; the same when they are in its base."""
    twin = Twin(response_type, response_type, precedence)
    register = twin.register()
    answer_alike(register, twin, range(ROWS))
    with Store.create(tmp_path / "store", register) as store:
        for _ in range(2):
            store.apply(*twin.changes())
            answer_alike(store, twin, range(0, ROWS, 2), by_turns=True)
        store.compact()
        answer_alike(store, twin, range(1, ROWS, 2), by_turns=True)
    answer_alike(Store.open(tmp_path / "store"), twin, range(ROWS), by_turns=True)

"""Seeded lists and traffic shaped like real ones. Every list is a sorted, repeat-free uint64 array of keys.

A key is the first 14 digits of an IMEI: TAC * 10**6 + serial. The reference list has 60,000 TACs,
mostly of the two big reporting bodies (35 and 86). The TAC of rank r holds a share proportional to
1 / r**0.9, at most 50,000 serials, drawn uniformly without repeat.

100 million keys take about a minute and 3 GB; set IMEISET_BENCH_CACHE to a directory to keep the
lists on disk between runs.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

SEED = 20_240_229
TAC_COUNT = 60_000
SERIALS = 1_000_000  # of one TAC
SERIALS_CAP = 50_000  # of one TAC in a list
SKEW = 0.9
RUN_LENGTHS = (100, 5_000)
BODY_SHARES = {35: 0.42, 86: 0.40, 1: 0.05, 99: 0.03}  # by first two digits of the TAC; the rest is spread
_CHUNK = 1 << 22  # keys drawn at a time: bounds the memory beyond the result
_VERSION = 1  # of the lists; part of the name of a cached file


def reference(n: int, seed: int = SEED) -> Keys:
    """The reference list of n keys (at most 60,000 * 50,000)."""
    return _cached(f"reference-{n}-{seed}", lambda: _reference(n, seed))


def clustered(n: int, seed: int = SEED) -> Keys:
    """The reference list's TACs and sizes, with half of the serials in runs of 100 to 5,000.

    Below a million keys, the TACs that are large enough to have runs hold less than half.
    """
    return _cached(f"clustered-{n}-{seed}", lambda: _clustered(n, seed))


def singletons(n: int = 1_000_000, seed: int = SEED) -> Keys:
    """One key in each of n TACs (at most 2,000,000)."""
    rng = np.random.default_rng(seed)
    serials = rng.integers(0, SERIALS, n, dtype=np.uint64)
    tacs = _tacs(n, rng).astype(np.uint64)
    return tacs * np.uint64(SERIALS) + serials


def whole_tacs(k: int = 1_000, seed: int = SEED) -> tuple[Keys, Keys]:
    """The first and the last key of k whole TACs: two arrays of length k."""
    lows = _tacs(k, np.random.default_rng(seed)).astype(np.uint64) * np.uint64(SERIALS)
    return lows, lows + np.uint64(SERIALS - 1)


def queries(
    keys: Keys,
    n: int,
    hits: float = 0.5,
    misses: Literal["listed", "anywhere"] = "listed",
    seed: int = SEED,
) -> Keys:
    """n lookups in random order, of which the share `hits` is in `keys`.

    A miss is an absent serial of a listed TAC (a TAC is as likely as its share of the list, which is
    how traffic looks), or any absent 14-digit number.
    """
    rng = np.random.default_rng(seed)
    out = np.empty(n, np.uint64)
    absent = n - round(n * hits)
    out[absent:] = keys[rng.integers(0, len(keys), n - absent)]
    done = 0
    for _ in range(100):
        if done == absent:
            break
        drawn = _missing(keys, absent - done, misses, rng)
        out[done : done + len(drawn)] = drawn
        done += len(drawn)
    else:
        raise ValueError("the list leaves no room for misses")
    rng.shuffle(out)
    return out


def texts(keys: Keys) -> npt.NDArray[np.bytes_]:
    """The keys as 15-digit IMEIs with their check digit, dtype S15."""
    out = np.empty((len(keys), 15), np.uint8)
    for start in range(0, len(keys), _CHUNK):
        rest = keys[start : start + _CHUNK].copy()
        rows = out[start : start + _CHUNK]
        total = np.zeros(len(rest), np.uint8)
        for place in range(13, -1, -1):
            digit = (rest % np.uint64(10)).astype(np.uint8)
            rest //= np.uint64(10)
            rows[:, place] = digit + ord("0")
            if place % 2:  # Luhn: every second digit counts double
                digit = np.where(digit < 5, 2 * digit, 2 * digit - 9).astype(np.uint8)
            total += digit
        rows[:, 14] = (-total.astype(np.int16)) % 10 + ord("0")
    return out.reshape(-1).view("S15")


def _reference(n: int, seed: int) -> Keys:
    rng = np.random.default_rng(seed)
    tacs = _tacs(TAC_COUNT, rng)
    sizes = rng.permutation(_sizes(n))
    return _place(tacs, sizes, np.ones(n, np.int64), rng)


def _clustered(n: int, seed: int) -> Keys:
    rng = np.random.default_rng(seed)
    tacs = _tacs(TAC_COUNT, rng)
    sizes = rng.permutation(_sizes(n))
    shortest, longest = RUN_LENGTHS
    share = min(1.0, n / 2 / max(1, sizes[sizes >= shortest].sum()))  # of a TAC large enough to have runs
    counts = np.empty(TAC_COUNT, np.int64)
    lengths = []
    for i, size in enumerate(sizes.tolist()):
        budget = max(shortest, round(share * size)) if size >= shortest else 0
        runs = (
            rng.integers(shortest, min(longest, budget) + 1, budget // shortest)
            if budget
            else np.empty(0, int)
        )
        ends = runs.cumsum()
        runs = runs[ends <= budget]
        rest = budget - int(runs.sum())
        if rest >= shortest:
            runs = np.append(runs, rest)
        elif rest:
            runs[-1] = min(longest, runs[-1] + rest)
        singles = size - int(runs.sum())
        counts[i] = len(runs) + singles
        lengths.append(rng.permutation(np.concatenate([runs, np.ones(singles, int)])))
    return _place(tacs, counts, np.concatenate(lengths), rng)


def _tacs(count: int, rng: np.random.Generator) -> Ints:
    """Distinct TACs in ascending order, their first two digits drawn by BODY_SHARES."""
    bodies = (
        dict.fromkeys(range(100), (1 - sum(BODY_SHARES.values())) / (100 - len(BODY_SHARES))) | BODY_SHARES
    )
    shares = np.array([bodies[body] for body in range(100)])
    counts = _apportion(shares, count)
    drawn = [
        body * 10**6 + rng.choice(10**6, size, replace=False, shuffle=False)
        for body, size in enumerate(counts.tolist())
    ]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def _sizes(n: int) -> Ints:
    """Keys per TAC by rank: proportional to 1 / rank**SKEW, capped, exactly n together."""
    if n > TAC_COUNT * SERIALS_CAP:
        raise ValueError(f"at most {TAC_COUNT * SERIALS_CAP} keys, got {n}")
    weights = np.arange(1, TAC_COUNT + 1, dtype=np.float64) ** -SKEW
    sizes = np.zeros(TAC_COUNT, np.int64)
    while (left := n - int(sizes.sum())) > 0:  # what the cap cuts off goes to the others
        room = sizes < SERIALS_CAP
        sizes[room] += _apportion(weights[room], left)
        np.minimum(sizes, SERIALS_CAP, out=sizes)
    return sizes


def _apportion(shares: npt.NDArray[np.float64], total: int) -> Ints:
    """Split `total` into whole parts proportional to `shares`, by largest remainder."""
    exact = shares / shares.sum() * total
    parts: Ints = np.floor(exact).astype(np.int64)
    parts[np.argsort(parts - exact, kind="stable")[: total - int(parts.sum())]] += 1
    return parts


def _place(tacs: Ints, counts: Ints, lengths: Ints, rng: np.random.Generator) -> Keys:
    """Place runs of consecutive serials at random in their TACs.

    counts: runs in each TAC; lengths: of every run, in order of TACs. Shrinking each run to one
    place turns the task into drawing distinct places, uniformly, out of fewer serials.
    """
    first = np.concatenate([[0], counts.cumsum()])  # run at which each TAC begins
    before = np.concatenate([[0], lengths.cumsum()])  # serials before each run
    out = np.empty(before[-1], np.uint64)
    begin = 0
    while begin < len(tacs):
        # Whole TACs, about _CHUNK runs of them.
        end = max(begin + 1, int(np.searchsorted(first, first[begin] + _CHUNK, "right")) - 1)
        runs = slice(first[begin], first[end])
        per_tac = counts[begin:end]
        if runs.start == runs.stop:
            break  # the last TACs are empty
        extra = before[runs] - np.arange(runs.start, runs.stop)  # serials shrunk away before each run
        at_tac = first[begin:end].clip(max=runs.stop - 1) - runs.start
        inside = extra - np.repeat(extra[at_tac], per_tac)  # the same, within its TAC
        held = before[first[begin + 1 : end + 1]] - before[first[begin:end]]
        places = _distinct(per_tac, SERIALS - held + per_tac, rng)
        starts = np.repeat(tacs[begin:end] * SERIALS, per_tac) + places + inside
        total = before[runs.stop] - before[runs.start]
        step = np.arange(total) - np.repeat(before[runs] - before[runs.start], lengths[runs])
        out[before[runs.start] : before[runs.stop]] = np.repeat(starts, lengths[runs]) + step
        begin = end
    return out


def _distinct(counts: Ints, limits: Ints, rng: np.random.Generator) -> Ints:
    """For each group i, counts[i] distinct numbers below limits[i], ascending; concatenated."""
    groups = np.arange(len(counts)) * (2 * SERIALS)
    kept = np.empty(0, np.int64)
    lacking = counts
    while lacking.any():
        drawn = np.repeat(groups, lacking) + rng.integers(0, np.repeat(limits, lacking))
        kept = np.sort(np.concatenate([kept, drawn]))
        kept = kept[np.diff(kept, prepend=-1) > 0]
        lacking = counts - np.bincount(kept // (2 * SERIALS), minlength=len(counts))
    kept %= 2 * SERIALS
    return kept


def _missing(keys: Keys, n: int, misses: str, rng: np.random.Generator) -> Keys:
    """Up to n keys that are not in the list."""
    if misses == "listed":
        drawn = keys[rng.integers(0, len(keys), n)]
        drawn += rng.integers(0, SERIALS, n, dtype=np.uint64) - drawn % np.uint64(SERIALS)
    elif misses == "anywhere":
        drawn = rng.integers(0, 10**14, n, dtype=np.uint64)
    else:
        raise ValueError(f"misses must be 'listed' or 'anywhere', got {misses!r}")
    drawn.sort()  # a sorted search is several times faster
    at = np.searchsorted(keys, drawn)
    absent = keys[at.clip(max=len(keys) - 1)] != drawn
    result: Keys = drawn[absent]
    return result


def _cached(name: str, make: Callable[[], Keys]) -> Keys:
    directory = os.environ.get("IMEISET_BENCH_CACHE")
    if not directory:
        return make()
    path = Path(directory) / f"{name}-v{_VERSION}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npy")
        np.save(partial, make())
        partial.replace(path)
    keys: Keys = np.load(path)
    return keys

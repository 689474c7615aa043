"""A store whose changes are in many layers says what a register made of its lists at once says."""

import numpy as np
import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store
from imeiset.register import layers

W, B, G, _ = EquipmentStatus
FIRST = 35_000_000_000_000
POOL = FIRST + np.arange(60, dtype=np.uint64) * np.uint64(333_337)
IMSIS = [f"{n:06d}{n % 7:09d}" for n in range(0, 120, 3)]


class Twin:
    """What is on the lists, in sets of Python."""

    def __init__(self):
        self.exact, self.ranges, self.tacs = {}, set(), set()
        self.pairs, self.prefixes, self.texts = set(), set(), set()

    def register(self):
        made = Register()
        reasons = [self.exact[key] for key in sorted(self.exact)]
        imeis = ImeiSet.from_keys(np.array(sorted(self.exact), np.uint64), irregular=sorted(self.texts))
        made.add("black", imeis, status=B, reasons=reasons)
        lows = np.array(sorted(self.ranges), np.uint64)
        made.add_ranges("ranges", lows, lows + np.uint64(99_999), status=G)
        made.add_tacs("tacs", [f"{tac:08d}" for tac in sorted(self.tacs)], status=B)
        pairs = sorted(self.pairs)
        made.exempt("pairs", np.array([key for key, _ in pairs], np.uint64), [imsi for _, imsi in pairs])
        made.add_imsis("imsis", sorted(self.prefixes), status=G)
        return made

    def change(self, rng):
        """A change of a few rows, of any rule."""
        rule = ("exact", "range", "tac", "pair", "imsi", "irregular")[rng.integers(0, 6)]
        keys = [rng.choice(POOL, rng.integers(0, 4)).tolist() for _ in "ar"]
        if rule == "exact":
            reason = str(rng.choice(["", "stolen", "lost"]))
            self.exact = {k: v for k, v in self.exact.items() if k not in keys[1]} | dict.fromkeys(
                keys[0], reason
            )
            add, remove = (np.array(side, np.uint64) for side in keys)
            return Delta("black", add=add, remove=remove, reason=reason or None)
        if rule == "irregular":
            add, remove = ([f"A{key % 97}B" for key in side] for side in keys)
            self.texts = (self.texts - set(remove)) | set(add)
            return Delta("black", add=add, remove=remove, rule=rule)
        if rule == "range":
            lows = [{key // 10**5 * 10**5 for key in side} for side in keys]
            self.ranges = (self.ranges - lows[1]) | lows[0]
            ends = [np.array(sorted(side), np.uint64) for side in lows]
            add, remove = ((low, low + np.uint64(99_999)) for low in ends)
            return Delta("ranges", add=add, remove=remove, rule=rule)
        if rule == "tac":
            tacs = [{key // 10**6 for key in side} for side in keys]
            self.tacs = (self.tacs - tacs[1]) | tacs[0]
            add, remove = ([f"{tac:08d}" for tac in sorted(side)] for side in tacs)
            return Delta("tacs", add=add, remove=remove, rule=rule)
        subscribers = [[str(rng.choice(IMSIS)) for _ in side] for side in keys]
        if rule == "pair":
            pairs = [set(zip(side, some, strict=True)) for side, some in zip(keys, subscribers, strict=True)]
            self.pairs = (self.pairs - pairs[1]) | pairs[0]
            columns = [
                (np.array([key for key, _ in side], np.uint64), [imsi for _, imsi in side])
                for side in map(sorted, pairs)
            ]
            return Delta("pairs", add=columns[0], remove=columns[1])
        add, remove = ({imsi[: rng.integers(1, 9)] for imsi in side} for side in subscribers)
        self.prefixes = (self.prefixes - remove) | add
        return Delta("imsis", add=sorted(add), remove=sorted(remove))


def held(checks):
    """The counts that are not 0: a list of which all was removed says 0 until the next base."""
    return {name: {rule: n for rule, n in counts.items() if n} for name, counts in checks.counts().items()}


@pytest.mark.parametrize(("small", "step"), [(0, 2), (300, 2), (1 << 12, 16)])
@pytest.mark.parametrize("seed", range(3))
def test_a_store_in_layers_is_a_register_made_at_once(tmp_path, monkeypatch, small, step, seed):
    monkeypatch.setattr(layers, "_SMALL", small)
    monkeypatch.setattr(layers, "_STEP", step)
    rng, twin = np.random.default_rng(seed), Twin()
    asked = np.concatenate(
        [POOL, POOL + np.uint64(1), POOL // np.uint64(10**5) * np.uint64(10**5), POOL[:1] * 0]
    )
    imsis = [IMSIS[n % len(IMSIS)] if n % 5 else "" for n in range(len(asked))]
    texts = [f"A{key % 97}B" for key in POOL.tolist()]
    deepest = 0
    with Store.create(tmp_path / "store", twin.register()) as store, Store.open(tmp_path / "store") as reader:
        for turn in range(90):
            store.apply(*[twin.change(rng) for _ in range(rng.integers(1, 4))])
            if turn % 3 == 0:
                reader.refresh()
            if turn == 60:
                store.compact()
            if turn % 6:
                continue
            reader.refresh()
            expected = twin.register()
            with Store.open(tmp_path / "store") as again:
                for one in (store, reader, again):
                    for given in ((asked,), (asked, imsis)):
                        for found, wanted in zip(
                            one.check_many(*given, lists=True),
                            expected.check_many(*given, lists=True),
                            strict=True,
                        ):
                            assert found.tolist() == wanted.tolist()
                    for key, imsi in zip(asked.tolist()[::7], imsis[::7], strict=True):
                        assert one.check(key, imsi) == expected.check(key, imsi)
                        assert one.explain(key, imsi) == expected.explain(key, imsi)
                    for text in texts[::9]:
                        if text.encode() in one.lists[0].irregular:
                            assert one.check(text) == expected.check(text)
                    assert held(one) == held(expected)
                    assert [*one["black"]] == [*expected["black"]]
            parts = [store.lists[0].exact, store.lists[1].range, store.lists[3].pairs]
            deepest = max([deepest, *(len(part.layers) for part in parts if part)])
        assert [a.digest() for a in store.lists] == [b.digest() for b in twin.register().lists]
    assert deepest > 1 or small


def test_prefixes_stay_those_of_their_lists_when_lists_come_and_go(tmp_path):
    """What a prefix says has the number of its list in it."""
    register = Register()
    register.add("first", [], status=B)
    register.add_imsis("imsis", ["23415"], status=G)
    with Store.create(tmp_path / "store", register) as store, Store.open(tmp_path / "store") as reader:
        store.apply(Delta("imsis", add=["26201"]))
        store.drop_list("first")
        store.add_list("last", status=B, kind="imsis")
        store.apply(Delta("last", add=["310"]), Delta("imsis", remove=["23415"]))
        reader.refresh()
        with Store.open(tmp_path / "store") as again:
            for one in (store, reader, again):
                found = [
                    one.check("490154203237518", f"{imsi}0000000000") for imsi in ("26201", "31000", "23415")
                ]
                assert [(v.status, v.list) for v in found] == [(G, "imsis"), (B, "last"), (W, None)]
        store.drop_list("imsis", force=True)
        assert store.check("490154203237518", "310000000000000").list == "last"
        assert store.check("490154203237518", "262010000000000").list is None

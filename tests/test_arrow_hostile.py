"""Arrow arrays that lie. Each buffer ends where memory ends, so that a read outside of it is a crash.

What the protocol does not say, how long a buffer is, cannot be checked; everything in the buffers can.
"""

import ctypes
import mmap
from itertools import pairwise

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset import ImeiSet, parse
from imeiset.columns import split

pytest.importorskip("nanoarrow")

GOOD = b"490154203237518"
OTHER = b"352099001761481"


class Schema(ctypes.Structure):
    pass


class Array(ctypes.Structure):
    pass


_released = {kind: ctypes.CFUNCTYPE(None, ctypes.POINTER(kind)) for kind in (Schema, Array)}
Schema._fields_ = [
    ("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64), ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(Schema))), ("dictionary", ctypes.POINTER(Schema)),
    ("release", _released[Schema]), ("private", ctypes.c_void_p),
]  # fmt: skip
Array._fields_ = [
    ("length", ctypes.c_int64), ("null_count", ctypes.c_int64), ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64), ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)), ("children", ctypes.POINTER(ctypes.POINTER(Array))),
    ("dictionary", ctypes.POINTER(Array)), ("release", _released[Array]), ("private", ctypes.c_void_p),
]  # fmt: skip


def _release(pointer):
    pointer.contents.release = type(pointer.contents.release)()


RELEASES = {kind: function(_release) for kind, function in _released.items()}
_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_libc = ctypes.CDLL(None, use_errno=True)


def at_the_end_of_memory(data):
    """The address of these bytes, after which a page begins that cannot be read; and what keeps it."""
    pages = -(-max(len(data), 1) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, pages + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert _libc.mprotect(ctypes.c_void_p(start + pages), mmap.PAGESIZE, 0) == 0
    ctypes.memmove(start + pages - len(data), bytes(data), len(data))
    return start + pages - len(data), memory


class Column:
    """An array made of whatever it is given. A buffer of None is a null pointer."""

    def __init__(self, form, length, *buffers, offset=0, nulls=0, children=(), dictionary=None):
        self.form, self.length, self.offset, self.nulls = form, length, offset, nulls
        self.children, self.dictionary = children, dictionary
        self.kept = []
        self.addresses = []
        for buffer in buffers:
            data = None if buffer is None else buffer if isinstance(buffer, bytes) else buffer.tobytes()
            address, memory = (None, None) if data is None else at_the_end_of_memory(data)
            self.addresses.append(address)
            self.kept.append(memory)

    def schema(self):
        made = Schema(format=self.form.encode(), name=b"imei", flags=2, release=RELEASES[Schema])
        self._add(made, [child.schema() for child in self.children], Schema)
        if self.dictionary:
            made.dictionary = ctypes.pointer(self.dictionary.schema())
        return made

    def array(self):
        made = Array(length=self.length, null_count=self.nulls, offset=self.offset, release=RELEASES[Array])
        made.n_buffers = len(self.addresses)
        made.buffers = (ctypes.c_void_p * max(len(self.addresses), 1))(*self.addresses)
        self._add(made, [child.array() for child in self.children], Array)
        if self.dictionary:
            made.dictionary = ctypes.pointer(self.dictionary.array())
        self.kept.append(made)
        return made

    @staticmethod
    def _add(made, children, kind):
        made.n_children = len(children)
        made.children = (ctypes.POINTER(kind) * max(len(children), 1))(*map(ctypes.pointer, children))

    def __arrow_c_array__(self, requested_schema=None):
        self.made = self.schema(), self.array()
        names = b"arrow_schema", b"arrow_array"
        return tuple(
            _capsule(ctypes.addressof(one), name, None) for one, name in zip(self.made, names, strict=True)
        )


def offsets(*values, wide=False):
    return np.array(values, np.int64 if wide else np.int32)


def view(text=b"", length=None, buffer=0, start=0):
    """A view of text: in itself up to 12 bytes, or of a buffer."""
    if len(text) <= 12 and length is None:
        return len(text).to_bytes(4, "little") + text.ljust(12, b"\0")
    return b"".join(
        value.to_bytes(4, "little", signed=True)
        for value in (len(text) if length is None else length, 0, buffer, start)
    )


def sizes(*values):
    return np.array(values, np.int64)


def texts(form, *values, **options):
    """A sound column of texts."""
    ends = np.cumsum([0, *map(len, values)])
    wide = form in ("U", "Z")
    return Column(form, len(values), None, offsets(*ends, wide=wide), b"".join(values), **options)


def rows(column):
    keys, status = parse(column)
    return list(zip(keys.tolist(), status.tolist(), strict=True))


def expected(*values):
    return [oracle.settle(oracle.parse_value(value), "ignore") for value in values]


def test_sound_columns_are_read():
    """So that what follows does not fail for another reason."""
    for form in ("u", "U", "z", "Z"):
        assert rows(texts(form, GOOD, b"", OTHER)) == expected(GOOD, b"", OTHER)
    views = view(GOOD, start=0) + view(b"12") + view(OTHER, buffer=1)
    for form in ("vu", "vz"):
        column = Column(form, 3, None, views, GOOD, OTHER, sizes(15, 15))
        assert rows(column) == expected(GOOD, b"12", OTHER)
    assert rows(Column("l", 2, None, sizes(5, -1))) == expected(5, -1)
    assert rows(Column("c", 2, None, b"\1\0", dictionary=texts("u", GOOD, OTHER))) == expected(OTHER, GOOD)
    assert rows(Column("n", 2)) == expected(None, None)
    assert rows(Column("+s", 2, None, children=[texts("u", GOOD, OTHER)])) == expected(GOOD, OTHER)


STRUCTURES = {
    "negative length": Column("u", -1, None, offsets(0, 15), GOOD),
    "negative length of nothing": Column("n", -1),
    "negative offset": Column("u", 1, None, offsets(0, 15), GOOD, offset=-1),
    "no offsets": Column("u", 1, None, None, GOOD),
    "no data": Column("u", 1, None, offsets(0, 15), None),
    "a buffer too few": Column("u", 1, None, offsets(0, 15)),
    "a buffer too many": Column("u", 1, None, offsets(0, 15), GOOD, GOOD),
    "no buffers at all": Column("u", 1),
    "no integers": Column("l", 1, None, None),
    "no views": Column("vu", 1, None, None, GOOD, sizes(15)),
    "no sizes of the buffers of views": Column("vu", 1, None, view(GOOD)),
    "a buffer of views that is not there": Column("vu", 1, None, view(GOOD), None, sizes(15)),
    "a buffer of views of negative size": Column("vu", 1, None, view(GOOD), GOOD, sizes(-1)),
    "a child shorter than its struct": Column("+s", 2, None, children=[texts("u", GOOD)]),
    "a struct that begins after its child": Column("+s", 1, None, offset=1, children=[texts("u", GOOD)]),
    "no indices": Column("i", 1, None, None, dictionary=texts("u", GOOD)),
    "an index of another kind": Column("g", 1, None, sizes(0), dictionary=texts("u", GOOD)),
    "an index of text": texts("u", GOOD, dictionary=texts("u", GOOD)),
    "a dictionary of a dictionary": Column(
        "c", 1, None, b"\0", dictionary=Column("c", 1, None, b"\0", dictionary=texts("u", GOOD))
    ),
    "a dictionary of structs": Column(
        "c", 1, None, b"\0", dictionary=Column("+s", 1, None, children=[texts("u", GOOD)])
    ),
    "a dictionary of negative length": Column(
        "c", 1, None, b"\0", dictionary=Column("u", -1, None, offsets(0, 15), GOOD)
    ),
    "a dictionary whose offsets lead outside": Column(
        "c", 1, None, b"\0", dictionary=Column("u", 2, None, offsets(0, 99, 15), GOOD)
    ),
    "no such format": Column("?", 1, None, b"\0"),
    "another type": Column("g", 1, None, sizes(0)),
    "a list": Column("+l", 1, None, offsets(0, 1), children=[texts("u", GOOD)]),
    "runs": Column("+r", 1, children=[Column("i", 1, None, offsets(1)), texts("u", GOOD)]),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_that_lie(name):
    column = STRUCTURES[name]
    with pytest.raises((ValueError, TypeError)):
        parse(column)
    with pytest.raises((ValueError, TypeError)):
        ImeiSet([GOOD]).contains(column, threads=3, malformed=False)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    "given",
    [(0, 15, 14), (15, 0, 15), (-1, 14, 30), (0, -15, 30), (0, 31, 30), (0, 2**31 - 1, 30), (30, 15, 0)],
)  # fmt: skip
def test_offsets_that_lie(given, wide):
    column = Column("U" if wide else "u", 2, None, offsets(*given, wide=wide), GOOD * 2)
    with pytest.raises(ValueError, match="expected"):
        parse(column)


@pytest.mark.parametrize(
    "lie",
    [{"buffer": 1}, {"buffer": -1}, {"buffer": 2**31 - 1}, {"start": 1}, {"start": -1}, {"start": 2**31 - 1},
     {"length": 16}, {"length": -1}, {"length": -(2**31)}, {"length": 2**31 - 1}],
    ids=str,
)  # fmt: skip
def test_views_that_lie(lie):
    for place in (0, 9):  # alone, and in a group of eight
        views = [view(GOOD)] * 10
        views[place] = view(GOOD, **lie)
        column = Column("vu", 10, None, b"".join(views), GOOD, sizes(15))
        with pytest.raises(ValueError, match=f"view {place}: expected within the 1 buffers"):
            parse(column)
        flags = np.ones(16, bool)
        flags[place] = False  # the view of a null may be anything
        column = Column("vu", 10, np.packbits(flags, bitorder="little"), b"".join(views), GOOD, sizes(15),
                        nulls=1)  # fmt: skip
        assert rows(column) == expected(*[GOOD if at != place else None for at in range(10)])


@pytest.mark.parametrize("form", ["c", "C", "s", "S", "i", "I", "l", "L"])
def test_indices_that_lie(form):
    dtype = np.dtype(
        dict(zip("cCsSiIlL", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"], strict=True))[form]
    )
    for index in (2, np.iinfo(dtype).max, np.iinfo(dtype).min):
        if index == 0:
            continue
        column = Column(form, 2, None, np.array([1, index], dtype), dictionary=texts("u", GOOD, OTHER))
        with pytest.raises(ValueError, match="index: expected one of 2 entries"):
            parse(column)


def test_counts_of_nulls_that_lie():
    bits = b"\x05"
    for nulls in (-1, 1, 3, 2**62):
        column = Column("u", 3, bits, offsets(0, 15, 30, 45), GOOD * 3, nulls=nulls)
        assert rows(column) == expected(GOOD, None, GOOD)
    with pytest.raises(ValueError, match="expected a sound Arrow column"):
        parse(Column("u", 1, None, offsets(0, 15), GOOD, nulls=1))  # nothing says which


@given(
    st.lists(
        st.sampled_from([GOOD, OTHER, b"", b"x", b"4901542032375106", b"3" * 40]), min_size=1, max_size=40
    ),
    st.data(),
)
def test_slices_of_nulls(values, data):
    """Where a slice begins inside a byte of the bits, and any part of it is read."""
    valid = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    column = texts("u", *values)
    ends, text = np.cumsum([0, *map(len, values)]), b"".join(values)
    bits = np.packbits(np.array(valid, bool), bitorder="little")
    column = Column("u", stop - start, bits, offsets(*ends), text, offset=start, nulls=-1)
    want = expected(*[value if good else None for value, good in zip(values, valid, strict=True)])[start:stop]
    assert rows(column) == want
    assert [row for part in split(column, 3) for row in rows(part)] == want


@settings(max_examples=300)
@given(st.lists(st.integers(-3, 50), min_size=2, max_size=30), st.booleans())
def test_any_offsets(given, wide):
    """Either every row is what the offsets say, or all of it is refused."""
    text = GOOD + OTHER + b"49-015420-32375"
    given = [*given[:-1], len(text)]
    column = Column("U" if wide else "u", len(given) - 1, None, offsets(*given, wide=wide), text)
    spans = list(pairwise(given))
    if all(0 <= start <= stop <= len(text) for start, stop in spans):
        assert rows(column) == expected(*[text[start:stop] for start, stop in spans])
    else:
        with pytest.raises(ValueError, match="expected"):
            parse(column)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(-2, 20), st.integers(-2, 3), st.integers(-2, 40)), min_size=1, max_size=30)
)
def test_any_views(given):
    data = [GOOD * 2, OTHER]
    views, want, sound = [], [], True
    for length, buffer, start in given:
        if 0 <= length <= 12:
            views.append(view(GOOD[:length]))
            want.append(GOOD[:length])
            continue
        views.append(view(length=length, buffer=buffer, start=start))
        inside = length > 0 and 0 <= buffer < 2 and 0 <= start <= len(data[buffer]) - length
        sound = sound and inside
        want.append(data[buffer][start : start + length] if inside else b"")
    column = Column("vu", len(views), None, b"".join(views), *data, sizes(*map(len, data)))
    if sound:
        assert rows(column) == expected(*want)
    else:
        with pytest.raises(ValueError, match="expected within the 2 buffers"):
            parse(column)

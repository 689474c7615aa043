# What the modules agree on.

cdef enum:
    BLOCK = 2048                # keys asked at a time, so that what is answered stays in cache
    KEYS = 100_000_000_000_000  # every key is below


cdef inline int expect_rows(str what, Py_ssize_t expected, Py_ssize_t got) except -1:
    """Raises ValueError where one array has not as many rows as another wants."""
    if got != expected:
        raise ValueError(f"{what}: expected {expected} rows, got {got}")
    return 0


cdef inline object viewed(array, str kinds, str wanted):
    """An array of numbers as those of another kind: one function takes them all. TypeError where they are
    not of one of these kinds, as NumPy calls them by one character."""
    if array.dtype.char not in kinds:
        raise TypeError(f"expected an array of {kinds}, got {array.dtype.char}")
    return array.view(wanted)

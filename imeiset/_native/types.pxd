# What the modules agree on.

from cpython.object cimport PyObject

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED /* nobody may put another object there between a look and a reference */
    #define shared_item(list, at) PyList_GetItemRef(list, at)
    #else
    #define shared_item(list, at) __Pyx_NewRef(PyList_GET_ITEM(list, at))
    #endif
    """
    # An item of a list to which other threads may put objects, at a place that there is.
    object shared_item(PyObject* list, Py_ssize_t at)

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

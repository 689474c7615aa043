"""Work that gives way to everything else on the machine, for threads that ask for it: see c/background.h."""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t

import os

cdef extern from "c/background.h" nogil:
    void background_set(bint) noexcept
    void background_run(void (*work)(void*) noexcept nogil, void*) noexcept

cdef extern from "<unistd.h>" nogil:
    Py_ssize_t c_write "write"(int, const void*, size_t) noexcept


def work_in_background(bint wanted):
    """Whether what this thread makes of sets and writes to files waits for a processor that is idle."""
    background_set(wanted)


cdef void run(void (*work)(void*) noexcept nogil, void* given) noexcept nogil:
    background_run(work, given)


cdef struct writing:
    int file
    const uint8_t* data
    size_t left
    int error  # its number, 0 for none


cdef void write(void* given) noexcept nogil:
    cdef writing* one = <writing*>given
    cdef Py_ssize_t written
    while one.left:
        written = c_write(one.file, one.data, min(one.left, <size_t>1 << 30))
        if written < 0 and errno == EINTR:
            continue
        if written < 0:
            one.error = errno
            return
        one.data += written
        one.left -= written


def write_all(int file, const uint8_t[::1] data not None):
    """Write data to a descriptor. Raises OSError."""
    cdef writing one
    if data.shape[0] == 0:
        return
    one.file, one.data, one.left, one.error = file, &data[0], data.shape[0], 0
    with nogil:
        run(write, &one)
    if one.error:
        raise OSError(one.error, os.strerror(one.error))

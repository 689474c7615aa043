# What the modules agree on.

cdef enum:
    BLOCK = 2048                # keys asked at a time, so that what is answered stays in cache
    KEYS = 100_000_000_000_000  # every key is below

from libc.stdint cimport uint8_t, uint64_t

# Reads str, bytes, an integer key, or an object with __imei_key__, without allocating. Returns a
# ParseStatus, 0 when `key` was set. The check digit is not looked at. Raises only what that object's own code
# raises and is no Exception, as KeyboardInterrupt is, and MemoryError.
cdef uint8_t parse_object(object value, uint64_t* key) except 255

# The ImeiError of a status for a value, at an index in a column (-1: none).
cdef object parse_error(uint8_t status, object value, Py_ssize_t position)

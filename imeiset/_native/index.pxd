from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# What other modules need for lookups of their own. A pointer is good for as long as its FrozenIndex lives.
# TypeError for another object.
cdef const void* index_pointer(object index) except NULL

# Is the key in the set? Never raises; any answer where the key is not below 10**14.
cdef bint index_has(const void* pointer, uint64_t key) noexcept nogil

# out[i] = 1 if keys[i] is in the set, else 0.
cdef void index_have(const void* pointer, const uint64_t* keys, size_t n, uint8_t* out) noexcept nogil

# out[i] = how many keys of the set are below keys[i], or -1 if keys[i] is not in the set.
cdef void index_positions(const void* pointer, const uint64_t* keys, size_t n, int64_t* out) noexcept nogil

# Which of n sets have the key, at most 64 of them: a bit each.
cdef uint64_t index_each(const void* const* pointers, int n, uint64_t key) noexcept nogil

# ranks[i] = how many keys of the i-th set are below the key; for at most 64 sets.
cdef void index_rank_each(const void* const* pointers, int n, uint64_t key, uint64_t* ranks) noexcept nogil

# How many bytes a column has that stands beside an index, see c/places.h. ValueError for a damaged one.
cdef uint64_t index_places(object index) except? 0

# The byte of a key in a column of `count` bytes beside the set, `index_places` of it: -1 where the key is not
# a member. And of many, found[i] as by index_have and out[i], the byte, 0 where it is not.
cdef int index_byte(const void* pointer, const uint8_t* column, uint64_t count, uint64_t key) noexcept nogil
cdef void index_bytes(const void* pointer, const uint8_t* column, uint64_t count, const uint64_t* keys,
                      size_t n, uint8_t* found, uint8_t* out) noexcept nogil

# The codes of a key, a member, in columns beside the set, see c/details.h.
cdef void index_codes(const void* pointer, const void* columns, uint64_t key, uint32_t* codes) noexcept nogil

# Fill a struct deciders, see c/deciders.h.
cdef void index_decide(void* work) noexcept nogil

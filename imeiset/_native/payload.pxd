from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "c/build.h" nogil:
    enum: BUILD_OK, BUILD_NO_MEMORY, BUILD_NOT_ASCENDING, BUILD_OUT_OF_RANGE, BUILD_TOO_LARGE, BUILD_DAMAGED
    enum: LINE_BYTES, RANK_BYTES, RANK_LINES, MAX_LINES
    const uint64_t KEYS
    struct index:
        const uint8_t* pilots
        const uint64_t* slots
        const uint32_t* tacs
        const uint8_t* lines
        const uint8_t* ranks
        const uint8_t* spill
        const int64_t* fences
        const uint64_t* spill_ranks
        uint32_t pilot_count, slot_count, tac_count, multiplier
        uint64_t line_count, spill_count, count
        void* beside
    struct bytes:
        uint8_t* data
        size_t used, room, drained
    struct builder:
        bytes pilots, slots, tacs, lines, ranks, spill, fences, spill_ranks
        uint32_t seed
        uint64_t count, run_min
        int status
    void index_init() noexcept
    void index_without_lines(index*) noexcept
    uint32_t seed_multiplier(uint32_t) noexcept
    uint64_t fences_layout(index*, uint64_t) noexcept
    int builder_init(builder*) noexcept
    void builder_free(builder*) noexcept
    int builder_add(builder*, uint64_t, uint64_t) noexcept
    int builder_finish(builder*) noexcept
    void bytes_drained(bytes*) noexcept

# Raises what the status of a builder means, if it is not BUILD_OK.
cdef int raise_build(int status) except -1

# Add inclusive ranges, ascending, above all before and not overlapping. Raises ValueError for others.
cdef int add_runs(builder* b, const uint64_t[::1] lows, const uint64_t[::1] highs) except -1

# The bytes, moved to a 64-byte boundary, as an object with the buffer protocol; `array` keeps none.
cdef object take_bytes(bytes* array)

# The sections of a finished builder, in file order, which keeps none of them.
cdef tuple take_sections(builder* b)

# Point `to` at sections in file order, after checking everything that a lookup relies on; the views that keep
# their memory. ValueError says which number is not what a lookup needs. O(1).
cdef tuple attach_sections(index* to, tuple sections)

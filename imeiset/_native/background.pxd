# work(given), in the background if this thread asked for it; returns when it is done.
cdef void run(void (*work)(void*) noexcept nogil, void* given) noexcept nogil

"""Works out _native/c/shapes.h: `python -m benchmarks.shapes` prints the rows of its table.

For each number of serials that a TAC may keep in lines, the shape that is expected to take the
fewest bits, counting the serials that find no room and go to the spill. Serials are taken to be
uniform, so those of a line, and of a bucket, follow a Poisson distribution.
"""

import math
from functools import cache
from typing import NamedTuple

SERIALS = 1_000_000
LINE = 512  # bits
RANK = 9.85  # bits of rank per line
SPILL = 25.0  # bits of a serial in the spill, its share of the fences included
TAC = 70.0  # bits of a TAC in the directory
UNARY = 192  # most bits of the unary part
BITMAP = 504  # serials in a bitmap's line
ROWS = 256


class Shape(NamedTuple):
    low_bits: int
    capacity: int
    lines: int


@cache
def excess(mean: float, room: int) -> float:
    """How many of a Poisson number with that mean are expected to find no room."""
    if mean <= 0:
        return 0.0
    most = max(int(mean + 12 * math.sqrt(mean) + 20), room + 2)
    return sum(
        (k - room) * math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(room + 1, most)
    )


def best(n: int) -> Shape:
    """The cheapest shape for a TAC of n serials; no lines at all is one of them."""
    least, shape = SPILL * n, Shape(0, 0, 0)
    for low_bits in range(2, 16):
        for capacity in range(8, UNARY):
            buckets = min(LINE - 9 - capacity * (low_bits + 1), UNARY - 1 - capacity)
            if buckets < 8:
                continue
            fewest = -(-SERIALS // min(SERIALS, buckets << low_bits))
            for lines in {fewest, fewest + max(1, fewest // 32), fewest + max(1, fewest // 16)}:
                width = -(-SERIALS // lines)
                mean = n * width / SERIALS
                if width <= 256 or (lines > 1 and not capacity * 0.6 < mean < capacity * 1.6):
                    continue
                used = width / (1 << low_bits)  # buckets
                spilled = excess(round(mean * 8) / 8, capacity)
                spilled += used * excess(round(mean / used * 64) / 64, 57 // low_bits)
                bits = lines * (LINE + RANK + spilled * SPILL) + TAC
                if bits < least:
                    least, shape = bits, Shape(low_bits, capacity, lines)
    bitmaps = -(-SERIALS // BITMAP)
    return Shape(0, 0, bitmaps) if bitmaps * (LINE + RANK) + TAC < least else shape


def middle(row: int) -> int:
    """The number of serials a row is worked out for: 0 to 63 each have one, then 16 to an octave."""
    if row < 64:
        return row
    octave, sixteenth = divmod(row - 64, 16)
    low = (16 + sixteenth) << (octave + 2)
    return (2 * low + (1 << (octave + 2)) - 1) // 2


if __name__ == "__main__":
    rows = [best(middle(row)) for row in range(ROWS)]
    for at in range(0, ROWS, 8):
        print("    " + ", ".join("{%d, %d, %d}" % row for row in rows[at : at + 8]) + ",")  # noqa: UP031

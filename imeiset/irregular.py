"""Irregular identities: texts that phones send in the place of an IMEI, kept and compared as text.

National systems list them, for malformed IMEIs are used to evade blocking. The field and its normal form
are those of DIRBS: 1 to 16 of the digits, the letters A to F, '*' and '#'. If the first 14 are digits,
they are the key; otherwise the whole text, in upper case, is an irregular identity. Blanks around are not
part of it.
"""

import re
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imeiset.errors import CHECK_DIGIT_CODES, ImeiError, ParseStatus, expect_several

Handling = Literal["reject", "keep"]
"""What becomes of irregular identities: they are malformed, or are kept as text beside the keys."""

Identities = NDArray[np.bytes_]
WIDTH = 16  # bytes of a text in a table, padded with NUL
NONE: Identities = np.empty(0, f"S{WIDTH}")

_FIELD = re.compile(rb"[0-9A-Fa-f*#]{1,16}")
_BLANKS = b" \t\n\v\f\r"
# Every malformed text may be one, but not a number whose check digit was refused.
_MAY_BE = np.zeros(256, np.bool_)
_MAY_BE[list(ParseStatus)] = True
_MAY_BE[[ParseStatus.OK, *CHECK_DIGIT_CODES]] = False


def normalised(value: object) -> int | bytes | None:
    """The key of a text that begins with 14 digits, the normal form of another, None of what is neither."""
    if isinstance(value, str) and value.isascii():
        value = value.encode()
    if not isinstance(value, bytes) or not _FIELD.fullmatch(value := value.strip(_BLANKS)):
        return None
    return int(value[:14]) if value[:14].isdigit() and len(value) >= 14 else value.upper()


def candidates(status: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The rows that may be irregular identities, by their statuses or flaws."""
    return np.flatnonzero(_MAY_BE[status])


def table(texts: Iterable[object]) -> Identities:
    """The texts in normal form, sorted, each once: S16[n]. Raises ImeiError for one that is not irregular,
    TypeError for a text alone."""
    expect_several("irregular identities", texts)
    found = []
    for row, text in enumerate(texts):
        form = normalised(text)
        if not isinstance(form, bytes):
            expected = "1 to 16 of 0-9, A-F, '*' and '#', not beginning with 14 digits"
            raise ImeiError(ParseStatus.NOT_DIGIT, text, position=row, expected=expected)
        found.append(form)
    return np.unique(np.array(found, NONE.dtype))


def listed(texts: Identities, among: Identities) -> NDArray[np.bool_]:
    """Which texts, in normal form, are in a table: bool[n]; O(log table) each."""
    at = np.searchsorted(among, texts)
    found = at < len(among)
    found[found] = among[at[found]] == texts[found]
    return found

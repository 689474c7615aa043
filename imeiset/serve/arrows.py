"""Arrow IPC streams as a form of requests and answers."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import arrow, columns, to_arrow
from imeiset.serve import ipc
from imeiset.serve.asking import DAYS, ERROR, ERRORS, STATUSES, TEXTS, Answers, Asked


def read(body: bytes, limit: int) -> Asked:
    found = ipc.read(body, limit)
    imeis = _Parts(found["imei"])
    imsis = _Parts(found["imsi"]).values() if "imsi" in found else None
    return Asked(imeis.keys, imeis.status, lambda: imeis.value, imsis, "row {}".format)


class _Parts:
    """The parts of a column as one."""

    def __init__(self, parts: Sequence[ipc.Part]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(one.keys) for one in parts])
        none = columns.parse([])
        self.keys, self.status = (
            np.concatenate(some)
            for some in zip(none, *((one.keys, one.status) for one in parts), strict=True)
        )

    def value(self, row: int) -> Any:
        at = int(np.searchsorted(self._ends, row, "right"))
        return self._parts[at].value(row - (int(self._ends[at - 1]) if at else 0))

    def values(self) -> list[Any]:
        return [one.value(row) for one in self._parts for row in range(len(one.keys))]


def _texts_by_code(words: Mapping[int, str]) -> NDArray[np.object_]:
    """The words of codes, b"" where a code has none."""
    found = np.full(256, b"", object)
    for code, word in words.items():
        found[code] = word.encode()
    return found


_STATUS_TEXTS, _ERROR_TEXTS = _texts_by_code(dict(enumerate(STATUSES))), _texts_by_code(ERRORS)


def write(answers: Answers) -> bytes:
    return _stream(_statuses(answers.codes))


def write_details(answers: Answers) -> bytes:
    details = answers.details()
    found = _statuses(answers.codes)
    for name in TEXTS:
        texts = np.array([*(text.encode() for text in details[name].words), b""], object)
        found[name] = _texts(texts, details[name].codes)
    return _stream(found | {name: to_arrow(details[name]) for name in DAYS})


def _statuses(codes: NDArray[np.uint8]) -> dict[str, Any]:
    """The column of statuses; if there are errors, beside it theirs."""
    found = {"status": _texts(_STATUS_TEXTS, codes)}
    if codes.size and codes.max() >= ERROR:
        found["error"] = _texts(_ERROR_TEXTS, codes)
    return found


def _texts(texts: NDArray[np.object_], codes: NDArray[Any]) -> Any:
    """A column of the texts with these numbers, b"" for null."""
    lengths = np.array([len(text) for text in texts], np.int32)[codes]
    ends = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    return arrow.texts(ends, np.frombuffer(b"".join(texts[codes].tolist()), np.uint8))


def _stream(found: dict[str, Any]) -> bytes:
    """Columns as an Arrow IPC stream of one batch."""
    from nanoarrow.ipc import StreamWriter

    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_stream(arrow.record_batch(found, len(found["status"])))
    return out.getvalue()

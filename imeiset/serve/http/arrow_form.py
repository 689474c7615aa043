"""Arrow IPC streams as a form of requests and answers."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imeiset import arrow, columns, to_arrow
from imeiset._native.codes import joined
from imeiset.errors.extras import extra
from imeiset.serve.http import ipc
from imeiset.serve.http.checks import DAYS, ERROR, ERRORS, STATUSES, TEXTS, Refused, RequestRows, RowAnswers

_LARGEST = (1 << 31) - 1  # bytes of a column of texts


def read(body: bytes, limit: int) -> RequestRows:
    """The rows of a stream."""
    found = ipc.read(body, limit)
    imeis = _Parts(found["imei"])
    imsis = _Parts(found["imsi"]).values() if "imsi" in found else None
    return RequestRows(imeis.keys, imeis.status, lambda: imeis.value, imsis, "row {}".format)


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


_STATUS_TEXTS = arrow.text_buffers([*STATUSES, *[""] * (256 - ERROR)])
_ERROR_TEXTS = arrow.text_buffers(ERRORS.get(code, "") for code in range(256))


def write(answers: RowAnswers) -> bytes:
    """The answers as one batch."""
    return _stream(_statuses(answers))


def write_details(answers: RowAnswers) -> bytes:
    """The same with details."""
    details, found = answers.details(), _statuses(answers)
    for name in TEXTS:
        words, codes = details[name].words, details[name].codes
        found[name] = _texts(arrow.text_buffers([*words, ""]), np.where(codes < 0, len(words), codes))
    return _stream(found | {name: to_arrow(details[name]) for name in DAYS})


def _statuses(answers: RowAnswers) -> dict[str, Any]:
    """The column of statuses; if there may be errors, beside it theirs."""
    found = {"status": _texts(_STATUS_TEXTS, answers.codes)}
    return found | ({"error": _texts(_ERROR_TEXTS, answers.codes)} if answers.report else {})


def _texts(texts: arrow.Texts, codes: NDArray[Any]) -> Any:
    """A column of the texts with these numbers, "" for null."""
    ends, data = texts
    rows = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(np.diff(ends)[codes], out=rows[1:])
    if rows[-1] > _LARGEST:
        raise Refused("too_many_rows", "expected answers of 2 GB at most: send the rows in several requests")
    joined_texts = joined(len(codes), [(ends, data, codes.astype(np.int32))])
    return arrow.texts(rows.astype(np.int32), np.frombuffer(joined_texts, np.uint8))


def _stream(found: dict[str, Any]) -> bytes:
    """Columns as an Arrow IPC stream of one batch."""
    ipc_of = extra("nanoarrow.ipc", "Arrow streams need nanoarrow", "arrow")
    out = io.BytesIO()
    with ipc_of.StreamWriter.from_writable(out) as writer:
        writer.write_stream(arrow.record_batch(found, len(found["status"])))
    return out.getvalue()

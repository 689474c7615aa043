"""Checks in bulk, and the lists: `POST /v1/checks` and `GET /v1/lists`."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import parse_qsl

from imeiset import Store
from imeiset.errors import ExtraMissing, ImeisetError
from imeiset.serve.http.accept import accept_of, weight_of
from imeiset.serve.http.answers import UNREADABLE, Answer, not_allowed, problem
from imeiset.serve.http.checks import Malformed, Refused, answers_of
from imeiset.serve.http.formats import FORMS, Form
from imeiset.serve.http.lists import Listing
from imeiset.serve.state import Counts
from imeiset.store.frozen import Frozen

CHECKS, LISTS = "/v1/checks", "/v1/lists"
_ALLOWED = {CHECKS: ("POST",), LISTS: ("GET",)}
_LONG, _LONG_OF_TEXTS = 1 << 15, 1 << 12  # bytes of a body that take longer than a loop should wait
CAUSES = {
    "malformed_body": 400,
    "malformed_query": 400,
    "malformed_row": 400,
    "not_found": 404,
    "not_acceptable": 406,
    "length_required": 411,
    "too_many_bytes": 413,
    "too_many_rows": 413,
    "unsupported_media_type": 415,
}
_SELF_ENDING = ("application/json",)  # of others, rows may be missing: servers take a bad chunk for the end
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Limits(Protocol):
    """The most that one request may have."""

    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...


class Bulk:
    """Answers of the two paths, whichever server carries them.

    Parameters
    ----------
    store : Store
        Whose lists answer.
    counts : Counts or None
        What is answered is counted there.
    limits : Limits
        May be replaced at any time.
    """

    def __init__(self, store: Store, counts: Counts | None, limits: Limits) -> None:
        self.store, self.counts, self.limits = store, counts or Counts(), limits
        self._listing = Listing()

    def takes(self, method: str, path: str) -> int:
        """The most bytes of a body that are worth reading."""
        return self.limits.bytes if (method, path) == ("POST", CHECKS) else 0

    def is_long(self, method: str, path: str, query: str, size: int) -> bool:
        """Whether `answer` takes so long, of a body of this size, that a loop should not wait for it."""
        # Where lists have texts, malformed rows are looked at one by one.
        has_texts = any(one.irregular for one in self.store.lists)
        return path == LISTS or size > (_LONG_OF_TEXTS if has_texts else _LONG)

    def too_long(self) -> Answer:
        """What a longer body gets."""
        return self._problem(_too_long(self.limits.bytes))

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one request.

        Parameters
        ----------
        method, path, query
            Of the request; the query as it came, without its question mark.
        headers : mapping
            By name in lower case.
        body : bytes

        Returns
        -------
        Answer
        """
        try:
            if path not in _ALLOWED:
                raise Refused("not_found", f"expected {CHECKS} or {LISTS}")
            if method not in _ALLOWED[path]:
                return self._counted(not_allowed(*_ALLOWED[path]).answer, "method_not_allowed")
            if path == LISTS:
                return self._lists(method, query, headers)
            return self._checks(query, headers, body)
        except Refused as refused:
            return self._problem(refused)
        except ExtraMissing as error:
            return self._problem(Refused("unsupported_media_type", str(error)))
        except (ImeisetError, OSError):
            return self._counted(UNREADABLE.answer, UNREADABLE.word)

    def _checks(self, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
        options = _options(query, details=_BOOLEANS, malformed={"report": True, "refuse": False})
        if len(body) > self.limits.bytes:
            raise _too_long(self.limits.bytes)
        given = _media_type(headers)
        form, answer_type = _negotiated(accept_of(headers), given)
        if headers.get("transfer-encoding") and given not in _SELF_ENDING:
            raise Refused(
                "length_required",
                "expected a Content-Length: of chunks that are cut off rows would be missing",
            )
        frozen = self.store.frozen()
        self._listing.forget(frozen)
        asked = FORMS[given].read(body, self.limits.rows)
        try:
            answers = answers_of(frozen, asked, report=options["malformed"])
        except Malformed as malformed:
            detail = f"{asked.named(malformed.row)}: {malformed.error}"
            raise Refused("malformed_row", detail, row=malformed.row) from None
        text = (form.write_details if options["details"] else form.write)(answers)
        for (status, rule), n in answers.tally.items():
            self.counts.checked("http", status, rule, n)
        if answers.errors:
            self.counts.error("http", "malformed_row", answers.errors)
        return Answer(200, [("content-type", answer_type), *_moment(frozen)], text)

    def _lists(self, method: str, query: str, headers: Mapping[str, str]) -> Answer:
        options = _options(query, digests=_BOOLEANS)
        _negotiated(accept_of(headers), "application/json", ("application/json",))
        frozen = self.store.frozen()
        found = self._listing.of(frozen, digests=options["digests"])
        text = json.dumps(found, separators=(",", ":")).encode()
        return Answer(200, [("content-type", "application/json"), *_moment(frozen)], text)

    def _problem(self, refused: Refused) -> Answer:
        detail = refused.detail
        return self._counted(
            problem(CAUSES[refused.cause], refused.cause, detail, **refused.more), refused.cause
        )

    def _counted(self, answer: Answer, cause: str) -> Answer:
        self.counts.error("http", cause)
        return answer


def _too_long(limit: int) -> Refused:
    detail = f"expected at most {limit:,} bytes, got more: send the rows in several requests"
    return Refused("too_many_bytes", detail, limit=limit)


def _moment(frozen: Frozen) -> list[tuple[str, str]]:
    """Which moment of the store answered."""
    return [
        ("imeiset-generation", str(frozen.generation)),
        ("imeiset-sequence", str(frozen.sequence)),
        ("imeiset-state", frozen.state_id),
    ]


def _options(query: str, **known: Mapping[str, bool]) -> dict[str, bool]:
    """The options of a query, False where it has none. Of unknown ones nothing is said: newer clients have
    them."""
    found, given = dict.fromkeys(known, False), set[str]()
    for name, value in parse_qsl(query, keep_blank_values=True) if query else ():
        if name in known:
            if value not in known[name] or name in given:
                raise Refused("malformed_query", f"{name}: expected once, one of {', '.join(known[name])}")
            found[name] = known[name][value]
            given.add(name)
    return found


def _media_type(headers: Mapping[str, str]) -> str:
    """The form of a body."""
    kind, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    encoding = headers.get("content-encoding", "identity").strip().lower()
    charsets = {part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")}
    if kind not in FORMS or encoding != "identity" or charsets - {"utf-8", "us-ascii"}:
        detail = f"expected a body of {', '.join(FORMS)}, in UTF-8 and not compressed"
        raise Refused("unsupported_media_type", detail)
    return kind


def _negotiated(accept: str, given: str, forms: Iterable[str] = FORMS) -> tuple[Form, str]:
    """The form of the answer, and its name: that of the request where several will do."""
    best, chosen = 0.0, given
    for name in (given, *forms) if accept else ():
        quality = _quality(accept, name)
        if quality > best:
            best, chosen = quality, name
    if accept and best == 0:
        raise Refused("not_acceptable", f"expected to answer one of {', '.join(forms)}")
    return FORMS[chosen], f"{chosen}; charset=utf-8" if chosen.startswith("text/") else chosen


def _quality(accept: str, name: str) -> float:
    """How much a form is wanted. A weight that is not one counts as none."""
    weight = weight_of(accept, name)
    return float(weight) if re.fullmatch(r"0(\.\d{0,3})?|1(\.0{0,3})?", weight) else 0.0

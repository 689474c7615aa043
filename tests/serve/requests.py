"""Requests for checks in bulk as the tests make them, and what is expected of a refusal."""

import json
from types import SimpleNamespace

from imeiset.serve.http.bulk import CHECKS

BLACK, CLEAR = "490154203237518", "352099001761481"
HOME = "234150999999999"
JSON, LINES = "application/json", "text/plain"
LIMITS = SimpleNamespace(rows=1000, bytes=100_000)


def ask(bulk, body, kind=JSON, query="", method="POST", path=CHECKS, **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return bulk.answer(method, path, query, {"content-type": kind} | given, body)


def refused(bulk, answer, status, cause, words=""):
    """Problem details of that status and cause, counted; nothing was checked."""
    told = json.loads(answer.body)
    assert (answer.status, told["status"], told.get("cause")) == (status, status, cause), told
    assert dict(answer.headers)["content-type"] == "application/problem+json"
    assert words in told["detail"], told
    assert bulk.counts.checks == {}
    assert bulk.counts.errors == {("http", cause): 1}
    assert BLACK[8:14] not in answer.body.decode()
    assert HOME[5:] not in answer.body.decode()
    return told

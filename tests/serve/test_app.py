"""The HTTP front as one application, under two kinds of servers: what is routed, refused, limited, kept."""

import asyncio
import gzip
import json
import logging
import re
import threading
import time
from dataclasses import replace

import pytest

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store, StoreError
from imeiset.serve import App, app
from imeiset.serve.config import Config, HttpConfig, LimitsConfig, OAuth2Config, StoreConfig
from imeiset.serve.config.values import Address
from imeiset.serve.http.answers import Answer
from imeiset.serve.http.eir import PATH
from imeiset.serve.http.gateway import Gateway, Work
from imeiset.serve.state import Counts

from .servers import PATIENCE

B = EquipmentStatus.BLACKLISTED
BLACK, OTHER = "490154203237518", "860123450000012"
CHECK = f"{PATH}?pei=imei-{BLACK}"
JSON = {"content-type": "application/json"}
BULK = json.dumps({"imeis": [BLACK, OTHER]}).encode()


@pytest.fixture
def store(tmp_path):
    register = Register()
    register.add("stolen", [BLACK], status=B)
    with Store.create(tmp_path / "eir", register) as made:
        yield made


GONE = object()


# ---- servers, as far as an application sees them ----


class Body:
    """Chunks that a client sends, and how many were asked for. A number among them is a pause; after GONE the
    client is gone."""

    def __init__(self, chunks):
        self.chunks, self.taken, self.gone = list(chunks), 0, asyncio.Event()

    async def next(self):
        while self.taken < len(self.chunks):
            chunk = self.chunks[self.taken]
            self.taken += 1
            if isinstance(chunk, float):
                await asyncio.sleep(chunk)
            elif chunk is GONE:
                self.gone.set()
                await asyncio.sleep(60)
            else:
                return chunk
        return None


async def by_rsgi(front, method, path, query, headers, body):
    class Headers(dict):
        def get_all(self, name):
            return [self[name]] if name in self else []

    class Scope:
        proto, query_string = "http", query

    class Protocol:
        answer = None

        begun = False

        def __aiter__(self):
            assert not self.begun  # as of granian, whose second is an error
            self.begun = True
            return self

        async def __anext__(self):
            chunk = await body.next()
            if chunk is None:
                raise StopAsyncIteration
            return chunk

        def response_bytes(self, *answer):
            assert self.answer is None
            assert method != "HEAD"
            self.answer = Answer(*answer)

        def response_empty(self, *answer):
            assert method == "HEAD"
            self.answer = Answer(*answer, b"")

        async def client_disconnect(self):
            await body.gone.wait()

    Scope.method, Scope.path, Scope.headers = method, path, Headers(headers)
    protocol = Protocol()
    await front.__rsgi__(Scope, protocol)
    return protocol.answer


async def by_asgi(front, method, path, query, headers, body, **scope):
    sent = []

    async def receive():
        coming = asyncio.ensure_future(body.next())
        going = asyncio.ensure_future(body.gone.wait())
        await asyncio.wait([coming, going], return_when=asyncio.FIRST_COMPLETED)
        going.cancel()
        if not coming.done():
            coming.cancel()
            return {"type": "http.disconnect"}
        chunk = coming.result()
        if chunk is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message):
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    given = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": pairs}
    await front({**given, **scope}, receive, send)
    if not sent:
        return None
    start, end = sent
    assert (start["type"], end["type"]) == ("http.response.start", "http.response.body")
    found = [(name.decode(), value.decode()) for name, value in start["headers"]]
    assert found[-1][0] == "content-length"
    assert int(found[-1][1]) == len(end["body"]) or (method, end["body"]) == ("HEAD", b"")
    return Answer(start["status"], found[:-1], end["body"])


async def mounted(front, method, path, *request):
    """As frameworks mount an application now: the path has that of the mount."""
    return await by_asgi(front, method, f"/eir{path}", *request, root_path="/eir")


async def mounted_before(front, method, path, *request):
    return await by_asgi(front, method, path, *request, root_path="/eir/")


SERVERS = [by_rsgi, by_asgi, mounted, mounted_before]


@pytest.fixture(params=SERVERS, ids=lambda server: server.__name__)
def ask(request):
    """One request to an application by each kind of server."""

    def asked(front, url, method="GET", body=(), **headers):
        path, _, query = url.partition("?")
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        given = body if isinstance(body, Body) else Body([body] if body else [])
        return asyncio.run(request.param(front, method, path, query, headers, given))

    return asked


def config(store, *, root="", oauth2=None, **limits):
    http = HttpConfig((Address("127.0.0.1", 0),), root=root, oauth2=oauth2, limits=LimitsConfig(**limits))
    return Config(StoreConfig(store._directory), http)


# ---- routes ----


def test_a_check(store, ask):
    assert ask(app(store), CHECK) == (
        200,
        [("content-type", "application/json")],
        b'{"status":"BLACKLISTED"}',
    )
    assert ask(app(store), CHECK, accept="text/html").status == 406
    assert ask(app(store), f"{PATH}?pei=imei-1").status == 400
    assert ask(app(store), CHECK, "HEAD").status == 405


def test_bulk(store, ask):
    answer = ask(app(store), "/v1/checks", "POST", BULK, **JSON)
    assert answer.status == 200
    assert [row["status"] for row in json.loads(answer.body)["results"]] == ["blacklisted", "whitelisted"]
    assert ask(app(store), "/v1/lists").status == 200
    assert ask(app(store), "/v1/checks").status == 405


def test_the_document(store, ask):
    answer = ask(app(store), "/openapi.json")
    assert (answer.status, json.loads(answer.body)["openapi"][:2]) == (200, "3.")
    assert ask(app(store), "/openapi.json", "POST", b"x").status == 405


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("/", "RESOURCE_URI_STRUCTURE_NOT_FOUND"),
        ("/v1", "RESOURCE_URI_STRUCTURE_NOT_FOUND"),
        ("/v1/checks/", "RESOURCE_URI_STRUCTURE_NOT_FOUND"),
        ("/n5g-eir-eic/v2/equipment-status", "INVALID_API"),
    ],
)
def test_elsewhere(store, ask, path, cause):
    answer = ask(app(store), path)
    assert json.loads(answer.body)["cause"] == cause
    assert answer.headers[0] == ("content-type", "application/problem+json")


def test_a_root(store, ask):
    front = App(store, config(store, root="/core/a"))
    assert ask(front, f"/core/a{CHECK}").status == 200
    assert ask(front, "/core/a/v1/lists").status == 200
    for path in (CHECK, "/v1/lists", f"/core/b{CHECK}", f"/core{CHECK}"):
        assert ask(front, path).status == 404


@pytest.mark.parametrize("uri", ["/x", PATH, "/v1/checks"])
def test_a_long_uri(store, ask, uri):
    answer = ask(App(store, config(store, uri=256)), f"{uri}?pei=imei-{BLACK}&x={'x' * 256}")
    assert (answer.status, json.loads(answer.body)["title"]) == (414, "URI Too Long")
    assert ask(App(store, config(store, uri=256)), CHECK).status == 200
    front = App(store, config(store, uri=256))
    ask(front, f"{uri}?x={'x' * 256}")
    assert front.counts.totals().errors == {("5g" if uri == PATH else "http", "uri"): 1}
    assert ask(app(store), f"{CHECK}&x={'x' * 2000}").status == 414
    assert ask(app(store), f"{CHECK}&x={'x' * 1900}").status == 200


def test_changes_are_answered_when_the_owner_refreshes(store, ask):
    front = app(store)
    url = f"{PATH}?pei=imei-{OTHER}"
    assert json.loads(ask(front, url).body) == {"status": "WHITELISTED"}
    store.apply(Delta("stolen", add=[OTHER]))
    assert json.loads(ask(front, url).body) == {"status": "BLACKLISTED"}


# ---- stores by path ----


def test_a_path_is_opened_and_watched(store, ask):
    front = app(store._directory, refresh=0.01)
    try:
        url = f"{PATH}?pei=imei-{OTHER}"
        assert json.loads(ask(front, url).body) == {"status": "WHITELISTED"}  # the first request opens it
        store.apply(Delta("stolen", add=[OTHER]))
        end = time.monotonic() + PATIENCE
        while json.loads(ask(front, url).body) != {"status": "BLACKLISTED"}:
            assert time.monotonic() < end
    finally:
        front.stop()


def test_a_path_without_a_store_is_an_error_at_once(tmp_path):
    with pytest.raises(StoreError):
        app(tmp_path / "nothing")


def test_a_store_that_cannot_be_opened_is_tried_again(store, tmp_path, ask, caplog):
    front = App(tmp_path / "later", refresh=0.01)
    for url in (CHECK, "/v1/lists", "/x"):
        answer = ask(front, url)
        assert (answer.status, json.loads(answer.body)["cause"]) == (503, "SYSTEM_FAILURE")
        assert ("retry-after", "1") in answer.headers
    assert "later" in front.fault
    time.sleep(0.02)
    ask(front, CHECK)
    assert len([one for one in caplog.records if "cannot be opened" in one.message]) == 1
    store._directory.rename(tmp_path / "later")
    time.sleep(0.02)
    try:
        assert ask(front, CHECK).status == 200
        assert front.fault is None
    finally:
        front.stop()


# ---- what fails ----


class Failing:
    """A store whose every answer is an error."""

    answers_malformed, lists = False, ()

    def __init__(self, error):
        self.error = error

    def check(self, *_):
        raise self.error

    check_unlisted = frozen = status = check


@pytest.mark.parametrize("error", [RuntimeError(BLACK), KeyError(BLACK), MemoryError(BLACK), TypeError("x")])
@pytest.mark.parametrize("request_", [(CHECK,), (f"{PATH}?pei=mac-1",), ("/v1/checks", "POST", BULK)])
def test_the_unexpected_is_an_error_and_never_a_verdict(ask, caplog, error, request_):
    answer = ask(App(Failing(error)), *request_, **JSON)
    assert (answer.status, json.loads(answer.body)["cause"]) == (500, "SYSTEM_FAILURE")
    [record] = [one for one in caplog.records if one.name.startswith("imeiset.serve")]
    assert record.levelno == logging.ERROR
    assert type(error).__name__ in record.getMessage()
    assert "test_app.py" in record.getMessage()
    assert not re.search(r"\d{9}", f"{record.getMessage()} {record.exc_info}")


def test_a_store_that_cannot_be_read(ask):
    front = App(Failing(StoreError("eir", "a store", "nothing")))
    for request_ in ((CHECK,), ("/v1/checks", "POST", BULK)):
        assert ask(front, *request_, **JSON).status == 503


# ---- bodies ----


def test_a_body_in_pieces(store, ask):
    pieces = Body([BULK[i : i + 7] for i in range(0, len(BULK), 7)])
    assert ask(app(store), "/v1/checks", "POST", pieces, **JSON).status == 200


def test_a_body_that_says_that_it_is_too_long_is_not_read(store, ask):
    front = App(store, config(store, bytes=1000))
    front._read = None
    for length in ("1001", "9" * 30, "9" * 5000, "0" * 5000 + "1001"):
        answer = ask(front, "/v1/checks", "POST", Body([b"x"]), content_length=length, **JSON)
        assert answer.status == 413
    assert ("http", "too_many_bytes") in front.counts.totals().errors


@pytest.mark.parametrize("length", [None, "12", "-1", "x", "\u0661", "1e9", "+5"])
def test_a_body_without_an_end_is_read_up_to_the_limit(store, ask, length):
    front = App(store, config(store, bytes=1000))
    body = Body([b"x" * 100_000] * 1000)
    headers = JSON if length is None else {**JSON, "content_length": length}
    answer = ask(front, "/v1/checks", "POST", body, **headers)
    assert answer.status == 413
    assert body.taken <= 1 + 170  # and some more that are thrown away
    assert front._held == front._under_way == 0


@pytest.mark.parametrize("length", ["0", str(len(BULK) + 1), str(len(BULK) - 1), "00"])
def test_a_body_of_another_length_than_it_says(store, ask, length):
    """Servers pass over a connection that ends too early: rows may be missing."""
    answer = ask(app(store), "/v1/checks", "POST", BULK, content_length=length, **JSON)
    assert answer.status == 400
    assert b"blacklisted" not in answer.body


def test_a_body_of_the_limit_is_read(store, ask):
    front = App(store, config(store, bytes=1000))
    assert ask(front, "/v1/checks", "POST", BULK.ljust(1000), content_length="1000", **JSON).status == 200
    assert ask(front, "/v1/checks", "POST", BULK.ljust(1001), **JSON).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "identity, gzip", "x"])
def test_a_compressed_body_is_not_read(store, ask, encoding):
    front = app(store)
    front._read = None
    answer = ask(front, "/v1/checks", "POST", gzip.compress(BULK), content_encoding=encoding, **JSON)
    assert answer.status == 415
    assert ("accept-encoding", "identity") in answer.headers


def test_identity_is_no_compression(store, ask):
    assert ask(app(store), "/v1/checks", "POST", BULK, content_encoding="Identity", **JSON).status == 200


def test_a_body_that_does_not_come(store, ask):
    front = app(store)
    front.patience = 0.05
    for body in (Body([b'{"imeis"', 60.0]), Body([b"x", 0.02] * 100)):
        assert ask(front, "/v1/checks", "POST", body, **JSON).status == 408
    assert front._held == front._under_way == 0


def test_a_client_that_is_gone(store, ask, caplog):
    front = app(store)
    front.patience = 1e6
    assert ask(front, "/v1/checks", "POST", Body([b"x", GONE]), **JSON) is None
    assert front._held == front._under_way == 0
    assert not caplog.records


def test_a_body_of_a_get_is_not_read(store, ask):
    front = app(store)
    front._read = None
    for url in (CHECK, "/v1/lists", "/openapi.json"):
        assert ask(front, url, "GET", b"x" * 100).status == 200


# ---- what is under way at a time ----


def asked_together(front, *bodies):
    """The answers to bulk requests that are all under way at a time."""

    async def run():
        return await asyncio.gather(
            *(
                by_rsgi(front, "POST", "/v1/checks", "", {"content-type": "application/json"}, body)
                for body in bodies
            )
        )

    return asyncio.run(run())


def test_requests_with_bodies_are_limited(store):
    front = App(store, config(store, concurrency=2))
    answers = asked_together(front, *(Body([0.05, BULK]) for _ in range(4)))
    assert [answer.status for answer in answers] == [200, 200, 503, 503]
    assert json.loads(answers[2].body)["cause"] == "NF_CONGESTION"
    assert ("retry-after", "1") in answers[2].headers
    assert asked_together(front, Body([BULK]))[0].status == 200
    assert front.counts.totals().errors == {("http", "NF_CONGESTION"): 2}


def test_checks_of_cores_are_not_limited_by_bodies(store):
    front = App(store, config(store, concurrency=1))

    async def run():
        slow = asyncio.ensure_future(
            by_rsgi(front, "POST", "/v1/checks", "", {"content-type": "application/json"}, Body([0.05, BULK]))
        )
        await asyncio.sleep(0)
        check = await by_rsgi(front, "GET", PATH, f"pei=imei-{BLACK}", {}, Body([]))
        assert not slow.done()
        return check, await slow

    assert [answer.status for answer in asyncio.run(run())] == [200, 200]


def test_the_memory_of_bodies_is_limited(store):
    front = App(store, config(store, bytes=1000))
    assert front.memory == 8000
    answers = asked_together(front, *(Body([BULK.ljust(900), 0.05]) for _ in range(10)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 8
    assert statuses.count(429) == 2
    refused = answers[statuses.index(429)]
    assert json.loads(refused.body)["cause"] == "NF_CONGESTION_RISK"
    assert ("retry-after", "1") in refused.headers
    assert front._held == 0


@pytest.mark.parametrize("rows", [3, 5000])  # in the loop, and in threads
def test_answers_of_bodies_are_not_swapped(store, rows):
    bodies = [
        json.dumps({"imeis": [BLACK if n >> (row % 4) & 1 else OTHER for row in range(rows)]}).encode()
        for n in range(16)
    ]
    pieces = [[body[:100], 0.001 * (n % 3), body[100:]] for n, body in enumerate(bodies)]
    answers = asked_together(app(store), *(Body(some) for some in pieces))
    for n, answer in enumerate(answers):
        said = [row["status"] == "blacklisted" for row in json.loads(answer.body)["results"]]
        assert said == [bool(n >> (row % 4) & 1) for row in range(rows)]


class Working(Gateway):
    """Work that waits until it is let go."""

    def __init__(self):
        self.go = threading.Event()
        self.names = set()

    def respond(self, method, path, query, headers):
        def work(body):
            self.names.add(threading.current_thread().name)
            if path == "/long":
                assert self.go.wait(PATIENCE)
            return Answer(200, [], body)

        return Work(100, work, lambda size: path == "/long")


def test_long_work_is_done_by_few_threads_and_the_loop_goes_on():
    front = Working()

    async def run():
        long = [
            asyncio.ensure_future(by_rsgi(front, "POST", "/long", "", {}, Body([b"x"]))) for _ in range(20)
        ]
        for _ in range(100):
            await asyncio.sleep(0)
        short = await by_rsgi(front, "POST", "/short", "", {}, Body([b"y"]))
        assert short.body == b"y"
        assert sorted(one.result().status for one in long if one.done()) == [503] * 4
        front.go.set()
        return [answer.status for answer in await asyncio.gather(*long)]

    assert sorted(asyncio.run(run())) == [200] * 16 + [503] * 4
    assert len(front.names - {threading.current_thread().name}) == 2
    front.stop()


# ---- tokens ----


@pytest.fixture
def oauth2(tmp_path):
    pytest.importorskip("jwt")
    from .test_tokens import NRF, public

    (tmp_path / "nrf.pem").write_bytes(public(NRF))
    return OAuth2Config((tmp_path / "nrf.pem",))


def token(**changed):
    from .test_tokens import bearer

    return {"authorization": bearer(**changed)}


REQUESTS = [(CHECK,), (f"{PATH}?pei=imei-1",), ("/v1/checks", "POST", BULK), ("/v1/lists",)]


@pytest.mark.parametrize("request_", REQUESTS)
def test_tokens_are_asked_for(store, ask, oauth2, request_):
    front = App(store, config(store, oauth2=oauth2))
    refused = ask(front, *request_, **JSON)
    assert (refused.status, refused.headers[1]) == (401, ("www-authenticate", "Bearer"))
    refused = ask(front, *request_, **JSON, **token(aud="AMF"))
    assert (refused.status, refused.headers[1]) == (401, ("www-authenticate", 'Bearer error="invalid_token"'))
    refused = ask(front, *request_, **JSON, **token(scope="x"))
    assert (refused.status, refused.headers[1]) == (
        403,
        ("www-authenticate", 'Bearer error="insufficient_scope"'),
    )
    assert ask(front, *request_, **JSON, **token()).status < 401
    errors = front.counts.totals().errors
    interface = "5g" if request_[0].startswith("/n5g") else "http"
    assert (
        errors.items()
        >= {(interface, word): 1 for word in ("no_token", "invalid_token", "insufficient_scope")}.items()
    )


@pytest.mark.parametrize("pieces", [1, 100, 1000])
@pytest.mark.parametrize("url", ["/v1/checks", CHECK, "/x", "/v1/lists"])
def test_a_body_that_nobody_needs_is_taken_off_the_line(store, ask, oauth2, url, pieces):
    """To its end, as long as that is near: many clients read no answer before."""
    body = Body([b"x" * 65_536] * pieces)
    front = App(store, config(store, oauth2=oauth2))
    front._read = None
    assert ask(front, url, "POST", body, **JSON).status in (401, 404, 405)
    assert body.taken == min(pieces, 257)
    assert not front._held


def test_a_body_that_nobody_needs_may_stop(store, ask, monkeypatch):
    monkeypatch.setattr("imeiset.serve.http.gateway._DISCARDING", 0.05)
    assert ask(app(store), "/x", "POST", Body([b"x", 60.0])).status == 404
    assert ask(app(store), "/x", "POST", Body([b"x", GONE])) is None


def test_bulk_without_tokens(store, ask, oauth2):
    front = App(store, config(store, oauth2=replace(oauth2, bulk=False)))
    assert ask(front, CHECK).status == 401
    assert ask(front, "/v1/checks", "POST", BULK, **JSON).status == 200
    assert ask(front, "/v1/lists").status == 200


def test_the_document_needs_no_token(store, ask, oauth2):
    assert ask(App(store, config(store, oauth2=oauth2)), "/openapi.json").status == 200


def test_another_configuration(store, ask, oauth2):
    front = app(store)
    assert ask(front, CHECK).status == 200
    front.use(config(store, oauth2=oauth2, bytes=1000, uri=256))
    assert ask(front, CHECK).status == 401
    assert ask(front, CHECK, **token()).status == 200
    assert ask(front, "/v1/checks", "POST", BULK.ljust(1001), **JSON, **token()).status == 413
    from .test_tokens import STRANGER, public

    oauth2.keys[0].write_bytes(public(STRANGER))  # new keys: nothing that the old ones signed is taken
    front.use(config(store, oauth2=oauth2))
    assert ask(front, CHECK, **token()).status == 401
    front.use(config(store))
    assert ask(front, CHECK).status == 200


def test_a_bad_configuration_changes_nothing(store, ask, oauth2):
    front = App(store, config(store, oauth2=oauth2))
    oauth2.keys[0].write_bytes(b"x")
    with pytest.raises(ValueError, match=r"http\.oauth2\.keys"):
        front.use(config(store, oauth2=oauth2))
    assert ask(front, CHECK).status == 401
    assert ask(front, CHECK, **token()).status == 200


# ---- servers and what is counted ----


def test_counts(store, ask):
    counts = Counts()
    front = App(store, counts=counts)
    ask(front, CHECK)
    ask(front, "/v1/checks", "POST", BULK, **JSON)
    ask(front, f"{PATH}?pei=imei-1")
    ask(front, "/x")
    totals = counts.totals()
    assert totals.checks == {("5g", B, "exact"): 1, ("http", B, "exact"): 1, ("http", 0, "default"): 1}
    assert sum(totals.errors.values()) == 2


def test_lifespan(store):
    front = App(store._directory)
    sent = []

    async def run():
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive():
            return next(messages)

        async def send(message):
            sent.append(message["type"])
            assert front.store._watcher is not None or "shutdown" in message["type"]

        await front({"type": "lifespan"}, receive, send)

    asyncio.run(run())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert front.store._watcher is None


def test_web_sockets_are_closed(store):
    sent = []

    async def send(message):
        sent.append(message["type"])

    asyncio.run(app(store)({"type": "websocket", "path": PATH}, None, send))
    assert sent == ["websocket.close"]

    class Scope:
        proto = "ws"

    class Protocol:
        def close(self, status=None):
            sent.append(status)

    asyncio.run(app(store).__rsgi__(Scope, Protocol()))
    assert sent[1] == 404


def test_several_headers_of_one_name_are_one(store):
    body = Body([])

    async def run():
        sent = []

        async def send(message):
            sent.append(message)

        headers = [(b"Accept", b"text/html"), (b"accept", b"application/json")]
        scope = {"type": "http", "method": "GET", "path": PATH, "headers": headers}
        await app(store)({**scope, "query_string": f"pei=imei-{BLACK}".encode()}, body.next, send)
        return sent[0]["status"]

    assert asyncio.run(run()) == 200


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
def test_mounts_of_frameworks(store, framework):
    pytest.importorskip(framework)
    if framework == "starlette":
        from starlette.applications import Starlette

        outer = Starlette()
    else:
        from fastapi import FastAPI

        outer = FastAPI()
    outer.mount("/eir", app(store))

    async def run(path):
        return await by_asgi(outer, "GET", path, f"pei=imei-{BLACK}", {}, Body([]), root_path="")

    assert json.loads(asyncio.run(run(f"/eir{PATH}")).body) == {"status": "BLACKLISTED"}
    assert asyncio.run(run(f"/eir/eir{PATH}")).status == 404
    assert asyncio.run(run("/eir/v1/lists")).status == 200


def test_sets_and_registers_answer_checks_too():
    """Not documented, and of use in tests of others."""
    register = Register()
    register.add("stolen", ImeiSet([BLACK]), status=B)
    assert App(register).respond("GET", PATH, f"pei=imei-{BLACK}", {}).status == 200

"""A folder somewhere, as `imeiset.trust.places` has it: local, behind http, and through fsspec."""

import http.server
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import ClassVar

import pytest

from imeiset.errors import TrustMissing, TrustRefused, TrustUnreachable
from imeiset.trust import places, web
from imeiset.trust.places import Place

from .hostile import left_behind

BYTES = bytes(range(256)) * 1000


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; of them, what a server may do to them, as the last part of the path says."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str | None, str | None]]] = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
        if self.path.startswith("/moved/"):  # to a port
            _, _, port, rest = self.path.split("/", 3)
            self.send_response(307)
            here = f"http://127.0.0.1:{self.server.server_port}/{rest}"
            others = {"0": f"/{rest}", "here": here.replace("//", "//him@").replace("http", "HTTP")}
            self.send_header("Location", others.get(port, f"http://127.0.0.1:{port}/{rest}"))
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"gone")
        elif self.path.startswith("/status/"):
            self.send_response(int(self.path.split("/")[2]))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith("/silent/"):
            time.sleep(1.5)
            self.close_connection = True
        elif self.path.startswith("/slow/"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            for _ in range(20):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
            self.close_connection = True
        elif self.path.startswith("/short/"):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 5000)
            self.close_connection = True
        elif self.path.startswith("/endless/"):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.close_connection = True
        elif self.path.startswith("/ranges/") and "Range" in self.headers:
            start, end = self.headers["Range"].removeprefix("bytes=").split("-")
            data = BYTES[int(start) : int(end) + 1]
            if not data:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(data) - 1}/{len(BYTES)}")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        elif self.path.startswith("/wrong/"):
            self.send_response(206)
            self.send_header("Content-Range", f"bytes 0-9/{len(BYTES)}")
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(BYTES[:10])
        elif self.path.startswith("/steady/"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BYTES)))
            self.end_headers()
            for at in range(0, len(BYTES), 1 << 14):
                self.wfile.write(BYTES[at : at + (1 << 14)])
                self.wfile.flush()
                time.sleep(0.1)
        elif self.path.startswith("/ranges/"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BYTES)))
            self.end_headers()
            self.wfile.write(BYTES)
        else:
            super().do_GET()


@contextmanager
def served(folder):
    class Here(Handler):
        asked: ClassVar = []

        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", Here.asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=["local", "file", "memory"])
def place(request, tmp_path):
    if request.param == "local":
        return Place(tmp_path / "lists")
    if request.param == "file":
        return Place(f"file://{tmp_path}/lists")
    pytest.importorskip("fsspec")
    return Place(f"memory://{tmp_path.name}{os.urandom(4).hex()}")


def pieces(place, name, start, length):
    return b"".join(place.pieces(name, start, length))


def test_files_are_put_listed_read_in_ranges_and_removed(place, tmp_path):
    assert place.names("targets") == []
    with pytest.raises(TrustMissing, match=r"targets/a.imei: expected a file, got none of that name"):
        place.read("targets/a.imei", 10)
    (tmp_path / "local.imei").write_bytes(BYTES)
    place.put("targets/a.imei", tmp_path / "local.imei")
    place.put_bytes("targets/b.imei", b"old")
    place.put_bytes("targets/b.imei", b"")
    place.put_bytes("timestamp.json", b"{}")
    assert place.names("targets") == ["a.imei", "b.imei"]
    assert place.names() == ["timestamp.json"]
    assert place.read("targets/a.imei", len(BYTES)) == BYTES
    assert place.read("targets/b.imei", 5) == b""
    for start, length in [(0, 10), (5, 7), (100_000, 10**6), (len(BYTES) - 1, 5), (len(BYTES), 5), (0, 0)]:
        assert pieces(place, "targets/a.imei", start, length) == BYTES[start : start + length]
    with pytest.raises(TrustRefused, match="at most 255999 bytes, got more"):
        place.read("targets/a.imei", len(BYTES) - 1)
    place.remove("targets/a.imei")
    place.remove("targets/a.imei")
    assert place.names("targets") == ["b.imei"]


def test_a_missing_file_is_an_error_of_its_own():
    assert issubclass(TrustMissing, TrustUnreachable | FileNotFoundError)


@pytest.mark.parametrize(
    "name", ["../a", "a/../b", "/a", "a//b", ".a", "a/.b", "a b", "", "ä", "a\n", "a%2e"]
)
def test_names_that_lead_elsewhere_are_refused(place, name):
    for call in (lambda: place.read(name, 1), lambda: place.put_bytes(name, b""), lambda: place.remove(name)):
        with pytest.raises(ValueError, match="expected a name of letters"):
            call()


def test_a_local_file_that_cannot_be_put_leaves_the_old_one(tmp_path, monkeypatch):
    place = Place(tmp_path)
    place.put_bytes("timestamp.json", b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        TrustUnreachable, match=r"timestamp.json: expected a place that can be written to, got No space left"
    ):
        place.put_bytes("timestamp.json", b"new")
    assert (tmp_path / "timestamp.json").read_bytes() == b"old"
    assert place.names() == ["timestamp.json"]


def test_a_pipe_on_a_stick_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "timestamp.json")
    with pytest.raises(TrustUnreachable, match="not a regular file"):
        Place(tmp_path).read("timestamp.json", 10)
    assert Place(tmp_path).names() == []


def test_credentials_are_never_shown(tmp_path):
    pytest.importorskip("urllib3")
    with served(tmp_path) as (url, _):
        shown = url.replace("http://", "http://***@") + "/lists?***"
        place = Place(url.replace("http://", "http://someone:secret@") + "/lists?sig=secret")
        assert str(place) == shown
        with pytest.raises(TrustMissing) as caught:
            place.read("timestamp.json", 10)
        assert "secret" not in str(caught.value)
        assert "timestamp.json" in str(caught.value)
    with pytest.raises(TrustUnreachable) as caught:
        place.read("timestamp.json", 10)
    assert "secret" not in str(caught.value)


def test_the_query_of_a_url_goes_with_every_file(tmp_path):
    pytest.importorskip("urllib3")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "a.json").write_bytes(b"{}")
    with served(tmp_path) as (url, asked):
        assert Place(f"{url}/?sig=1%2F2").read("metadata/a.json", 10) == b"{}"
        assert [path for path, _, _ in asked] == ["/metadata/a.json?sig=1%2F2"]


@pytest.mark.parametrize("how", ["ranges", "files"])
def test_the_web_is_read_in_ranges_where_it_has_them(tmp_path, how):
    pytest.importorskip("urllib3")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.imei").write_bytes(BYTES)
    with served(tmp_path) as (url, asked):
        place = Place(f"{url}/{how}")
        assert place.read("a.imei", len(BYTES)) == BYTES
        for start, length in [(0, 10), (5, 7), (200_000, 10**6), (len(BYTES) - 1, 5), (len(BYTES), 5)]:
            assert pieces(place, "a.imei", start, length) == BYTES[start : start + length]
        assert [said for _, said, _ in asked] == [
            None,
            None,
            "bytes=5-11",
            "bytes=200000-1199999",
            "bytes=255999-256003",
            "bytes=256000-256004",
        ]


def test_what_comes_before_takes_as_long_as_it_takes(tmp_path, monkeypatch):
    """Or a long file whose first part is here would never come from a server that has no ranges."""
    pytest.importorskip("urllib3")
    monkeypatch.setattr(places, "_OF_A_PIECE", 0.7)
    with served(tmp_path) as (url, _):
        place = Place(f"{url}/steady")
        assert pieces(place, "a.imei", len(BYTES) - 10, 11) == BYTES[-10:]
        assert pieces(place, "a.imei", len(BYTES) + 10, 11) == b""


def test_a_server_that_does_not_end_is_not_read_to_the_end(tmp_path):
    pytest.importorskip("urllib3")
    with served(tmp_path) as (url, _):
        with pytest.raises(TrustRefused, match="at most 100000 bytes"):
            Place(f"{url}/endless").read("a.json", 100_000)
        assert len(pieces(Place(f"{url}/endless"), "a.json", 1000, 100_000)) == 100_000


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ("status/404", TrustMissing, "none of that name"),
        ("status/403", TrustUnreachable, "forbidden"),
        ("status/500", TrustUnreachable, "status 500"),
        ("status/204", TrustUnreachable, "status 204"),
        ("silent", TrustUnreachable, "timed out|Max retries|slow"),
        ("slow", TrustUnreachable, "slow"),
        ("short", TrustUnreachable, "IncompleteRead|incomplete"),
    ],
)
def test_what_servers_do_is_said_in_time(tmp_path, monkeypatch, how, error, said):
    pytest.importorskip("urllib3")
    monkeypatch.setattr(web, "SECONDS", 0.4)
    monkeypatch.setattr(places, "_OF_A_PIECE", 0.9)
    with served(tmp_path) as (url, _):
        began = time.monotonic()
        with pytest.raises(TrustUnreachable, match=said) as caught:
            Place(f"{url}/{how}").read("a.json", 100_000)
        assert type(caught.value) is error
        assert isinstance(caught.value.__cause__, PermissionError) == (how == "status/403")
        assert time.monotonic() - began < 10


def test_redirects_are_followed_and_others_get_no_credentials(tmp_path):
    pytest.importorskip("urllib3")
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_text(folder)
    with served(tmp_path / "one") as (url, asked), served(tmp_path / "other") as (other, asked_there):
        url, port = url.replace("//", "//me:secret@"), other.rpartition(":")[2]
        for path, data in (
            ("moved/0", b"one"),
            (f"moved/{port}", b"other"),
            (f"moved/here/moved/{port}", b"other"),
        ):
            assert Place(f"{url}/{path}").read("a.json", 10) == data
        assert [path for path, _, _ in asked] == [
            "/moved/0/a.json", "/a.json", f"/moved/{port}/a.json", f"/moved/here/moved/{port}/a.json",
            f"/moved/{port}/a.json",
        ]  # fmt: skip
        assert [path for path, _, _ in asked_there] == ["/a.json"] * 2
        assert {allowed for *_, allowed in asked} == {"Basic bWU6c2VjcmV0"}
        assert {allowed for *_, allowed in asked_there} == {None}
        with pytest.raises(TrustUnreachable, match="more than 3 redirects"):
            Place(f"{url}{'/moved/0' * 4}").read("a.json", 10)
        assert Place(f"{url}{'/moved/0' * 3}").read("a.json", 10) == b"one"


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("http://lists.example/a", "http://LISTS.example:80/b", True),
        ("https://lists.example:443/a", "https://him@lists.example/b", True),
        ("https://lists.example/a", "http://lists.example/b", False),
        ("http://lists.example/a", "http://lists.example:8080/b", False),
        ("http://lists.example/a", "http://evil.example\\@lists.example/b", False),
        ("http://lists.example/a", "http://lists.example@evil.example/b", False),
    ],
)
def test_which_hosts_are_the_same(before, after, same):
    pytest.importorskip("urllib3")
    at = web.Web(before)
    assert (at._host_of(before) == at._host_of(after)) is same


def test_a_fault_of_one_file_does_not_end_the_reading_of_another(tmp_path):
    pytest.importorskip("urllib3")
    with served(tmp_path) as (url, _):
        place, got = Place(url), 0
        for piece in place.pieces("steady/a.imei", 0, len(BYTES)):
            got += len(piece)
            with pytest.raises(TrustUnreachable, match="500"):
                place.read("status/500/a", 10)
        assert got == len(BYTES)


class Stop(BaseException):
    """What interrupts."""


def test_an_interrupted_call_ends_what_it_began(tmp_path):
    pytest.importorskip("urllib3")

    def stop(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    with served(tmp_path) as (url, _):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            with pytest.raises(Stop):
                Place(f"{url}/silent").read("a.json", 10)
            assert not left_behind(1.0), "the call went on"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def test_a_range_that_was_not_asked_for_is_not_taken(tmp_path):
    pytest.importorskip("urllib3")
    with served(tmp_path) as (url, _), pytest.raises(TrustUnreachable, match="not asked for"):
        pieces(Place(f"{url}/wrong"), "a.imei", 100, 10)


def test_who_does_not_answer_is_named():
    pytest.importorskip("urllib3")
    with pytest.raises(
        TrustUnreachable, match=r"127.0.0.1:1/lists/a.json: expected a place that can be read"
    ):
        Place("http://127.0.0.1:1/lists").read("a.json", 10)


def test_a_web_server_is_only_read():
    pytest.importorskip("urllib3")
    place = Place("https://127.0.0.1:1/lists")
    for call in (lambda: place.put_bytes("a", b""), lambda: place.remove("a"), lambda: place.names()):
        with pytest.raises(TrustUnreachable, match="a web server"):
            call()


def test_a_protocol_that_nobody_has_is_named():
    pytest.importorskip("fsspec")
    with pytest.raises(TrustUnreachable, match="nowhere"):
        Place("nowhere://lists").read("a", 1)


def test_places_that_show_files_while_they_are_written_get_them_by_a_rename(monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    place = Place(f"memory://{os.urandom(4).hex()}")
    monkeypatch.setattr(places, "_RENAMED", {"memory"})
    moved = []
    real = fsspec.implementations.memory.MemoryFileSystem.mv
    monkeypatch.setattr(
        fsspec.implementations.memory.MemoryFileSystem,
        "mv",
        lambda self, old, new: (moved.append((old[-7:], new[-2:])), real(self, old, new)),
    )
    place.put_bytes("b/a", b"1")
    place.put_bytes("b/a", b"2")
    assert place.names("b") == ["a"]
    assert place.read("b/a", 5) == b"2"
    assert moved == [(".a.part", "/a")] * 2

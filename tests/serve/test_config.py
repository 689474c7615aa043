"""The configuration of the fronts: what is read, what is refused and how, what a new one changes."""

import dataclasses
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from imeiset import Register, Store
from imeiset.cli import main
from imeiset.errors import ServeConfigError
from imeiset.serve import config as configuration
from imeiset.serve.config import Config, dumped, loaded, pinned, read, understood, with_fixed
from imeiset.serve.config.example import example
from imeiset.serve.config.values import Address

FILES = ("tls.crt", "tls.key", "clients.pem", "nrf.pem", "root.json")
# Each section in full, as a table of the form of the file.
STORE = {"path": "eir"}
HTTP = {"listen": "127.0.0.1:8080"}
TLS = {"certificate": "tls.crt", "key": "tls.key"}
PEER = {"identity": "mme.example.org", "addresses": ["10.1.2.0/24"]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a configuration finds a store and its files."""
    Store.create(tmp_path / "eir", Register()).close()
    for name in FILES:
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classes(kind=Config):
    """The classes of all tables."""
    found = [kind]
    for one in dataclasses.fields(kind):
        if isinstance(reader := one.metadata["read"], type):
            found += classes(reader)
    return found


# ---- the sample ----


def test_the_sample_loads_as_it_is(folder):
    (folder / "eir.toml").write_text(example())
    found = read(folder / "eir.toml")
    assert found.store.path == folder / "eir"
    assert found.http.tls is found.http.oauth2 is None
    assert found.http.listen == (Address("127.0.0.1", 8080),)
    assert found.diameter.peers == ()
    assert found.admin.listen == (Address("127.0.0.1", 9090),)


def test_the_sample_has_every_key_with_its_default_and_a_comment(folder):
    lines = example().splitlines()
    whole = [
        line.removeprefix("# ") if line.startswith(("# [", "# ")) and "=" in line else line for line in lines
    ]
    whole = [line.removeprefix("# ") if line.startswith("# [") else line for line in whole]
    tables = tomllib.loads("\n".join(line for line in whole if not line.startswith("# ")))
    found = understood(tables)

    def compare(kind, given, seen):
        assert given.keys() == {one.name for one in dataclasses.fields(kind)}
        for one in dataclasses.fields(kind):
            reader, value = one.metadata["read"], getattr(seen, one.name)
            if isinstance(reader, type):
                inner = given[one.name]
                compare(
                    reader, inner[0] if one.default == () else inner, value[0] if one.default == () else value
                )
            elif not one.metadata["example"]:
                made = one.default_factory
                assert value == (made() if one.default is dataclasses.MISSING else one.default), one.name

    compare(Config, tables, found)
    for one in (one for kind in classes() for one in dataclasses.fields(kind)):
        said = [line for line in whole if line.split(" ")[0].strip("[]").split(".")[-1] == one.name]
        assert said, one.name
        if not isinstance(one.metadata["read"], type):
            assert all("  # " in line for line in said), one.name


def test_every_key_is_read():
    for kind in classes():
        for one in dataclasses.fields(kind):
            assert one.metadata["read"], (kind, one.name)


# ---- what is understood ----


def test_the_least(folder):
    found = understood({"store": STORE, "http": HTTP})
    assert (found.diameter, found.admin) == (None, None)
    assert (found.store.refresh, found.http.workers, found.run.drain) == (0.25, configuration.cores(), 5.0)


def test_paths_are_relative_to_the_file(folder, monkeypatch):
    (folder / "eir.toml").write_text(
        '[store]\npath = "eir"\n[http]\nlisten = "[::1]:0"\n'
        '[http.tls]\ncertificate = "tls.crt"\nkey = "tls.key"\n'
    )
    monkeypatch.chdir("/")
    found = read(folder / "eir.toml")
    assert (found.store.path, found.http.tls.key) == (folder / "eir", folder / "tls.key")
    assert found.http.listen == (Address("::1", 0),)
    monkeypatch.chdir(folder)
    assert read("eir.toml") == found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("26h", 93_600), ("15m", 900), ("2d", 172_800), ("90s", 90), (60, 60), ("1.5h", 5400)],
)
def test_times(folder, text, seconds):
    found = understood({"store": STORE, "http": HTTP, "ready": {"max_age": {"stolen": text}}})
    assert found.ready.max_age == {"stolen": seconds}


def test_what_is_published_is_what_is_read_again(folder):
    tables = {
        "store": STORE,
        "http": {**HTTP, "tls": TLS, "oauth2": {"keys": ["nrf.pem"]}, "workers": 3, "root": "/eir/"},
        "diameter": {"listen": ["127.0.0.1:3868", "[::1]:3868"], "peers": [PEER, PEER]},
        "admin": {"listen": "localhost:9090"},
        "ready": {"max_age": {"stolen": "26h"}},
    }
    found = understood(tables)
    assert found.http.root == "/eir"
    for name in FILES:
        (folder / name).unlink()
    assert loaded(dumped(found)) == found
    assert isinstance(loaded(dumped(found)).http.tls.key, Path)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("store", "path", "nowhere", "the directory of a store, got 'nowhere'"),
        ("store", "path", "tls.crt", "the directory of a store"),
        ("store", "path", 7, "a text, got 7"),
        ("store", "path", " ", "a text of printable characters"),
        ("store", "path", "x" * 5000, "the directory of a store"),
        pytest.param("store", "refresh", 10**400, "0.01 to 3,600 seconds", id="more than a float"),
        ("store", "refresh", 0, "0.01 to 3,600 seconds"),
        ("store", "refresh", True, "got true"),
        ("store", "refresh", float("nan"), "got nan"),
        ("store", "refresh", float("inf"), "got inf"),
        ("store", "refresh", "soon", 'such a time as "5s", "15m", "26h" or "7d", got \'soon\''),
        ("http", "listen", "127.0.0.1", 'an IP address and a port: "127.0.0.1:8080", "[::1]:8080", got'),
        ("http", "listen", "127.0.0.1:", "an IP address and a port"),
        ("http", "listen", "127.0.0.1:65536", "an IP address and a port"),
        ("http", "listen", "127.0.0.1:-1", "an IP address and a port"),
        ("http", "listen", "127.0.0.1:" + "9" * 5000, "an IP address and a port"),
        ("http", "listen", "127.0.0.1:\uff18\uff10", "an IP address and a port"),
        ("http", "listen", "::1:8080", "an IP address and a port"),
        ("http", "listen", "eir.example.org:8080", "an IP address and a port"),
        ("http", "listen", 8080, "a list, got 8080"),
        ("http", "listen", [], "a list of at least one"),
        ("http", "listen", [8080], "an IP address and a port"),
        ("http", "workers", 0, "a whole number from 1 to 1,024, got 0"),
        ("http", "workers", "2", "a whole number from 1 to 1,024, got '2'"),
        ("http", "workers", 2.0, "a whole number"),
        ("http", "workers", True, "a whole number from 1 to 1,024, got true"),
        ("http", "root", "eir", 'a path such as "/eir", or ""'),
        ("http", "root", "/a b", 'a path such as "/eir"'),
        ("http", "open", "yes", "true or false, got 'yes'"),
        ("http", "tls", True, "a table: [http.tls], got true"),
        ("http", "tls", {}, "PEM, with the chain: certificate = "),
        ("http", "tls", {**TLS, "key": "none.key"}, "a file that is there"),
        ("http", "tls", {**TLS, "key": "eir"}, "a file that is there"),
        ("http", "tls", {**TLS, "key": "x" * 5000}, "a file that is there"),
        ("http", "oauth2", {"keys": []}, "a list of at least one"),
        ("http", "oauth2", {"keys": ["none.pem"]}, "a file that is there"),
        ("http", "oauth2", {"keys": ["nrf.pem"], "algorithms": ["none"]}, "one of ES256, ES384"),
        ("http", "oauth2", {"keys": ["nrf.pem"], "algorithms": ["HS256"]}, "one of ES256, ES384"),
        ("http", "oauth2", {"keys": ["nrf.pem"], "leeway": -1}, "0 to 300 seconds"),
        ("http", "oauth2", {"keys": ["nrf.pem"], "audience": []}, "a list of at least one"),
        ("http", "limits", {"rows": 0}, "a whole number from 1"),
        ("http", "limits", {"uri": 10}, "a whole number from 256"),
        ("http", "adress", "127.0.0.1:80", "expected one of listen, workers"),
        ("http", "worker", 2, "expected workers, got a key that is not known"),
        ("diameter", "identity", "", 'a name such as "eir.example.org"'),
        ("diameter", "identity", "a b", 'a name such as "eir.example.org"'),
        ("diameter", "realm", "x" * 300, 'a name such as "eir.example.org"'),
        ("diameter", "watchdog", 0, "0.1 to 3,600 seconds"),
        ("diameter", "peers", {}, "tables: [[diameter.peers]]"),
        ("diameter", "peers", [{"identity": "a.b"}], "where it connects from"),
        (
            "diameter",
            "peers",
            [{**PEER, "addresses": ["10.1.2.3/24"]}],
            'an address or a network: "10.1.2.3"',
        ),
        ("diameter", "peers", [{**PEER, "addresses": []}], "a list of at least one"),
        ("diameter", "peers", ["mme"], "a table: [diameter.peers[0]]"),
        ("ready", "max_age", {"stolen": "later"}, "1 to 316,224,000 seconds"),
        ("ready", "max_age", 7, "a table of times by list"),
        ("log", "level", "loud", "one of debug, info, warning, error"),
        ("log", "format", "xml", "one of json, text"),
        ("run", "drain", 601, "0 to 600 seconds"),
    ],
)
def test_a_value_that_is_none(folder, section, key, value, expected):
    tables = {
        "store": STORE,
        "http": HTTP,
        "diameter": {"listen": "127.0.0.1:3868"},
        "admin": {"listen": "127.0.0.1:9090"},
    }
    tables[section] = {**tables.get(section, {}), key: value}
    with pytest.raises(ServeConfigError) as caught:
        understood(tables, "eir.toml")
    assert str(caught.value).startswith(f"eir.toml: {section}.{key}")
    assert expected in str(caught.value)
    assert caught.value.key.startswith(f"{section}.{key}")
    assert caught.value.path == "eir.toml"


def test_the_full_name_of_a_key_in_a_table_of_a_table(folder):
    peers = [PEER, {**PEER, "identity": 7}]
    tables = {"store": STORE, "diameter": {"listen": "127.0.0.1:0", "peers": peers}}
    with pytest.raises(ServeConfigError, match=r"^diameter\.peers\[1\]\.identity: expected a text, got 7"):
        understood(tables)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({}, r"store: expected a table: \[store\], got no such key"),
        ({"store": STORE}, r"http: expected one of \[http\], \[diameter\] and \[admin\], got none"),
        ({"store": STORE, "htp": HTTP}, "htp: expected http, got a key that is not known"),
        ({"store": STORE, "http": {}}, r'http\.listen: expected where; a list is allowed: listen = "127'),
        (
            {"store": STORE, "http": HTTP, "admin": {"listen": "127.0.0.1:8080"}},
            r"admin\.listen: expected an address of its own, got 127\.0\.0\.1:8080, which http\.listen has",
        ),
        (
            {"store": STORE, "http": {"listen": ["127.0.0.1:8080", "127.0.0.1:8080"]}},
            r"http\.listen: expected an address of its own, got 127\.0\.0\.1:8080, which http\.listen has",
        ),
    ],
)
def test_tables_that_are_not_there_or_contradict_one_another(folder, tables, expected):
    with pytest.raises(ServeConfigError, match=expected):
        understood(tables)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[store", "expected TOML, got "),
        (b"\xff", "expected TOML in UTF-8, got other bytes"),
        (b"a=" + b"9" * 5000, "expected TOML, got Exceeds the limit"),
        (b"a=" + b"[" * 20000, "expected TOML, got tables or lists too deep in one another"),
        (b"#" * (1 << 21), "expected a configuration of at most 1,048,576 bytes, got a larger file"),
        (None, "expected a readable file, got No such file or directory"),
    ],
)
def test_files_that_are_none(folder, data, expected):
    if data is not None:
        (folder / "eir.toml").write_bytes(data)
    with pytest.raises(ServeConfigError, match=expected) as caught:
        read(folder / "eir.toml")
    assert caught.value.path == str(folder / "eir.toml")


def test_values_are_masked(folder):
    with pytest.raises(ServeConfigError) as caught:
        understood({"store": {"path": "490154203237518"}})
    assert "323751" not in str(caught.value)


# ---- addresses of others ----

OPEN = "10.0.0.1:3868"


@pytest.mark.parametrize(
    ("section", "table", "is_met"),
    [
        ("http", {}, False),
        ("http", {"tls": TLS}, False),
        ("http", {"tls": {**TLS, "client_ca": "clients.pem"}}, True),
        ("http", {"oauth2": {"keys": ["nrf.pem"]}}, True),
        ("http", {"oauth2": {"keys": ["nrf.pem"], "bulk": False}}, False),
        ("http", {"oauth2": {"keys": ["nrf.pem"], "bulk": False}, "open": True}, True),
        ("http", {"open": True}, True),
        ("diameter", {}, False),
        ("diameter", {"peers": []}, False),
        ("diameter", {"peers": [PEER]}, True),
        ("admin", {}, False),
        ("admin", {"open": True}, True),
    ],
)
@pytest.mark.parametrize(
    "address", [OPEN, "0.0.0.0:0", "[::]:8080", "[::ffff:10.0.0.1]:1", ["127.0.0.1:1", OPEN]]
)
def test_an_address_of_others_starts_only_where_the_risk_is_met(folder, section, table, is_met, address):
    tables = {"store": STORE, section: {"listen": address, **table}}
    if is_met:
        assert understood(tables)
        return
    with pytest.raises(
        ServeConfigError, match=rf"^{section}\.listen: expected a loopback address, or another"
    ):
        understood(tables)


# ---- the command ----


def run(*arguments):
    """A command's exit code and output."""
    ran = CliRunner().invoke(main, ["serve", *map(str, arguments)], prog_name="imeiset")
    return ran.exit_code, ran.output


def test_the_command_prints_the_sample():
    assert run("--example") == (0, example())


def test_the_command_checks(folder):
    pytest.importorskip("granian")
    code, said = run("eir", "--check", "--http", "127.0.0.1:0")
    assert (code, said) == (0, f"store {folder / 'eir'}: generation 1, change 0: no lists\n")
    (folder / "eir.toml").write_text(example())
    assert run(folder / "eir.toml", "--check")[0] == 0
    (folder / "eir.toml").write_text(example().replace("max_age = {}", "max_age = { stolen = 5 }"))
    assert "ready.max_age.stolen: the store has no such list" in run("eir.toml", "--check")[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "a configuration or a store is missing; --example prints a configuration"),
        (("eir.toml", "--http", "127.0.0.1:0"), "--http is for a store; eir.toml says all itself"),
        (("eir.toml", "--workers", "2"), "--workers is for a store"),
        (("eir.toml",), "eir.toml: expected a readable file, got No such file"),
        (("nowhere",), "nowhere: expected a readable file, got No such file"),
        (("eir", "--http", "8080"), "--http: expected an IP address and a port"),
        (("eir", "--http", "127.0.0.1:0", "--workers", "0"), "--workers: expected a whole number from 1"),
        (("eir", "--admin", "127.0.0.1:0", "--workers", "2"), "--http: expected where"),
        (("eir", "--http", OPEN), "in a configuration (--example prints one), got 10.0.0.1:3868"),
        (("eir", "--diameter", OPEN), "who may connect in a configuration"),
    ],
)
def test_the_command_refuses(folder, arguments, expected):
    for extra in ([], ["--check"]):
        code, said = run(*arguments, *extra)
        assert code == 2
        assert expected in said
        assert "Traceback" not in said


@pytest.mark.parametrize("library", ["granian", "prometheus_client"])
def test_a_library_that_is_missing_is_named(folder, library):
    (folder / "missing").mkdir()
    (folder / "missing" / f"{library}.py").write_text(f"raise ModuleNotFoundError(name={library!r})\n")
    path = os.pathsep.join([str(folder / "missing"), *sys.path])
    command = [sys.executable, "-m", "imeiset", "serve", "eir", "--admin", "127.0.0.1:0"]
    ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.endswith(": pip install 'imeiset[serve]'\n")


def test_help_imports_nothing_of_it():
    code = """
import sys
from imeiset.cli import main
main(["--help"], standalone_mode=False)
print(sorted(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Answer equipment checks" in ran.stdout
    assert "'imeiset.serve" not in ran.stdout
    assert "'imeiset.cli.serve'" in ran.stdout


# ---- copies, and what stays ----


def test_copies_of_files(folder):
    tables = {"store": STORE, "http": {**HTTP, "tls": TLS, "oauth2": {"keys": ["nrf.pem", "tls.crt"]}}}
    seen = []

    def keep(path):
        seen.append(path.name)
        return Path("/run") / path.name

    found = pinned(understood(tables), keep)
    assert seen == ["tls.crt", "tls.key", "nrf.pem", "tls.crt"]
    assert found.http.tls.key == Path("/run/tls.key")
    assert found.http.oauth2.keys == (Path("/run/nrf.pem"), Path("/run/tls.crt"))
    assert (found.store.path, found.http.tls.client_ca) == (understood(tables).store.path, None)


def test_what_needs_a_restart_stays_and_is_named(folder):
    diameter = {"listen": "127.0.0.1:3868", "identity": "a.b", "realm": "b"}
    before = understood({"store": STORE, "http": HTTP, "diameter": diameter})
    (folder / "other").mkdir()
    new = understood(
        {
            "store": {"path": "other"},
            "http": {"listen": "127.0.0.1:8081", "workers": 7, "limits": {"rows": 5}},
            "diameter": {**diameter, "realm": "c", "sctp": True, "watchdog": 7, "peers": [PEER]},
            "admin": {"listen": "127.0.0.1:9090"},
            "log": {"level": "debug"},
            "run": {"drain": 1},
        }
    )
    found, fixed = with_fixed(before, new)
    assert sorted(fixed) == ["admin", "diameter.realm", "diameter.sctp", "http.listen", "run", "store"]
    assert (found.store, found.run, found.admin, found.http.listen) == (
        before.store,
        before.run,
        None,
        before.http.listen,
    )
    assert (found.http.workers, found.http.limits.rows, found.log.level) == (7, 5, "debug")
    assert (found.diameter.realm, found.diameter.watchdog, len(found.diameter.peers)) == ("b", 7, 1)
    assert with_fixed(before, before) == (before, [])
    gone, fixed = with_fixed(before, understood({"store": STORE, "http": HTTP}))
    assert (gone.diameter, fixed) == (before.diameter, ["diameter"])


@pytest.mark.parametrize(
    ("before", "new", "address"),
    [
        ({"http": {"oauth2": {"keys": ["nrf.pem"]}}}, {"http": {}}, "http"),
        ({"http": {"tls": {**TLS, "client_ca": "clients.pem"}}}, {"http": {"tls": TLS}}, "http"),
        ({"http": {"open": True}}, {"http": {}}, "http"),
        ({"diameter": {"peers": [PEER]}}, {"diameter": {}}, "diameter"),
        ({"admin": {"open": True}}, {"admin": {}}, "admin"),
    ],
)
def test_an_address_that_stays_needs_what_it_needed(folder, before, new, address):
    """A loopback address that is not in force yet is no reason to let everybody ask at the old one."""

    def at(host, tables):
        return understood(
            {"store": STORE, **{name: {"listen": f"{host}:80", **given} for name, given in tables.items()}}
        )

    stays = at("192.0.2.1", before)
    for loopback in ("127.0.0.1", "[::1]"):
        with pytest.raises(
            ServeConfigError, match=f"{address}.listen: .*192.0.2.1:80, where it listens until"
        ):
            with_fixed(stays, at(loopback, new), "eir.toml")
    found, fixed = with_fixed(stays, at("127.0.0.1", before))
    assert (found, fixed) == (stays, [f"{address}.listen"])


def test_ipv4_addresses_in_ipv6_are_those_that_peers_have(folder):
    given = ["::ffff:10.1.2.3", "::ffff:10.1.2.0/120", "::ffff:0:0/96", "2001:db8::/32", "::/0", "10.1.2.3"]
    peers = [{**PEER, "addresses": given}]
    found = understood({"store": STORE, "diameter": {"listen": "127.0.0.1:0", "peers": peers}})
    assert found.diameter.peers[0].addresses == (
        *("10.1.2.3/32", "10.1.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.3/32"),
    )


def test_the_published_form_is_that_of_the_file(folder):
    found = understood({"store": STORE, "http": HTTP})
    assert understood(json.loads(dumped(found))) == found

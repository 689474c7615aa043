"""A run of `imeiset serve` as those who watch it see it: metrics, readiness and logs."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from imeiset import Delta, EquipmentStatus, Policy, Register, Store
from imeiset.errors import mask_log

from .clients.core import PATH, curl
from .clients.mme import Mme, avp
from .servers import HOST, PATIENCE, free_port, until

pytest.importorskip("granian", reason="the extra serve is not installed")
parser = pytest.importorskip("prometheus_client.parser", reason="the extra serve is not installed")
pytest.importorskip("imeiset.serve.processes.supervisor")

STOLEN, NONE, IMSI = "490154203237518", "860123450000012", "234150999999999"


@pytest.fixture
def eir(tmp_path):
    register = Register(Policy(response_type=2))
    register.add("stolen", [STOLEN], status=EquipmentStatus.BLACKLISTED)
    Store.create(tmp_path / "eir", register).close()
    return tmp_path / "eir"


def written(folder, eir, http, diameter, admin, more=""):
    """A configuration."""
    text = f'[store]\npath = "{eir}"\n[http]\nlisten = "{HOST}:{http}"\nworkers = 1\n'
    text += f'[diameter]\nlisten = "{HOST}:{diameter}"\n[admin]\nlisten = "{HOST}:{admin}"\n{more}'
    (folder / "eir.toml").write_text(text)


def served(servers, folder, eir, more=""):
    """Served by a configuration."""
    ports = {name: free_port() for name in ("http", "diameter", "admin")}
    written(folder, eir, **ports, more=more)
    return servers.start([sys.executable, "-m", "imeiset", "serve", str(folder / "eir.toml")], **ports).up()


def metrics(server):
    status, body = server.get("/metrics")
    assert status == 200
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in parser.text_string_to_metric_families(body.decode())
        for one in family.samples
    }


def of(name, **labels):
    return name, tuple(sorted(labels.items()))


def checks(server):
    """By interface, status and rule."""
    told = metrics(server)
    names = ("interface", "status", "rule")
    return {
        tuple(dict(labels)[one] for one in names): value
        for (name, labels), value in told.items()
        if name == "imeiset_checks_total"
    }


def errors(server):
    told = metrics(server)
    return {
        (dict(labels)["interface"], dict(labels)["cause"]): value
        for (name, labels), value in told.items()
        if name == "imeiset_errors_total"
    }


def reasons(server):
    status, body = server.get("/readyz")
    told = json.loads(body)["reasons"]
    assert (status == 200) == (not told)
    return told


def ready(server):
    until(lambda: reasons(server) == [])


def processes(server):
    return {(one["kind"], one["index"]): one for one in json.loads(server.get("/state")[1])["processes"]}


def ask(server, imei, times=1):
    for _ in range(times):
        curl(server.http, f"{PATH}?pei=imei-{imei}")


def test_all_fronts_are_counted(servers, eir):
    server = servers.serve(eir)
    ready(server)
    ask(server, STOLEN, 3)
    ask(server, NONE, 2)
    curl(server.http, PATH)
    rows = json.dumps({"imeis": [STOLEN, NONE, NONE]})
    curl(server.http, "/v1/checks", "-H", "content-type: application/json", "-d", rows)
    with Mme(server.diameter) as mme:
        assert mme.status(STOLEN) == "BLACKLISTED"
        assert mme.status(NONE) == "UNKNOWN"
        mme.status("12")
        until(lambda: metrics(server).get(of("imeiset_peers", state="open")) == 1)
    until(lambda: sum(checks(server).values()) >= 10)
    assert checks(server) == {
        ("5g", "blacklisted", "exact"): 3,
        ("5g", "unknown", "default"): 2,
        ("http", "blacklisted", "exact"): 1,
        ("http", "unknown", "default"): 2,
        ("s13", "blacklisted", "exact"): 1,
        ("s13", "unknown", "default"): 1,
    }
    until(lambda: len(errors(server)) >= 2)
    assert errors(server) == {("5g", "MANDATORY_QUERY_PARAM_MISSING"): 1, ("s13", "5004"): 1}
    told = metrics(server)
    assert (
        told[of("imeiset_list_entries", list="stolen", status="blacklisted", kind="imeis", rule="exact")] == 1
    )
    assert told[of("imeiset_workers", kind="http")] == told[of("imeiset_workers_expected", kind="http")] >= 1
    assert told[of("imeiset_workers", kind="s13")] == told[of("imeiset_workers", kind="admin")] == 1
    with Store.open(eir) as store:
        store.apply(Delta("stolen", add=[NONE], by="op-a"), feed="op-a", sequence=1)
    until(lambda: metrics(server)[of("imeiset_store_sequence")] == 1)
    until(lambda: {one["sequence"] for one in processes(server).values()} == {1})
    told = metrics(server)
    assert told[of("imeiset_feed_sequence", feed="op-a")] == 1
    assert told[of("imeiset_list_age_seconds", list="stolen")] < 60


def test_a_worker_that_is_killed_is_missed_and_counts_never_go_back(servers, eir):
    server = servers.serve(eir)
    ready(server)
    ask(server, STOLEN, 5)
    key = ("5g", "blacklisted", "exact")
    until(lambda: checks(server).get(key) == 5)
    before = {place: one["pid"] for place, one in processes(server).items() if place[0] == "http"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while True:
        assert checks(server)[key] == 5
        now = {place: one["pid"] for place, one in processes(server).items() if place[0] == "http"}
        if not set(now.values()) & set(before.values()) and reasons(server) == []:
            break
        assert time.monotonic() < end
        time.sleep(0.1)
    ask(server, STOLEN, 2)
    until(lambda: checks(server)[key] == 7)


def test_a_process_that_hangs_is_said(servers, eir):
    server = servers.serve(eir)
    ready(server)
    pid = processes(server)["s13", 0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: any("S13 processes: 0 of 1 run" in one for one in reasons(server)))
        assert server.get("/healthz")[0] == 200
        told = metrics(server)
        assert told[of("imeiset_workers", kind="s13")] == told[of("imeiset_ready")] == 0
        assert told[of("imeiset_worker_heartbeat_age_seconds", kind="s13", index="0")] > 5
    finally:
        os.kill(pid, signal.SIGCONT)
    ready(server)


def test_limits_of_age_and_the_level_of_logs_change_while_it_runs(servers, eir, tmp_path):
    server = served(servers, tmp_path, eir)
    ready(server)
    pids = {one["pid"] for one in processes(server).values()}

    def change(more):
        written(tmp_path, eir, server.http, server.diameter, server.admin, more)
        server.process.send_signal(signal.SIGHUP)

    change('[ready]\nmax_age = { stolen = "1h", gone = "1h" }\n[log]\nlevel = "debug"\n')
    until(lambda: reasons(server) == ["list 'gone' is missing"])
    change("")
    ready(server)
    assert {one["pid"] for one in processes(server).values()} == pids


def test_it_answers_while_workers_are_saturated(servers, eir):
    """With all workers busy for seconds, each question to the admin port gets its answer within one."""
    server = servers.serve(eir)
    ready(server)
    rows = json.dumps({"imeis": [NONE] * 50_000}).encode()
    stop, answered = threading.Event(), []

    def load():
        while not stop.is_set():
            headers = {"content-type": "application/json"}
            asked = urllib.request.Request(f"http://{HOST}:{server.http}/v1/checks", rows, headers)
            try:
                with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                    answer.read()
                    answered.append(answer.status)
            except OSError:
                answered.append(None)

    threads = [threading.Thread(target=load) for _ in range(6)]
    for one in threads:
        one.start()
    try:
        until(lambda: answered)
        for _ in range(5):  # of which one has to be quick: the machine does much else
            took, end = [], time.monotonic() + 4
            while time.monotonic() < end:
                for path in ("/healthz", "/readyz", "/metrics"):
                    began = time.monotonic()
                    assert server.get(path)[0] == 200
                    took.append(time.monotonic() - began)
            if quick := max(took) < 2 and sorted(took)[len(took) // 2] < 0.5:
                break
    finally:
        stop.set()
        for one in threads:
            one.join()
    assert answered.count(200) > 3
    assert quick, took


@pytest.mark.parametrize("format", ["json", "text"])
def test_no_line_of_the_log_has_a_number(servers, eir, tmp_path, format):
    """Whatever is asked, rightly or not, at every port; and while the store goes away."""
    server = served(servers, tmp_path, eir, f'[log]\nlevel = "debug"\nformat = "{format}"\n')
    ready(server)
    servers.phones.add(STOLEN)
    ask(server, STOLEN)
    hostile = (
        f"{PATH}?pei=imei-{STOLEN}&supi=imsi-{IMSI}x",
        f"{PATH}?pei=imei-{STOLEN[:-1]}x",
        f"{PATH}?pei=imei-{''.join(f'%3{digit}' for digit in STOLEN)}",
        f"/{STOLEN}",
        f"{PATH}/{STOLEN}?{STOLEN}",
        f"{PATH}?pei=imei-{STOLEN * 200}",
    )
    for target in hostile:
        curl(server.http, target)
        server.get(target)
    curl(
        server.http,
        "/v1/checks",
        "-H",
        "content-type: application/json",
        "-d",
        json.dumps({"imeis": [f"{STOLEN}x"]}),
    )
    curl(server.http, "/v1/checks", "-H", "content-type: text/plain", "-d", f"{STOLEN}\n{STOLEN}y")
    body = json.dumps({"imei": f"{STOLEN}x", "imsi": IMSI})
    curl(server.admin, "/lookup", "--http1.1", "-H", "content-type: application/json", "-d", body)
    raw = f"GET {PATH}?pei=imei-{STOLEN} HTTP/9.9\r\n\r\n".encode()
    subprocess.run(["curl", "-s", "-m", "2", f"telnet://{HOST}:{server.http}"], input=raw, check=False)
    with Mme(server.diameter, identity=f"mme{STOLEN}.example.org") as mme:
        for imei in (STOLEN, f"{STOLEN}x", STOLEN * 3, None):
            mme.status(imei, f"{IMSI}9")
        mme.send(0x80, 324, 16777252, 1, avp(1, f"{IMSI}x"), avp(1402, STOLEN, 10415))
    eir.rename(tmp_path / STOLEN)
    until(lambda: reasons(server))
    assert server.stop() == 0
    lines = server.text.splitlines()
    assert lines
    for line in lines if format == "json" else ():
        told = json.loads(line)
        assert {"time", "level", "logger", "process", "pid", "message"} <= set(told), line
    for line in lines if format == "text" else ():
        assert re.match(
            r"\d{4}-\d\d-\d\dT[\d:.]+Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) +\S+ \S+: |    ", line
        ), line
    assert mask_log(server.text) == server.text
    for text in (STOLEN[8:14], IMSI[5:], "323751"):
        assert not re.search(rf"(?<!\d){text}", server.text)

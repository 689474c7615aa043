"""The S13 front beside freeDiameter with a constant answer."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imeiset import EquipmentStatus, Store

from ..own.__main__ import Bar
from . import ours
from .running import PATH, Server, free_port, running

CONNECTIONS, IN_FLIGHT = 4, 64
HERE = Path(__file__).parent
FREEDIAMETER = shutil.which("freeDiameterd", path=PATH)

_CONFIGURATION = """\
Identity = "{identity}";
Realm = "{realm}";
Port = {port};
SecPort = 0;
No_SCTP;
No_IPv6;
ListenOn = "127.0.0.1";
TLS_Cred = "{folder}/fd.pem", "{folder}/fd.key";
TLS_CA = "{folder}/fd.pem";
NoRelay;
LoadExtension = "{folder}/fd_constant.fdx";
LoadExtension = "acl_wl.fdx" : "{folder}/fd.acl";
"""


def compiled(folder: Path, source: str, output: str, *options: str) -> Path:
    """A program of C in this folder, made."""
    path = folder / output
    command = [os.environ.get("CC", "cc"), "-O2", *options, "-o", str(path), str(HERE / source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return path


@contextlib.contextmanager
def freediameter(folder: Path) -> Iterator[Server]:
    """freeDiameter, which answers "blacklisted" to everything. Raises where its headers are not here."""
    port = free_port()
    compiled(folder, "fd_constant.c", "fd_constant.fdx", "-shared", "-fPIC")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         f"/CN={ours.IDENTITY}", "-keyout", str(folder / "fd.key"), "-out", str(folder / "fd.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "fd.acl").write_text(f"ALLOW_IPSEC *.{ours.REALM}\n")
    named = {"identity": ours.IDENTITY, "realm": ours.REALM, "port": port, "folder": folder}
    path = folder / "fd.conf"
    path.write_text(_CONFIGURATION.format(**named))
    with running([str(FREEDIAMETER), "-q", "-c", str(path)], port, folder / "fd.log") as server:
        yield server


def rates(folder: Path, imeis: list[str], rounds: int, requests: int) -> Iterator[Bar]:
    """Requests a second of both, which take turns; freeDiameter gets a tenth of them."""
    load = compiled(folder, "s13_load.c", "s13_load")
    questions = folder / "imeis.txt"
    questions.write_text("".join(f"{imei}\n" for imei in imeis))

    with Store.open(folder / "eir") as store:
        statuses = store.check_many(imeis)

    def asked(server: Server, count: int) -> tuple[float, float]:
        """Requests a second, and seconds of the server for each. All answers are counted and compared."""
        numbers = [str(one) for one in (server.port, CONNECTIONS, IN_FLIGHT, count)]
        before = server.cpu
        run = subprocess.run(
            [load, *numbers, questions], check=True, capture_output=True, text=True, timeout=120
        )
        said = json.loads(run.stdout)
        if server is mine:
            right = np.bincount(np.resize(statuses, count), minlength=4)
            expected = {status.name.lower(): int(right[status]) for status in EquipmentStatus} | {"other": 0}
        else:
            expected = {"blacklisted": count}
        if {name: said[name] for name in expected} != expected:
            raise AssertionError(f"expected answers {expected}, got {said}")
        return count / said["seconds"], (server.cpu - before) / count

    with contextlib.ExitStack() as stack:
        mine = stack.enter_context(ours.over_diameter(folder))
        other = stack.enter_context(freediameter(folder))
        for server in (mine, other):
            asked(server, requests // 20)
        seen = [(asked(mine, requests), asked(other, requests // 10)) for _ in range(rounds)]
    ratio = statistics.median(one[0] / two[0] for one, two in seen)
    (rate, cpu), (fd_rate, fd_cpu) = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in zip(*seen, strict=True)
    )
    note = (
        f"{rate / 1e3:,.0f} k/s of {cpu * 1e6:.1f} µs, {fd_rate / 1e3:,.0f} k/s of {fd_cpu * 1e6:.0f} µs, "
        f"{CONNECTIONS} connections, {IN_FLIGHT} in flight on each"
    )
    yield Bar("S13 check: of freeDiameter with a constant answer", "times", 4, 20, ratio, note)

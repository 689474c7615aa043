"""An admin port with a life of its own: two workers, S13 with peers and lists of which one is late.

`python admin_site.py FOLDER PORT` makes the store and serves until it is told to end.
"""

import os
import sys
import threading
import time
from pathlib import Path

from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Store
from imeiset.serve.admin import Admin
from imeiset.serve.config import understood
from imeiset.serve.processes import logs
from imeiset.serve.processes.board import Board, Slot
from imeiset.serve.state import Peer, Totals

BLACK, GREY, WHITE = EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED, EquipmentStatus.WHITELISTED
STOLEN, WATCHED, HOME = "490154203237518", "356938035643809", "234150999999999"
HOSTILE = "<img src=x onerror=alert(1)>&amp;'\"" + "\u05d0" * 20 + "x" * 45
NAMES = ("stolen-gsma", "stolen-own", HOSTILE if os.environ.get("HOSTILE") else "court-orders")


def make(folder: Path) -> Store:
    """The store: six lists, three of which have the same phone."""
    register = Register()
    numbers = range(35_000_000_000_000, 35_000_040_000_000, 37)
    register.add(
        NAMES[0],
        ImeiSet([STOLEN, *(f"{one:014d}" for one in numbers)]),
        status=BLACK,
        reason="stolen",
        owner="gsma",
    )
    register.add(
        NAMES[1], [STOLEN], status=BLACK, reason="theft, case of the police", owner="op-a", dates=["20260114"]
    )
    register.add(
        NAMES[2], [STOLEN, "352099001761481"], status=BLACK, owner="ministry", until=["20301231"] * 2
    )
    register.add("watch", [STOLEN, WATCHED], status=GREY, reason="faulty transmitter", owner="op-a")
    register.add_tacs("approved", ["35693803", "49015420"], status=WHITE, owner="regulator")
    register.exempt("owners", [STOLEN], [HOME])
    store = Store.create(folder / "eir", register)
    store.apply(Delta(NAMES[0], add=["352099001761499"], by="gsma"), feed="gsma", sequence=1418, after=0)
    store.apply(Delta("watch", add=["352099001761507"], by="op-a"), feed="op-a", sequence=77, after=0)
    store.apply(Delta(NAMES[1], by="op-a"), feed="op-a", sequence=78)
    return store


def live(board: Board, store: Store) -> None:
    """What four processes tell twice a second, as if they were busy."""
    slots = {place: Slot(board, place[0]) for place in (("http", 0), ("http", 1), ("s13", 0), ("admin", 0))}
    begin, counts = time.time() - 90, {}
    peers = (
        Peer("mme1.epc.mnc015.mcc234.3gppnetwork.org", "10.1.2.11:41712", "open", begin),
        Peer("mme2.epc.mnc015.mcc234.3gppnetwork.org", "10.1.2.12:50110", "open", begin + 40),
    )
    step = 0
    while True:
        for (kind, index), slot in slots.items():
            interface = {"http": "5g", "s13": "s13"}.get(kind)
            wave = 900 + 500 * abs((step + 7 * index) % 40 - 20) / 20
            for status, rule, share in (
                (1, "exact", 0.02),
                (2, "exact", 0.01),
                (0, "tac", 0.2),
                (0, "default", 0.77),
            ):
                if interface:
                    key = (interface, status, rule)
                    counts.setdefault((kind, index), {}).setdefault(key, 0)
                    counts[kind, index][key] += int(wave * share * (0.4 if kind == "s13" else 1))
            errors = {("5g", "MANDATORY_QUERY_PARAM_MISSING"): step // 9} if kind == "http" else {}
            told = Totals(counts.get((kind, index), {}), errors)
            slot.publish(
                told,
                generation=store.generation,
                sequence=store.sequence,
                peers=peers if kind == "s13" else (),
            )
        step += 1
        time.sleep(0.5)


def app() -> Admin:
    """What granian serves, in its worker."""
    folder = Path(os.environ["ADMIN_SITE"])
    store = make(folder)
    (folder / "run").mkdir()
    board = Board(folder / "run")
    tables = {
        "store": {"path": str(folder / "eir")},
        "http": {"listen": "127.0.0.1:8080", "workers": 2},
        "diameter": {"listen": "127.0.0.1:3868"},
        "admin": {"listen": "127.0.0.1:9090"},
        "ready": {
            "max_age": {"watch": "26h", "approved": "7d"} if os.environ.get("LATE") else {"watch": "26h"}
        },
    }
    threading.Thread(target=live, args=(board, store), daemon=True).start()
    return Admin(store, board=board, config=understood(tables))


def main() -> None:
    """Serve until it is told to end."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    folder, port = sys.argv[1:]
    os.environ["ADMIN_SITE"] = folder
    sys.path.insert(0, str(Path(__file__).parent))
    Granian(
        "admin_site:app",
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.RSGI,
        factory=True,
        http=HTTPModes.http1,
        log_dictconfig=logs.configuration("info", "text", "admin-0"),
        log_access=False,
        workers_kill_timeout=2,
    ).serve()


if __name__ == "__main__":
    main()

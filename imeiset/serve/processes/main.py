"""What the processes that `imeiset serve` starts do.

Their stdin is a pipe that the supervisor holds: when it closes, all end. The process of granian itself has no
store and only starts workers, so this module imports little.
"""

import asyncio
import json
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from imeiset.errors import ImeisetError
from imeiset.serve.config.values import Address
from imeiset.serve.processes import logs
from imeiset.serve.processes.board import GRACE, Board

_log = logging.getLogger(__name__)
_HEADERS = 32_768  # bytes of the headers of a request
_HEAD_WITHIN = 10_000  # milliseconds for all headers of a request by HTTP/1.1 to come
_PING = 60_000  # milliseconds of silence after which a client by HTTP/2 is asked whether it lives
_PAUSE = 1.0  # seconds before a worker that cannot start ends, and the next one tries
_SPARE = 256  # descriptors that are not connections


# ---- fronts by HTTP ----


def target(folder: str, kind: str, parent: int) -> Any:
    """What a worker runs, made in it."""
    from imeiset.serve.processes.process import TARGETS, Process

    _allow_connections()
    try:
        return TARGETS[kind](Process(folder, kind, parent))
    except Exception:
        _log.exception("a worker cannot start")
        time.sleep(_PAUSE)
        raise SystemExit(1) from None


class _Forgetful(dict[int, float]):
    """When granian last started a worker again: not lately.

    Where one dies twice within some seconds, it would end all of them. Here the others go on.
    """

    def get(self, key: int, default: Any = None) -> Any:
        """Long ago."""
        return -math.inf


def _allow_connections() -> int:
    """How many connections a process may hold: as many as the system lets it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(soft - _SPARE, _SPARE)


def _granian(folder: str, kind: str, address: Address) -> None:
    """Run granian and its workers, until it is told to end."""
    import multiprocessing

    from granian import constants
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings, HTTP2Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    config = Board(folder).config()
    http = config.http if kind == "http" else None
    tls = http.tls if http else None
    # Cores may speak TLS 1.2 (3GPP TS 33.210), which granian takes by itself before it has this option.
    protocols = getattr(constants, "SSLProtocols", None)
    oldest = {"ssl_protocol_min": protocols.tls12} if protocols else {}
    _watch_supervisor(config.run.drain, lambda: os.kill(os.getpid(), signal.SIGTERM))
    multiprocessing.set_start_method("spawn")
    server = MPServer(
        "imeiset",
        address=address.host,
        port=address.port,
        interface=Interfaces.RSGI,
        workers=http.workers if http else 1,
        loop=Loops.asyncio,
        http=HTTPModes.auto if http else HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD_WITHIN, max_buffer_size=2 * _HEADERS),
        http2_settings=HTTP2Settings(keep_alive_interval=_PING, max_headers_size=_HEADERS),
        websockets=False,
        backpressure=_allow_connections(),
        log_level=LogLevels(config.log.level),
        log_dictconfig=logs.configuration(config.log.level, config.log.format, process=kind),
        log_access=False,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_ca=tls.client_ca if tls else None,
        ssl_client_verify=bool(tls and tls.client_ca),
        **oldest,
        respawn_failed_workers=True,
        workers_kill_timeout=max(config.run.drain, 0.1),
    )
    server.respawned_wrks = _Forgetful()
    server.serve(target_loader=partial(target, folder, kind, os.getpid()), wrap_loader=False)


def _watch_supervisor(drain: float, stop: Callable[[], object]) -> None:
    """Stop when the pipe that the supervisor holds is closed; and end, whatever is under way."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        with suppress(RuntimeError):  # its loop is closed: it has ended already
            stop()
        time.sleep(drain + GRACE)
        os._exit(1)

    threading.Thread(target=wait, name="imeiset-supervisor", daemon=True).start()


# ---- Diameter ----


async def _s13(folder: str, sockets: list[socket.socket]) -> None:
    from imeiset.serve.diameter.peers import Front
    from imeiset.serve.processes.process import Process, Unreadable

    process, loop, stop = Process(folder, "s13", os.getppid()), asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _watch_supervisor(process.config.run.drain, lambda: loop.call_soon_threadsafe(stop.set))
    store: Any = process.store or Unreadable(process.unreadable or ImeisetError("no store"))
    front = Front(store, process.config, process.counts)
    process.on_config = lambda config: loop.call_soon_threadsafe(front.use, config)
    process.on_store = lambda store: loop.call_soon_threadsafe(setattr, front, "store", store)
    process.peers = front.peers
    process.start(loop)
    await front.run(sockets, stop)
    process.end()


# ---- which of them ----


def main(orders: dict[str, Any]) -> None:
    """Be the process that the orders of the supervisor say."""
    kind, folder = orders["kind"], orders["folder"]
    if kind == "check":
        from imeiset.serve.processes.check import facts

        print(json.dumps(facts(orders["config"])))
    elif kind == "s13":
        _allow_connections()
        asyncio.run(_s13(folder, [socket.socket(fileno=number) for number in orders["sockets"]]))
    elif kind == "follow":
        from imeiset.serve.processes.following import run

        asyncio.run(run(folder, _watch_supervisor))
    else:
        _granian(folder, kind, Address(*orders["address"]))
    sys.stdout.flush()

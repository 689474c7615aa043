"""A server of granian (RSGI) that answers a constant, as fast as Python lets it.

python -m benchmarks.serve.constant PORT WORKERS
"""

import sys
from typing import Any

HEADERS = [("content-type", "application/json")]
BODY = b'{"status":"BLACKLISTED"}'


async def app(scope: Any, protocol: Any) -> None:
    """Any request: 200, and one body."""
    protocol.response_bytes(200, HEADERS, BODY)


def main() -> None:
    """Serve, with what is set as `imeiset serve` sets it."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    port, workers = map(int, sys.argv[1:])
    Granian(
        "benchmarks.serve.constant:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        workers=workers,
        http=HTTPModes.auto,
        websockets=False,
        log_access=False,
        workers_kill_timeout=2,
    ).serve()


if __name__ == "__main__":
    main()

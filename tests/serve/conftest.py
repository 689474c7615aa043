"""What the tests of the fronts share: servers as a user runs them, and a look at all that was logged."""

import logging

import pytest

from imeiset.errors import mask_log

from .servers import Servers, serial_numbers

_USUAL = vars(logging.makeLogRecord({})).keys()
# Phones that tests ask about: blocked, and known by nobody. Of these no log has a serial number in any form.
PHONES = ("490154203237518", "356938035643809", "352099001761481", "860123450000012")


class Said(logging.Handler):
    """What the library logs in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        own = {key: value for key, value in vars(record).items() if key not in _USUAL}
        self.lines.append(f"{record.getMessage()} {own or ''} {record.exc_info or ''}")


@pytest.fixture(scope="session", autouse=True)
def logged(tmp_path_factory):
    """Every server that the suite starts, and what the library logs here: without a digit of a serial
    number, which is looked at when all tests have run."""
    servers, said = Servers(tmp_path_factory.mktemp("logs")), Said()
    logger = logging.getLogger("imeiset")
    logger.addHandler(said)
    yield servers
    logger.removeHandler(said)
    servers.stop()
    phones = servers.phones.union(PHONES)
    texts = [(log.name, text) for log, text in servers.logs()] + [("this process", "\n".join(said.lines))]
    told = {name: found for name, text in texts if (found := serial_numbers(text, phones))}
    assert not told, told
    unmasked = [line for _, text in texts for line in text.splitlines() if mask_log(line) != line]
    assert not unmasked, unmasked[:3]


@pytest.fixture
def servers(logged):
    """Starts servers, whose logs are kept; those of a test are ended with it."""
    before = len(logged.started)
    yield logged
    for server in logged.started[before:]:
        if server.process.poll() is None:
            server.stop()

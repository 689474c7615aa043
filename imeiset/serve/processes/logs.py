"""Logs of all processes on standard error, as lines of JSON or of text, with IMEIs and IMSIs masked.

Masking is the last thing that happens to a line, so that it does not matter who wrote it: a front, the server
that carries it, a library, an exception that nobody caught, a warning.
"""

import datetime
import json
import logging
import logging.config
import sys
import threading
import traceback
from collections.abc import Mapping
from typing import Any

from imeiset.errors import mask_log, printable

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("json", "text")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def configuration(level: str = "info", format: str = "json", process: str = "") -> dict[str, Any]:
    """What `logging.config.dictConfig`, and a server that takes such a thing, is given.

    Parameters
    ----------
    level : str
        One of `LEVELS`: what is below it is not written.
    format : str
        "json" or "text".
    process : str
        Which process writes, as "http-0".

    Returns
    -------
    dict

    Examples
    --------
    >>> configuration("warning")["root"]
    {'level': 'WARNING', 'handlers': ['stderr']}
    """
    formatter = {"()": f"{__name__}.{_FORMATTERS[format].__name__}", "process": process}
    # granian sets handlers of its own for these two otherwise; requests have IMEIs in their URLs.
    carried = {"handlers": [], "level": level.upper(), "propagate": True}
    silent = {"handlers": [], "level": "CRITICAL", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": formatter},
        "handlers": {"stderr": {"class": f"{__name__}.Lines", "formatter": "lines"}},
        "loggers": {"_granian": carried, "granian.access": silent},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
    }


def setup(level: str = "info", format: str = "json", process: str = "") -> None:
    """Write the logs of this process so from now on, errors that nobody caught and warnings included.

    Parameters
    ----------
    level, format, process
        As of `configuration`.
    """
    logging.config.dictConfig(configuration(level, format, process))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda failed: _uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)
    sys.unraisablehook = lambda failed: _uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)


class Lines(logging.StreamHandler):  # type: ignore[type-arg] # of the stream, which is whatever stderr is now
    """Lines on standard error."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say that a line could not be made, without what was to be in it: logging would print that raw."""
        kind = getattr(sys.exc_info()[0], "__name__", "error")
        place = printable(f"{record.name}, line {record.lineno} of {record.filename}")
        try:
            self.stream.write(f"a line of the log could not be written ({kind}): {place}\n")
        except (OSError, ValueError):  # stderr is closed: nobody is there to be told
            return


class Json(logging.Formatter):
    """A line as a JSON object: time, level, logger, process, pid, message, and what else the record has."""

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "time": moment(record),
            "level": record.levelname.lower(),
            "logger": record.name.lstrip("_"),
            "process": self.process,
            "pid": record.process,
            "message": mask_log(record.getMessage()),
            **_more(record),
        }
        if failure := failure_of(record):
            told["exception"] = failure
        return json.dumps({name: value for name, value in told.items() if value != ""})


class Text(logging.Formatter):
    """A line as text for people. Lines of an exception follow, indented."""

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        name = record.name.lstrip("_")
        place = f"{self.process} {name}" if self.process else name
        more = "".join(f" {key}={value}" for key, value in _more(record).items())
        message = printable(mask_log(record.getMessage() + more))
        lines = [f"{moment(record)} {record.levelname:<7} {place}: {message}"]
        lines += [f"    {printable(line)}" for line in failure_of(record).splitlines()]
        return "\n".join(lines)


_FORMATTERS: Mapping[str, type[logging.Formatter]] = {"json": Json, "text": Text}


def moment(record: logging.LogRecord) -> str:
    """When it was, in UTC, as ISO 8601 has it."""
    then = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def failure_of(record: logging.LogRecord) -> str:
    """The exception and the stack of a record, masked; '' where it has none."""
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts += traceback.format_exception(*record.exc_info)
    elif record.exc_text:
        parts.append(record.exc_text)
    if record.stack_info:
        parts.append(record.stack_info)
    return mask_log("".join(parts)).strip()


def _more(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`: numbers and truth values as they are, everything else as text."""
    return {
        mask_log(str(name)): value if _is_plain(value) else mask_log(str(value))
        for name, value in vars(record).items()
        if name not in _OWN
    }


def _is_plain(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and abs(value) < 10**9)


def _uncaught(kind: Any, error: Any, trace: Any) -> None:
    """Log what would be printed raw otherwise."""
    if isinstance(error, KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical("nobody caught %s", kind.__name__, exc_info=(kind, error, trace))

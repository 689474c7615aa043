"""The command line: one file per command, imported only when it is called for.

Exit codes are those of grep: 0 found (or done), 1 none found, 2 an error, which is told in one line on
stderr. Of what is published, 3 is an error too: it has expired; and 4: it is refused.
"""

import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any, TextIO

import click

from imeiset import __version__
from imeiset.errors import (
    ImeisetError,
    SnapshotKind,
    SnapshotMagic,
    TrustRefused,
    TrustStale,
    printable,
)

_COMMANDS = (
    *("build", "check", "explain", "screen", "merge", "info", "verify", "apply", "diff", "export"),  # files
    *("create", "replace", "feed", "expire", "history", "compact", "prune", "watch", "serve"),  # stores
    *("keys", "publish", "follow"),  # lists that travel
    *("demo", "completion"),
)
# What to do, where the error of a library cannot know.
_REMEDIES: dict[type[ImeisetError], str] = {
    SnapshotMagic: "`imeiset build` makes one of a list",
    SnapshotKind: "`imeiset build` makes a register of a description (docs/registers.md), and a set of lists",
}
# Exit codes that are not 2.
_CODES: dict[type[ImeisetError], int] = {TrustStale: 3, TrustRefused: 4}


class _Commands(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{name}").command
        return command

    def invoke(self, context: click.Context) -> Any:
        try:
            import_module("imeiset._native.simd")
        except Exception as error:
            raise click.ClickException(f"cannot be loaded: {error}") from error
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            # Of another one click would make an empty line and "Aborted!".
            raise SystemExit(130) from None

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; return its exit code, or if `standalone_mode` exit with it.

        Only a command that says so ends with 1, "none found": no error, no missing reader, no signal.
        """
        standalone_mode = extra.pop("standalone_mode", True)
        try:
            if standalone_mode:
                _clean_up_when_told_to_end()
                _write_all_or_fail()
            run: Any = super().main
            code = run(*args, standalone_mode=False, **extra) or 0
            if sys.stdout:
                sys.stdout.flush()
        except BaseException as error:
            code = _fail(error)
        for stream in (sys.stdout, sys.stderr):
            _abandon_if_broken(stream)
        if standalone_mode:
            sys.exit(code)
        return code


def _clean_up_when_told_to_end() -> None:
    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def _write_all_or_fail() -> None:
    """Unbuffered (PYTHONUNBUFFERED), Python leaves out the rest of what a pipe took a part of, unsaid."""
    if sys.stdout and isinstance(sys.stdout.buffer, io.RawIOBase):
        number, how = sys.stdout.fileno(), {"encoding": sys.stdout.encoding, "errors": sys.stdout.errors}
        sys.stdout = open(number, "w", closefd=False, **how)  # noqa: SIM115


def _fail(error: BaseException) -> int:
    """Say in a line what went wrong; return the exit code."""
    code, message = 2, None
    try:
        if isinstance(error, BrokenPipeError) or (isinstance(error, SystemExit) and error.code == 1):
            # Nobody reads our output any more, of which click and rich make an exit with 1. As of what a
            # closed pipe ends: it is not an answer, and not a fault.
            code = 128 + signal.SIGPIPE
        elif isinstance(error, SystemExit):  # a signal, or the end of a completion
            code = error.code if isinstance(error.code, int) else 2
            message = {130: "interrupted", 128 + signal.SIGTERM: "terminated"}.get(code)
        elif isinstance(error, click.Abort | KeyboardInterrupt):
            code, message = 130, "interrupted"
        elif isinstance(error, click.UsageError):
            error.show()
        elif isinstance(error, click.ClickException):
            message = error.format_message()
        elif isinstance(error, ImeisetError):
            code = _CODES.get(type(error), 2)
            message = "; ".join(
                [str(error), *(_REMEDIES[kind] for kind in _REMEDIES if isinstance(error, kind))]
            )
        elif isinstance(error, OSError):
            reason = error.strerror or str(error)
            message = f"{error.filename}: {reason}" if error.filename else reason
        elif isinstance(error, ImportError):
            message = f"cannot be loaded: {error}"
        elif isinstance(error, MemoryError):
            message = "out of memory"
        else:
            traceback.print_exception(error)
            message = "this is a bug in imeiset, please report it"
        if message:
            click.echo(f"imeiset: {printable(message)}", err=True)
    except OSError:
        pass  # nobody reads the message either
    return code


def _abandon_if_broken(stream: TextIO | None) -> None:
    """Write to nowhere what is left, if it cannot be written: at exit it would change the exit code."""
    stream = getattr(stream, "wrapped", stream)  # by click, whose flush is silent where a pipe is closed
    if not stream:
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Say whether phones are blocked, by their IMEIs.

    \b
    imeiset build blocklist.csv -o blocked.imei
    imeiset check blocked.imei 490154203237518

    A snapshot is a file with a set of IMEIs, or with a register of several lists. A store is a directory with
    a register that changes while it serves. The --help of each command has examples.

    Exit code: 0 if something was found or done, 1 if nothing was found, 2 after an error.
    """

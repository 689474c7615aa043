"""The command line: one file per command, imported only when it is called for.

Exit codes are those of grep: 0 found (or done), 1 none found, 2 an error, which is told in one line on
stderr.
"""

import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from imeiset import __version__
from imeiset.errors import ImeisetError

_COMMANDS = ("build", "check", "info", "verify", "demo")


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
            return super().invoke(context)
        except BrokenPipeError:
            # Whoever read our output has gone: nothing is left to say, not even at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(2)
        except ImeisetError as error:
            return _fail(context, str(error))
        except (click.UsageError, click.exceptions.Exit, click.Abort):
            raise
        except click.ClickException as error:
            return _fail(context, error.format_message())
        except OSError as error:
            reason = error.strerror or str(error)
            return _fail(context, f"{error.filename}: {reason}" if error.filename else reason)
        except MemoryError:
            return _fail(context, "out of memory")
        except KeyboardInterrupt:
            return _fail(context, "interrupted", 130)
        except Exception:
            # A mistake of ours must not end with Python's exit code 1, which would say "none found".
            traceback.print_exc()
            return _fail(context, "this is a bug in imeiset, please report it")


def printable(text: str) -> str:
    """A text, perhaps a file's name, that can be printed in one line whatever is in it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _fail(context: click.Context, message: str, code: int = 2) -> None:
    click.echo(f"imeiset: {printable(message)}", err=True)
    context.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Exact, compressed sets of blocked IMEIs: is this handset blocked?"""

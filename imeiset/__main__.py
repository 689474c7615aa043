"""The `imeiset` command, and `python -m imeiset`."""

import sys


def main() -> None:
    """Run the command line. Where it cannot be loaded, end with 2 and a line on stderr.

    Python's exit code for that is 1, which of `imeiset check` means that no IMEI is listed.
    """
    try:
        from imeiset.cli import main as command
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130))
    except Exception as error:
        sys.exit(_fail(f"cannot be loaded: {error}", 2))
    command(prog_name="imeiset")


def _fail(message: str, code: int) -> int:
    try:
        print(f"imeiset: {message}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None
    return code


if __name__ == "__main__":
    main()

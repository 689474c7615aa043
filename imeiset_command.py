"""The `imeiset` command. Outside the package, so that it can say that the package does not load.

Python's exit code for that is 1, which of `imeiset check` means that no IMEI is listed.
"""

import sys


def main() -> None:
    """Run the command line, or end with 2 and a line on stderr."""
    try:
        from imeiset.cli import main as command
    except Exception as error:
        sys.exit(_fail(error))
    command(prog_name="imeiset")


def _fail(error: Exception) -> int:
    try:
        print(f"imeiset: cannot be loaded: {error}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None
    return 2


if __name__ == "__main__":
    main()

"""`imeiset check`: which of these IMEIs are in the set?"""

import json
from collections.abc import Iterator

import click

from imeiset.errors import FeedLimit, ImeiError, ParseStatus

_BLOCK = 1 << 20  # bytes read at a time, and the longest line


@click.command("check", context_settings={"ignore_unknown_options": True})
@click.argument("snapshot")
@click.argument("imeis", metavar="IMEI...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("-q", "--quiet", is_flag=True, help="Only the exit code.")
@click.pass_context
def command(
    context: click.Context, snapshot: str, imeis: tuple[str, ...], as_json: bool, quiet: bool
) -> None:
    """Say of each IMEI whether it is in SNAPSHOT.

    An IMEI has 14, 15 or 16 digits, of which the first 14 are compared; if SNAPSHOT keeps irregular
    identities, these are answered too. '-' reads them from stdin, one a line.

    Exit code: 0 if one is listed, 1 if none is, 2 after an error, be it a single malformed IMEI.
    """
    from imeiset import ImeiSet, parse
    from imeiset.irregular import normalised

    blocked = ImeiSet.open(snapshot)
    batches = (
        _lines() if imeis == ("-",) else iter([[imei.encode(errors="surrogateescape") for imei in imeis]])
    )
    listed = malformed = False
    row = 0
    for batch in batches:
        _, statuses = parse(batch)
        if blocked.irregular is not None:
            for at in statuses.nonzero()[0].tolist():
                statuses[at] *= normalised(batch[at]) is None
        answers = blocked.contains(batch, malformed=False)
        listed = listed or bool(answers.any())
        malformed = malformed or bool(statuses.any())
        out = []
        for text, status, answer in zip(batch, statuses.tolist(), answers.tolist(), strict=True):
            row += 1
            if status:
                error = ImeiError(ParseStatus(status), text.decode(errors="replace"), position=row)
                if as_json:
                    name = ParseStatus(status).name.lower()
                    out.append(json.dumps({"row": row, "got": error.got, "error": name}))
                else:
                    click.echo(f"imeiset: {error}", err=True)
            elif as_json:
                out.append(json.dumps({"imei": text.decode(), "listed": answer}))
            else:
                out.append(f"{text.decode()}  {'listed' if answer else 'not listed'}")
        if out and not quiet:
            click.echo("\n".join(out))
    context.exit(2 if malformed else 0 if listed else 1)


def _lines() -> Iterator[list[bytes]]:
    """The lines of stdin that are not blank, as they come."""
    from imeiset.feeds.sources import BOM, stdin_reader

    read, buffer = stdin_reader(), memoryview(bytearray(_BLOCK))
    rest = b""
    first = True
    while count := read(buffer):
        *lines, rest = (rest + buffer[:count]).split(b"\n")
        if first and lines:
            lines[0] = lines[0].removeprefix(BOM)
            first = False
        if len(rest) > _BLOCK:
            raise FeedLimit("-", f"lines of at most {_BLOCK} bytes", "a longer one")
        yield [line.strip() for line in lines if line.strip()]
    rest = (rest.removeprefix(BOM) if first else rest).strip()
    yield [rest] if rest else []

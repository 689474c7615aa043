"""`imeiset check`: which of these IMEIs are in the set, and what does a register say of them?"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from imeiset.cli.files import FILE, argument, json_option
from imeiset.cli.registers import verdict_line
from imeiset.errors import FeedLimit, ImeiError, ParseStatus, printable

if TYPE_CHECKING:
    from imeiset import ImeiSet, Register, Store, Verdict

    # Of a batch, for each row: what is wrong with it, whether it is a hit, and the answer.
    Answers = Iterator[tuple[int, bool, bool | Verdict]]

_WORDS = {False: "not listed", True: "listed"}
_BLOCK = 1 << 20  # bytes read at a time, and the longest line


@click.command("check", context_settings={"ignore_unknown_options": True})
@argument("snapshot", "A set, a register or a store.", type=FILE, metavar="SNAPSHOT|STORE")
@argument(
    "imeis",
    "Numbers of 14, 15 or 16 digits. '-' reads them from stdin, one a line.",
    metavar="IMEI...",
    nargs=-1,
    required=True,
)
@click.option("--imsi", metavar="IMSI", help="The subscriber, for registers and stores.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code is the answer.")
@click.pass_context
def command(
    context: click.Context,
    snapshot: str,
    imeis: tuple[str, ...],
    imsi: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say whether phones are listed, and their status.

    \b
    imeiset check blocked.imei 49-015420-323751-8
    imeiset check eir 490154203237518 --imsi 234150999999999
    imeiset check blocked.imei - --json < imeis.txt

    An IMEI has 14, 15 or 16 digits, of which the first 14 are compared. A set that keeps irregular identities
    answers for these too. '-' alone is stdin, one IMEI a line. A register gives the equipment status, the
    list and the rule that decided, the date and the reasons.

    Exit code: 0 if one is listed (of a register: black- or greylisted), 1 if none is, 2 after an error; a
    single malformed IMEI is one.
    """
    from imeiset import ImeiSet
    from imeiset import open as opened
    from imeiset.register.imsis import is_imsi

    if "-" in imeis and len(imeis) > 1:
        raise click.UsageError("'-' is stdin: expected it alone")
    if unknown := [text for text in imeis if re.match("--[a-z]", text)]:  # others that begin so are answered
        raise click.NoSuchOption(unknown[0], ctx=context)
    listed = opened(snapshot)
    if imsi is not None and (isinstance(listed, ImeiSet) or not is_imsi(imsi)):
        why = "a set has no subscribers" if isinstance(listed, ImeiSet) else "expected 5 to 15 digits"
        raise click.UsageError(f"--imsi: {why}")
    texts = [imei.encode(errors="surrogateescape") for imei in imeis]
    batches = _lines() if imeis == ("-",) else iter([([*range(1, len(texts) + 1)], texts)])
    found = malformed = False
    for rows, batch in batches:
        answers = _members(listed, batch) if isinstance(listed, ImeiSet) else _verdicts(listed, batch, imsi)
        out = []
        for row, text, (status, hit, answer) in zip(rows, batch, answers, strict=True):
            found = found or hit
            if status:
                malformed = True
                error = ImeiError(ParseStatus(status), text.decode(errors="replace"), position=row)
                if as_json:
                    name = ParseStatus(status).name.lower()
                    out.append(json.dumps({"row": row, "got": error.got, "error": name}))
                else:
                    click.echo(f"imeiset: {error}", err=True)
            elif not quiet:
                given = text.decode(errors="backslashreplace")  # malformed texts have verdicts, too
                if as_json:
                    facts = {"listed": answer} if isinstance(answer, bool) else answer.to_dict()
                    out.append(json.dumps({"imei": given, **facts}))
                else:
                    words = _WORDS[answer] if isinstance(answer, bool) else verdict_line(answer)
                    out.append(f"{printable(given)}  {words}")
        if out and not quiet:
            click.echo("\n".join(out))
    context.exit(2 if malformed else 0 if found else 1)


def _members(blocked: "ImeiSet", batch: list[bytes]) -> "Answers":
    """What a set says."""
    from imeiset import parse
    from imeiset.irregular import normalised

    _, statuses = parse(batch)
    if blocked.irregular is not None:
        for at in statuses.nonzero()[0].tolist():
            statuses[at] *= normalised(batch[at]) is None
    answers = blocked.contains(batch, malformed=False).tolist()
    return zip(statuses.tolist(), answers, answers, strict=True)


def _verdicts(register: "Register | Store", batch: list[bytes], imsi: str | None) -> "Answers":
    """What a register says."""
    from imeiset import EquipmentStatus

    hits = (EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED)
    for text in batch:
        try:
            verdict = register.check(text, imsi)
        except ImeiError as error:
            yield error.status, False, False
        else:
            yield 0, verdict.status in hits, verdict


def _lines() -> Iterator[tuple[list[int], list[bytes]]]:
    """The lines of stdin that are not blank, and their numbers from 1, as they come."""
    from imeiset.feeds.sources import BOM, stdin_reader

    read, buffer = stdin_reader(), memoryview(bytearray(_BLOCK))
    rest, done = b"", 0
    while count := read(buffer):
        rest += buffer[:count]
        *lines, rest = (rest if done else rest.removeprefix(BOM)).split(b"\n")
        if len(rest) > _BLOCK:
            raise FeedLimit("-", f"lines of at most {_BLOCK} bytes", "a longer one")
        yield _not_blank(lines, done)
        done += len(lines)
    yield _not_blank([rest if done else rest.removeprefix(BOM)], done)


def _not_blank(lines: list[bytes], before: int) -> tuple[list[int], list[bytes]]:
    some = [(number, text) for number, line in enumerate(lines, before + 1) if (text := line.strip())]
    return [number for number, _ in some], [text for _, text in some]

"""`imeiset follow`: a store, or a mirror, kept current with what a publisher has put up."""

import json
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import DIRECTORY, FILE, argument, json_option, number, progress_bar
from imeiset.errors import TrustError, mask_log, printable

if TYPE_CHECKING:
    from imeiset.trust import FollowReport, MirrorReport

    Said = FollowReport | MirrorReport | TrustError


@click.command("follow")
@argument("url", "Where the publisher publishes: a folder, or a URL of one.")
@argument(
    "store", "The directory of the store. It is made if it is not there.", type=DIRECTORY, required=False
)
@click.option("--root", type=FILE, required=True, help="The root.json that the publisher gave you.")
@click.option("--mirror", type=DIRECTORY, metavar="DIR", help="Keep a verified copy instead of a store.")
@click.option("--once", is_flag=True, help="Look once, as without --every.")
@click.option(
    "--every",
    type=click.FloatRange(1, 86_400),
    callback=number,
    metavar="SECONDS",
    help="Look again after this time, until the command is ended.",
)
@click.option(
    "--feed", metavar="NAME", help="The feed that owns the lists in STORE. [default: that of the root]"
)
@click.option("--prefix", default="", metavar="TEXT", help="Put this before the names of the lists in STORE.")
@click.option(
    "--max-shrink",
    type=click.FloatRange(0, 100),
    callback=number,
    default=25.0,
    show_default=True,
    metavar="PERCENT",
    help="Refuse an edition that removes more than this of a list.",
)
@click.option("--accept-shrink", is_flag=True, help="Accept the edition this time, however much is gone.")
@click.option("--quick", is_flag=True, help="Compare the sizes of lists, not their digests.")
@click.option("--receipt", metavar="NAME", help="Write receipts/NAME.json at URL after each move.")
@json_option
def command(
    url: str,
    store: str | None,
    root: str,
    mirror: str | None,
    once: bool,
    every: float | None,
    feed: str | None,
    prefix: str,
    max_shrink: float,
    accept_shrink: bool,
    quick: bool,
    receipt: str | None,
    as_json: bool,
) -> None:
    """Keep a store current with what a publisher signs.

    \b
    imeiset follow https://lists.example/eir eir --root root.json
    imeiset follow s3://lists/eir eir --root root.json --every 300
    imeiset follow https://lists.example/eir --mirror stick --root root.json

    URL is a folder, or a URL of one. STORE is made if it is not there. The lists of others stay in it, so one
    store may follow several publishers. Get root.json from the publisher by another way than URL: only what
    its keys sign is taken. Before an edition serves, every list is compared with the digest that was signed.
    After any fault the last edition goes on serving.

    With --every, the times vary by a tenth, and double after faults. SIGTERM or Ctrl-C ends the command
    between two editions.

    Exit code: 0 if STORE is current; 2 if URL or STORE cannot be read or written; 3 if the published edition
    has expired; 4 if it was refused, because it is not what was signed, or not what may follow.
    """
    from imeiset.trust import Follower, follow_again
    from imeiset.trust import mirror as copy

    if (store is None) == (mirror is None):
        raise click.UsageError("expected a STORE, or --mirror DIR instead of one")
    if once and every is not None:
        raise click.UsageError("expected --once or --every, got both")
    if accept_shrink and every is not None:
        raise click.UsageError("--accept-shrink is for one time: give it without --every")
    options = {"--feed": feed, "--prefix": prefix, "--receipt": receipt, "--quick": quick}
    if mirror is not None and (given := [name for name, value in options.items() if value]):
        raise click.UsageError(f"{given[0]} is about a STORE, and does not go with --mirror")
    with progress_bar() as draw:
        progress = (lambda name, done, total: draw(done, total)) if draw else None
        follower: Follower | None = None
        if store is not None:
            try:
                follower = Follower(
                    url,
                    store,
                    root=root,
                    feed=feed,
                    max_shrink=max_shrink,
                    prefix=prefix,
                    digests=not quick,
                    receipt=receipt,
                    progress=progress,
                )
            except ValueError as error:
                raise click.UsageError(str(error)) from None

        def step() -> "FollowReport | MirrorReport":
            if follower is not None:
                return follower.step(accept_shrink=accept_shrink)
            assert mirror is not None
            return copy(url, mirror, root=root, progress=progress)

        if every is None:
            _tell(step(), as_json)
            return
        stop = threading.Event()
        _end_between_editions(stop, lambda: follower is not None and follower.busy)
        follow_again(step, every, told=_Told(as_json), stop=stop)


def _end_between_editions(stop: threading.Event, busy: Callable[[], bool]) -> None:
    """What SIGTERM and Ctrl-C do: end at once, or if a store is being written, when that is done."""

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        if not busy():
            raise SystemExit(0)

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, end)


class _Told:
    """Prints what is new of each step: moves, and faults when they begin, change or end."""

    def __init__(self, as_json: bool) -> None:
        self._as_json, self._fault, self._first = as_json, "", True

    def __call__(self, said: "Said") -> None:
        if isinstance(said, TrustError):
            if str(said) != self._fault:
                click.echo(f"imeiset: {printable(mask_log(str(said)))}", err=True)
            self._fault = str(said)
            return
        if said.moved or self._fault or self._first:
            _tell(said, self._as_json)
        self._fault, self._first = "", False


def _tell(said: "FollowReport | MirrorReport", as_json: bool) -> None:
    for warning in said.warnings:
        click.echo(f"imeiset: warning: {printable(warning)}", err=True)
    if as_json:
        click.echo(json.dumps(_facts(said)))
        return
    was = f", was {said.before}" if said.moved and said.before else ""
    click.echo(
        f"{printable(said.place)}: edition {said.edition}{was}, published "
        f"{said.published:%Y-%m-%d %H:%M:%S} UTC; {_done(said)}"
    )


def _done(said: "FollowReport | MirrorReport") -> str:
    if not said.files:
        return "nothing new"
    return f"{said.bytes:,} bytes: {', '.join(said.files)}"


def _facts(said: "FollowReport | MirrorReport") -> dict[str, Any]:
    facts = {name: getattr(said, name) for name in ("feed", "place", "edition", "before", "bytes")}
    facts |= {"published": said.published.isoformat(), "files": [*said.files]}
    if counts := getattr(said, "counts", None):
        digests: dict[str, str] = getattr(said, "digests", {})
        facts["lists"] = {
            name: {"counts": dict(held), "digest": digests.get(name)} for name, held in counts.items()
        }
    return facts | ({"warnings": [*said.warnings]} if said.warnings else {})

"""What `imeiset apply` does without a file: one phone more or less on a list of a store, and its lists."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imeiset.errors import mask, mask_imsi, printable
from imeiset.feeds.options import OPTIONS

if TYPE_CHECKING:
    from imeiset import Store
    from imeiset.register.lists import List

Command = Callable[..., Any]
_STATUSES = ("whitelisted", "blacklisted", "greylisted")
_KINDS = ("imeis", "exempt", "lock", "block", "imsis")
_ALONE = ("add", "remove", "create_list", "drop_list")  # one of them, in the place of files
_MORE = ("reason", "date", "until", "status", "kind", "owner")  # that go with one of them
_TELL = ("by", "ref")  # that go with files, too
_OPTIONS = (
    click.option("--add", multiple=True, metavar="IMEI", help="Add this phone to --list; may be repeated."),
    click.option(
        "--remove", multiple=True, metavar="IMEI", help="Remove this phone from --list; may be repeated."
    ),
    click.option(
        "--imsi",
        metavar="ignore|IMSI",
        help=f"{OPTIONS['imsi'].help} With --add or --remove, the IMSI of a pair.",
    ),
    click.option("--reason", metavar="TEXT", help="Why the phone is added; '|' separates several reasons."),
    click.option("--date", metavar="DATE", help="The day from which on it is listed."),
    click.option("--until", metavar="DATE", help="The last day on which it counts, see imeiset expire."),
    click.option("--by", metavar="NAME", help="Who changes the store. [default: the feed]"),
    click.option("--ref", metavar="TEXT", help="What the change of the store refers to: a case, a file."),
    click.option("--create-list", metavar="NAME", help="Make this list in a store; needs --status."),
    click.option("--status", type=click.Choice(_STATUSES), help="The status of the new list."),
    click.option("--kind", type=click.Choice(_KINDS), help="The kind of the new list. [default: imeis]"),
    click.option("--owner", metavar="NAME", help="Who alone may change the new list."),
    click.option(
        "--drop-list", metavar="NAME", help="Drop this list of a store; --force if it is not empty."
    ),
)


def options(command: Command) -> Command:
    """The options of this module."""
    for one in reversed(_OPTIONS):
        command = one(command)
    return command


def is_asked(given: dict[str, Any]) -> bool:
    """Whether something is to be done without a file."""
    return bool(_asked(given))


def _asked(given: dict[str, Any]) -> list[str]:
    return [name for name in _ALONE if given[name] not in (None, ())]


def leave_out(given: dict[str, Any]) -> None:
    """Take those options away that do not go with files."""
    for name in (*_ALONE, *_MORE):
        if given.pop(name):
            raise click.UsageError(f"--{name} goes with --add or --create-list, and not with a DELTA")


def change(
    base: str, deltas: tuple[str, ...], given: dict[str, Any], reading: dict[str, Any], as_json: bool
) -> None:
    """Change a store by hand."""
    from imeiset import Store

    asked = _asked(given)
    if deltas:
        raise click.UsageError(f"{_switch(asked[0])} goes without a DELTA, got {deltas[0]!r}")
    if not Path(base).is_dir():
        raise click.UsageError(f"{_switch(asked[0])} needs the directory of a store, got {base!r}")
    if len(asked) > 1 and {*asked} != {"add", "remove"}:
        raise click.UsageError(f"{_switch(asked[1])}: expected alone, got {_switch(asked[0])} beside it")
    own = {
        "add": ("list", "imsi", "reason", "date", "until", "allow", "by", "ref"),
        "remove": ("list", "imsi", "allow", "by", "ref"),
        "create_list": ("status", "kind", "owner", "reason", "by", "ref"),
        "drop_list": ("force", "by", "ref"),
    }
    known = {*asked, *(name for one in asked for name in own[one]), "min_size"}
    known |= {"check_digit"} if asked[0] in ("add", "remove") else set()
    for name, value in {**given, **reading}.items():
        if value and name not in known:
            raise click.UsageError(f"{_switch(name)} does not go with {_switch(asked[0])}")
    with Store.open(base) as store:
        facts = _CHANGES[asked[0]](store, given, reading)
    if as_json:
        click.echo(json.dumps({"store": base, **facts}))
    else:
        click.echo(f"{printable(base)}: change {facts['sequence']}, {facts['what']}")


def _switch(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _create(store: "Store", given: dict[str, Any], reading: dict[str, Any]) -> dict[str, Any]:
    from imeiset import EquipmentStatus
    from imeiset.register.kinds import KINDS

    name, kind = given["create_list"], given["kind"] or "imeis"
    facts, status = KINDS[kind], given["status"]
    if status is None and facts.status is None:
        raise click.UsageError(f"--create-list needs --status: {', '.join(_STATUSES)}")
    of = EquipmentStatus[status.upper()] if status else facts.status
    assert of is not None
    if facts.fixed and of is not facts.status and facts.status is not None:
        raise click.UsageError(f"--status: a list of kind {kind!r} is {facts.status.name.lower()}")
    told = {key: given[key] for key in ("by", "ref")}
    try:
        number = store.add_list(
            name, status=of, kind=kind, owner=given["owner"] or "", reason=given["reason"] or "", **told
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    whose = f", owned by {printable(given['owner'])}" if given["owner"] else ""
    return {"sequence": number, "what": f"a new list {printable(name)} ({of.name.lower()}{whose})"}


def _drop(store: "Store", given: dict[str, Any], reading: dict[str, Any]) -> dict[str, Any]:
    name = given["drop_list"]
    _named(store, name, "--drop-list")
    number = store.drop_list(name, by=given["by"], ref=given["ref"], force=given["force"])
    return {"sequence": number, "what": f"without the list {printable(name)}"}


def _change(store: "Store", given: dict[str, Any], reading: dict[str, Any]) -> dict[str, Any]:
    """Add phones, and remove phones."""
    from imeiset import Delta
    from imeiset.register.imsis import is_imsi
    from imeiset.register.kinds import KINDS

    one = _named(store, given["list"], "--list")
    rule = KINDS[one.kind].rules[0]
    if (given["imsi"] is not None) != (rule == "pair"):
        expected = "--imsi, which its pairs have" if rule == "pair" else "no --imsi: it has no pairs"
        raise click.UsageError(f"list {one.name!r} is of kind {one.kind!r}: expected {expected}")
    if given["imsi"] is not None and not is_imsi(given["imsi"]):
        raise click.UsageError("--imsi: expected 5 to 15 digits")
    if rule == "imsi":
        raise click.UsageError(f"list {one.name!r} holds IMSI prefixes: expected a list of phones or pairs")
    check_digit = reading.get("check_digit", "require")  # people mistype
    adds, removes = ([_phone(text, check_digit) for text in given[side]] for side in ("add", "remove"))
    if both := {*adds} & {*removes}:
        raise click.UsageError(f"'{mask(min(both))}' is both added and removed")
    told = {"by": given["by"], "ref": given["ref"]}
    said = {name: given[name] for name in ("reason", "date", "until") if given[name] is not None}
    with store.writing():
        one = _named(store, one.name, "--list")
        for texts, check, is_wrong, why in (
            (adds, "add", True, "is already on"),
            (removes, "remove", False, "is not on"),
        ):
            for text in texts:
                if _has(one, text, given["imsi"]) is is_wrong and check not in given["allow"]:
                    whom = f" with {mask_imsi(given['imsi'])}" if given["imsi"] else ""
                    remedy = f"--allow {check} takes it all the same"
                    raise click.ClickException(f"'{mask(text)}'{whom} {why} list {one.name!r}; {remedy}")
        deltas = []
        try:
            if removes:
                deltas.append(Delta(one.name, remove=_side(removes, given["imsi"]), **told))
            if adds:
                deltas.append(Delta(one.name, add=_side(adds, given["imsi"]), **said, **told))
            number = store.apply(*deltas)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        still = sum(_still(store, one, text, given["imsi"]) for text in removes)
    counts = {"added": len(adds), "removed": len(removes), "still_listed": still}
    what = f"{printable(one.name)}: {len(adds):,} added, {len(removes):,} removed"
    if still:
        what += f"; of the removed {still:,} still listed: imeiset explain says where"
    return {"sequence": number, "list": one.name, **counts, "what": what}


_CHANGES = {"add": _change, "remove": _change, "create_list": _create, "drop_list": _drop}


def _named(store: "Store", name: str | None, option: str) -> "List":
    """A list of the store; the only one, if none is named."""
    lists = {one.name: one for one in store.lists}
    if name is None and len(lists) == 1:
        [name] = lists
    if name not in lists:
        got = "none" if name is None else printable(name)
        raise click.UsageError(f"{option}: expected one of {', '.join(map(printable, lists))}, got {got}")
    return lists[name]


def _phone(text: str, check_digit: Any) -> str:
    """An IMEI in normal form."""
    from imeiset import Imei, ImeiError

    try:
        return str(Imei.from_key(Imei(text, check_digit=check_digit).key))
    except ImeiError as error:
        remedy = "" if check_digit == "ignore" else "; --check-digit ignore takes any 14 or 15 digits"
        raise click.ClickException(f"{error}{remedy}") from None


def _side(texts: list[str], imsi: str | None) -> Any:
    return texts if imsi is None else (texts, [imsi] * len(texts))


def _has(one: "List", text: str, imsi: str | None) -> bool:
    """Whether a list has a phone, or the phone with a subscriber, by itself."""
    from imeiset import parse
    from imeiset.deltas.members import has
    from imeiset.register.pairs import pair_columns

    if imsi is None:
        return bool(has(one, "exact", parse([text])[0])[0])
    return one.pairs is not None and bool(one.pairs.have(*pair_columns([text], [imsi]))[0])


def _still(store: "Store", one: "List", text: str, imsi: str | None) -> bool:
    """Whether a phone that was removed from a list is on another, or there by another rule, that makes the
    same of it: a black or a grey list of what was on either."""
    from imeiset import EquipmentStatus

    blocking = {EquipmentStatus.BLACKLISTED, EquipmentStatus.GREYLISTED}
    kept = blocking if one.status in blocking else {one.status}
    return any(claim.status in kept for claim in store.explain(text, imsi))

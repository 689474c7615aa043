"""What the commands share that make registers of descriptions, or read registers and stores."""

import json
import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from imeiset.cli.files import check_outputs, progress_bar
from imeiset.errors import mask_log, printable

if TYPE_CHECKING:
    import datetime

    from imeiset import LoadedRegister, Policy, Register, Verdict
    from imeiset.store import FeedStatus, FollowStatus, ListStatus, Status

_TIMES = ("published", "checked", "since")
_FINGERPRINT = re.compile("([0-9a-f]{12})[0-9a-f]{52}")
# Options of build that go with a description, beside those of reading.
_TOGETHER = ("files", "output", "replaced", "as_json", "against", "min_size", "force")


def expect_alone(context: click.Context, files: tuple[str, ...]) -> None:
    """That `imeiset build` of a description has no other files, and no options that stand in it."""
    from imeiset.feeds.options import options_of

    if len(files) > 1:
        raise click.UsageError("expected a description alone, got other files beside it: name them in it")
    for name in context.params.keys() - {*_TOGETHER, *options_of("run")}:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            why = f"write {name} = ... in its lists" if name in options_of("list") else "leave it out"
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with a description: {why}")


def expect_size(output: str, register: "Register", last: "Register", min_size: float) -> None:
    """That no list has less than so many percent of what it had. FeedLimit otherwise."""
    from imeiset.errors import FeedLimit
    from imeiset.register.lists import shrunk

    if found := shrunk(last.counts(), register.counts(), min_size):
        expected, got = found
        raise FeedLimit(output, expected, f"{got}: --force takes it all the same")


def load(
    description: str, output: str | None, files: dict[str, list[str]], options: dict[str, Any]
) -> "LoadedRegister":
    """The register of a description, which will go to that file, if it goes to one.

    files: see `load_register`; options: of reading."""
    from imeiset import load_register
    from imeiset.feeds.description import read_description

    described = read_description(description, files)
    for path in (output, options.get("rejects")):
        if path is not None:
            check_outputs((description, *described.files), path, None)
    with progress_bar() as progress:
        return load_register(described, **options, progress=progress)


def load_source(
    source: str, files: dict[str, list[str]], options: dict[str, Any]
) -> "tuple[Register, LoadedRegister | None]":
    """The register in a snapshot, or of a description."""
    from imeiset import Register
    from imeiset.cli.options import given

    if source.endswith(".toml"):
        loaded = load(source, None, files, given(options, "run"))
        return loaded.register, loaded
    if files:
        raise click.UsageError("--file needs a description FILE.toml, whose lists it names")
    return Register.open(source), None


def show(loaded: "LoadedRegister | None", title: str, as_json: bool, **facts: object) -> None:
    """Print what was loaded, list by list."""
    from imeiset.cli.reports import show_load
    from imeiset.register.kinds import FILE_KINDS, RULES

    reports = loaded.reports if loaded else ()
    if as_json:
        lists = [{"name": one.name, "kind": one.kind, **json.loads(one.report.to_json())} for one in reports]
        click.echo(json.dumps({"out": title, **facts, "lists": lists}))
        return
    names = dict.fromkeys(one.name for one in reports)
    about = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())
    what = [f"a register of {len(names)} lists"] if loaded else []
    click.echo(f"{printable(title)}: {', '.join([*what, *([about] if about else [])])}")
    for one in reports:
        noun = RULES[FILE_KINDS[one.kind][1]].noun
        count = f"{one.report.keys:,} {noun}"
        click.echo()
        show_load(one.report, f"{printable(one.name)} ({one.kind}): {count}")


def policy_facts(policy: "Policy") -> dict[str, Any]:
    """A policy with its statuses in words."""
    facts = asdict(policy)
    for name in ("unlisted", "malformed"):
        status = getattr(policy, name)
        facts[name] = None if status is None else status.name.lower()
    return {**facts, "precedence": list(policy.precedence)}


def age_text(status: "Status", form: str) -> str:
    """How old a store is, in words."""
    if math.isfinite(status.age):
        return f"{status.age:{form}} s old"
    return f"of unknown age: its clock was {status.ahead:{form}} s ahead"


def store_facts(status: "Status") -> dict[str, Any]:
    """A state of a store as JSON has it, which has no infinity."""
    names = (
        "generation",
        "sequence",
        "base_bytes",
        "journal_records",
        "journal_bytes",
        "state_id",
        "compact_due",
    )
    return {name: getattr(status, name) for name in names} | {
        **freshness(status),
        "ahead": round(status.ahead, 6),
        "feeds": {name: {"number": one.number, **freshness(one)} for name, one in status.feeds.items()},
        **({"followed": followed_facts(status)} if status.followed else {}),
    }


def followed_facts(status: "Status") -> dict[str, Any]:
    """What is followed, by feed, as JSON has it."""
    return {
        name: {
            "place": one.place,
            "edition": one.edition,
            **{when: (time := getattr(one, when)) and time.isoformat() for when in _TIMES},
            "fault": one.fault,
            "kind": one.kind,
        }
        for name, one in status.followed.items()
    }


def name_text(name: str) -> str:
    """The name of a feed or an owner: of a fingerprint, as a publisher has, the first digits."""
    found = _FINGERPRINT.fullmatch(name)
    return f"{found[1]}..." if found else printable(name)


def number_text(number: int) -> str:
    """The number of a change, and the day or the hour that it may be."""
    from imeiset.deltas.naming import shown

    return str(number) if (words := shown(number)) == str(number) else f"{number} ({words})"


def followed_text(one: "FollowStatus") -> str:
    """How far a store is in what it follows, in words."""
    edition = f"edition {one.edition}, published {since_text(one.published)}"
    text = (
        f"followed from {printable(mask_log(one.place))}: {edition}, found current {since_text(one.checked)}"
    )
    if one.fault:
        text += f"; since {since_text(one.since)}: {printable(mask_log(one.fault))}"
    return text


def freshness(one: "Status | FeedStatus | ListStatus") -> dict[str, Any]:
    """When something was last changed, and how many seconds ago; None where nobody knows."""
    age = one.age is not None and math.isfinite(one.age)
    return {
        "changed": one.changed and one.changed.isoformat(),
        "age": round(one.age, 6) if age and one.age is not None else None,
    }


def since_text(changed: "datetime.datetime | None") -> str:
    """When a list was last named, in words."""
    return "-" if changed is None else f"{changed:%Y-%m-%d %H:%M:%S} UTC"


def verdict_line(verdict: "Verdict") -> str:
    """A verdict in a line: status, list, rule, date and reasons; or that the policy gave it."""
    facts = verdict.to_dict()
    if verdict.rule == "default":
        return f"{facts['status']}, on no list"
    if verdict.rule == "malformed":
        return f"{facts['status']}, not an IMEI"
    words = (facts["status"], facts["list"], facts["rule"], facts["date"], "|".join(facts["reasons"]))
    return "  ".join(printable(word) if word else "-" for word in words)

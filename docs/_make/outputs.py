"""The page of what commands print with --json, and the JSON Schema of each."""

from typing import Any

import shapes
from shapes import Shape, maybe, members_table, of, optional, some, value, with_members, without
from tables import block, code

from imeiset import ApplyReport, EquipmentStatus, LoadReport, ScreenReport, Verdict
from imeiset.deltas import FeedStep
from imeiset.errors import ParseStatus
from imeiset.feeds.overview import Overview
from imeiset.register.claims import Claim
from imeiset.register.kinds import KINDS, RULES, FileKind
from imeiset.store import Event
from imeiset.store.status import Status
from imeiset.trust import FollowReport, PublishReport, RotateReport

_TEXT, _COUNT = value(str), value(int)
_AGE = maybe(value(float, "Seconds since then; null where nobody knows."))


def _words(names: Any, told: str) -> Shape:
    return {"enum": [*names], "description": told}


def _list(shape: Shape, told: str = "") -> Shape:
    return {"type": "array", "items": shape, **({"description": told} if told else {})}


def _by_name(shape: Shape, told: str) -> Shape:
    return {"type": "object", "additionalProperties": shape, "description": told}


_STATUS = _words((one.name.lower() for one in EquipmentStatus), "The equipment status.")
_STATE = value(str, "Tells states apart: the same base and the same changes have the same.")
_DIGEST = value(str, "SHA-256 of what it holds. With `--digests`.")
_LOADED = with_members(
    of(LoadReport),
    {},
    {
        "rejected": value(int, "How many rows were rejected."),
        "rows_per_second": value(int, "Rows read in each second."),
    },
)
_VERDICT = of(Verdict)
_FRESH = {
    "changed": maybe(value(str, "When it was last changed or named; null if it never was.")),
    "age": _AGE,
}
_STORE = with_members(
    some(
        {
            name: shapes.of(Status)["properties"][name]
            for name in (
                *("generation", "sequence", "base_bytes", "journal_records", "journal_bytes", "state_id"),
                "compact_due",
            )
        }
    ),
    {},
    {
        "changed": value(str, "When the last change was made, by the clock of its writer."),
        "age": _AGE,
        "ahead": value(float, "Seconds that `changed` is ahead of the clock here."),
        "feeds": _by_name(
            some({"number": value(int, "Its last change in the store."), **_FRESH}), "How far each feed is."
        ),
    },
)
_LISTS = {
    "policy": {
        "description": "How it decides.",
        **some(
            {
                "response_type": value(int, "1, 2 or 3."),
                "unlisted": maybe(
                    _words(_STATUS["enum"], "Of phones on no list; null: by the response type.")
                ),
                "malformed": maybe(
                    _words(_STATUS["enum"], "Of what is not an IMEI; null: that is an error.")
                ),
                "precedence": _list(_TEXT, "Rules, the strongest first."),
            }
        ),
    },
    "lists": _list(
        some(
            {
                "name": value(str, "Its name."),
                "status": _STATUS,
                "kind": _words(KINDS, "What it holds."),
                "reason": value(str, "Of what has no reason of its own; empty: none."),
                "owner": value(str, "Who alone changes it; empty: anybody."),
                "counts": _by_name(_COUNT, f"How much it holds, by rule: {', '.join(map(code, RULES))}."),
                **_FRESH,
                "digest": _DIGEST,
            },
            *("changed", "age", "digest"),
        ),
        "Its lists. `changed` and `age` are there for a store.",
    ),
}
_MADE = {"out": value(str, "What was made or changed.")}
_READ = _list(
    with_members(
        _LOADED, {"name": value(str, "The list."), "kind": _words(FileKind.__args__, "What its files hold.")}
    ),
    "What was read for each list: as for `build` of a set, with the members `name` and `kind` before. "
    "Empty where the source is a snapshot.",
)
_NEW = {**_MADE, "generation": value(int, "The base that was made."), "state_id": _STATE, "lists": _READ}

# Each output by its name: what it is, and its shape. The first word is the command.
OUTPUTS: dict[str, tuple[str, Shape]] = {
    "apply-deltas": (
        "For each delta that was applied to a set or a store.",
        optional(
            with_members(
                of(ApplyReport),
                {"delta": value(str, "The file. Of a store.")},
                {
                    "sources": _list(
                        of(LoadReport),
                        "What was read of each: as for `build` of a set, without `rejected` and "
                        "`rows_per_second`.",
                    ),
                    "digest": value(str, "Of the set or the list after it."),
                },
            ),
            "delta",
        ),
    ),
    "apply-by-hand": (
        "For a change by hand: `--add`, `--remove`, `--create-list`, `--drop-list`.",
        some(
            {
                "store": value(str, "The directory."),
                "sequence": value(int, "The number of the change."),
                "list": value(str, "The list that was changed."),
                "added": value(int, "How many phones were added."),
                "removed": value(int, "How many were removed."),
                "still_listed": value(int, "How many of these another list, or another rule, still has."),
                "what": value(str, "What was changed, in words."),
            },
            *("list", "added", "removed", "still_listed"),
        ),
    ),
    "build-set": ("For a set.", _LOADED),
    "build-register": ("For a register.", some({**_MADE, "lists": _READ})),
    "check-set": (
        "For each phone, of a set.",
        some(
            {"imei": value(str, "As it was given."), "listed": value(bool, "Whether the set has it.")},
        ),
    ),
    "check-register": (
        "For each phone, of a register or a store.",
        with_members(_VERDICT, {"imei": value(str, "As it was given.")}),
    ),
    "check-error": (
        "For each text that is not an IMEI, where the policy has no status for such.",
        some(
            {
                "row": value(int, "Which of the arguments or lines, from 1."),
                "got": value(str, "The text, masked."),
                "error": _words((one.name.lower() for one in ParseStatus if one), "What is wrong with it."),
            }
        ),
    ),
    "create": ("For the store.", some(_NEW)),
    "expire": (
        "For the run.",
        some(
            {
                "store": value(str, "The directory."),
                "today": value(str, "What day it was."),
                "sequence": maybe(value(int, "The number of the change; null where nothing is past.")),
                "lists": _by_name(_COUNT, "By how much each list grew or shrank."),
            }
        ),
    ),
    "explain": (
        "For the phone.",
        optional(
            with_members(
                _VERDICT,
                {"imei": value(str, "As it was given."), "imsi": value(str, "With `--imsi`.")},
                {"claims": _list(of(Claim), "What each list says, in the order in which they count.")},
            ),
            "imsi",
        ),
    ),
    "feed": (
        "For each file, or for several that are one change.",
        some(
            {
                **without(of(FeedStep), "reports")["properties"],
                "action": _words(
                    ("applied", "replaced", "contained", "left out", "waiting"), "What became of it."
                ),
                "added": value(int, "Of a delta that was applied."),
                "removed": value(int, "Of a delta that was applied."),
                "updated": value(int, "Of a delta that was applied."),
                "still_listed": value(int, "Of a delta: removed phones that another rule of the list has."),
                "lists": _by_name(_COUNT, "Of full lists: how much each holds now."),
            },
            *("why", "added", "removed", "updated", "still_listed", "lists"),
        ),
    ),
    "follow": (
        "For each step that moved, of a store or a mirror.",
        optional(
            with_members(
                without(of(FollowReport), "counts", "digests"),
                {},
                {
                    "lists": _by_name(
                        some(
                            {
                                "counts": _by_name(_COUNT, "How much it holds, by rule."),
                                "digest": maybe(value(str, "SHA-256 of it; null where it was not compared.")),
                            }
                        ),
                        "Each list of the publisher, under the publisher's name. Of a store.",
                    ),
                },
            ),
            *("lists", "warnings"),
        ),
    ),
    "history": (
        "For each event.",
        with_members(
            without(of(Event), "reason"),
            {},
            {
                "feed": maybe(value(str, "The feed that brought it; null for none.")),
                "by": maybe(value(str, "Who said so; null where nobody said.")),
                "ref": maybe(value(str, "By which paper; null where nobody said.")),
                "reasons": _list(_TEXT, "As the change says."),
            },
        ),
    ),
    "info-list": (
        "For a list that is not built yet.",
        with_members(of(Overview), {}, {"report": {"description": "As for `build` of a set.", **_LOADED}}),
    ),
    "info-set": (
        "For a set.",
        some(
            {
                "imeis": value(int, "How many IMEIs it has."),
                "irregular": value(int, "How many irregular identities it has beside them."),
                "tacs": value(int, "How many TACs it has."),
                "bytes": value(int, "The size of the file."),
                "bits_per_imei": value(float, "Of the file."),
                "digest": _DIGEST,
                "biggest_tacs": _by_name(_COUNT, "The TACs with the most IMEIs."),
            },
            "digest",
        ),
    ),
    "info-register": (
        "For a register.",
        some({"bytes": value(int, "The size of the file."), "state_id": _STATE, **_LISTS}),
    ),
    "info-store": ("For a store.", with_members(_STORE, {}, _LISTS)),
    "keys-rotate": (
        "For the keys.",
        with_members(
            of(RotateReport),
            {},
            {name: of(PublishReport)["properties"][name] for name in ("expires", "warnings")},
        ),
    ),
    "publish": ("For the edition.", of(PublishReport)),
    "replace": (
        "For the store.",
        some(
            {
                **_NEW,
                "feed": value(str, "With `--feed`."),
                "number": maybe(value(int, "With `--feed`: the change of the feed that its lists contain.")),
            },
            *("feed", "number"),
        ),
    ),
    "screen": ("For all files together.", of(ScreenReport)),
    "watch": (
        "For each state.",
        optional(
            with_members(_STORE, {}, {"verdict": {**_VERDICT, "description": "On the phone of `--imei`."}}),
            "verdict",
        ),
    ),
}


def schema(name: str) -> Shape:
    """The JSON Schema of an output."""
    told, shape = OUTPUTS[name]
    about = f"imeiset {name.partition('-')[0]} --json"
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": about,
        "description": told,
        **shape,
    }


def outputs() -> str:
    """What commands print with --json."""
    parts = [
        "# Output as JSON\n",
        "With `--json`, a command prints objects to stdout, one a line. Errors and warnings stay text, on "
        "stderr, and the [exit code](commands.md) is the same. Further members may come in later versions: "
        "ignore those that you do not know. Each shape has a JSON Schema, which the tests compare with what "
        "the commands print.\n",
        block("console", "$ imeiset check eir 490154203237518 --json\n" + _EXAMPLE),
    ]
    before = None
    for name, (told, shape) in OUTPUTS.items():
        command = name.partition("-")[0]
        parts += [f"## {command}\n"] if command != before else []
        before = command
        parts += [
            f"### {name.replace('-', ' ')}\n" if "-" in name else "",
            f"{told} [JSON Schema](../schemas/{name}.json)\n",
            members_table(_short(shape)),
        ]
    return "\n".join(part for part in parts if part)


_EXAMPLE = (
    '{"imei": "490154203237518", "status": "blacklisted", "list": "stolen", "rule": "exact", '
    '"reasons": ["theft"], "date": "2026-11-02"}'
)


def _short(shape: Shape) -> Shape:
    """A shape for people: what a list was read to is told once."""
    members = {}
    for name, one in shape["properties"].items():
        inner = one.get("items", one)
        if isinstance(inner, dict) and "dates_not_understood" in inner.get("properties", {}):
            one = (
                {**one, "items": {"type": "object"}}
                if "items" in one
                else {**one, "properties": {}, "required": []}
            )
        members[name] = one
    return {**shape, "properties": members}

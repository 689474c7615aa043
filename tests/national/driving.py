"""Between the model and the library: the same changes for both, and whether both say the same."""

import datetime
from dataclasses import replace

import numpy as np

from imeiset import Delta, EquipmentStatus, ImeiSet, Policy, Register
from imeiset.errors import StoreOwner, StoreSequence, StoreShrunk

from .model import HISTORIC, Claim, Refused, Row, words

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
ERRORS = {"owner": StoreOwner, "sequence": StoreSequence, "shrunk": StoreShrunk, "value": ValueError}


def columns(rule, members):
    """Members as a Delta takes them."""
    members = sorted(members)
    if rule == "pair":
        return [key for key, _ in members], [imsi for _, imsi in members]
    if rule == "range":
        return members, members
    return [f"{tac:08d}" for tac in members] if rule == "tac" else members


def delta(one):
    """A change of the model as the library takes it."""
    about = {"by": one.by, "ref": one.ref or None}
    if one.row.reasons:
        about["reason"] = "|".join(one.row.reasons)
    for name in ("date", "until"):
        if (value := getattr(one.row, name)) is not None:
            about[name] = value
    return Delta(
        one.list, add=columns(one.rule, one.add), remove=columns(one.rule, one.remove), rule=one.rule, **about
    )


def register(lists, response_type=1):
    """Lists of the model as a register."""
    made = Register(Policy(response_type=response_type))
    for one in lists:
        about = {"status": EquipmentStatus(one.status), "owner": one.owner or None}
        if one.reason:
            about["reason"] = one.reason
        if one.kind == "imeis":
            exact = sorted(one.rows["exact"].items())
            details = {
                "reasons": ["|".join(row.reasons) for _, row in exact],
                "dates": [row.date for _, row in exact],
                "until": [row.until for _, row in exact],
            }
            imeis = ImeiSet.from_keys([key for key, _ in exact], irregular=sorted(one.rows["irregular"]))
            made.add(one.name, imeis, **about, **details)
            if one.rows["range"]:
                made.add_ranges(one.name, *columns("range", one.rows["range"]), **about)
            if one.rows["tac"]:
                made.add_tacs(one.name, columns("tac", one.rows["tac"]), **about)
        elif one.kind == "imsis":
            made.add_imsis(one.name, sorted(one.rows["imsi"]), **about)
        else:
            if one.kind == "exempt":
                del about["status"]
            pairs = sorted(one.rows["pair"].items())
            until = [row.until for _, row in pairs]
            getattr(made, one.kind)(one.name, *columns("pair", one.rows["pair"]), until=until, **about)
    return made


def both(store, model, time, what, *arguments, changes=(), lists=None, **names):
    """Do the same to both: both refuse it, or both do it and say the same; whether it was done.

    changes, lists: of the model, which the library gets as its own.
    """
    mine = changes if lists is None else (lists,)
    try:
        expected = getattr(model, what)(*arguments, *mine, **names, time=time)
    except Refused as refused:
        expected = refused
    try:
        given = map(delta, changes) if lists is None else (register(lists, model.response_type),)
        found = getattr(store, what)(*arguments, *given, **names)
    except tuple(ERRORS.values()) as error:
        if not isinstance(expected, Refused) or not isinstance(error, ERRORS[expected.why]):
            raise
        return False
    assert not isinstance(expected, Refused), f"expected it to be refused ({expected}), got {found!r}"
    assert found == expected or what in ("add_list", "drop_list", "replace")
    return True


def claim(one):
    """A claim of the library as one of the model."""
    return Claim(
        one.list,
        one.owner,
        int(one.status),
        one.rule,
        Row(tuple(one.reasons), one.date, one.until),
        one.decided,
    )


def agree(store, model, questions):
    """Each phone with each subscriber: the claims, the verdict, and the columns of all at once."""
    expected = [model.claims(*question) for question in questions]
    for question, said in zip(questions, expected, strict=True):
        found = [claim(one) for one in store.explain(*question)]
        assert found == said, question
        status, name, rule = model.verdict(said)
        verdict = store.check(*question)
        assert (verdict.status, verdict.list, verdict.rule) == (status, name, rule), question
        row = next((one.row for one in said if one.decided), Row())
        assert (tuple(verdict.reasons), verdict.date) == (row.reasons, row.date), question
    agree_in_columns(store, model, questions, expected)


def agree_in_columns(store, model, questions, expected=None):
    """The columns of all phones at once."""
    expected = expected or [model.claims(*question) for question in questions]
    imeis, imsis = [key for key, _ in questions], [imsi for _, imsi in questions]
    if not any(imsis):
        imsis = None
    said = store.check_many(imeis, imsis, details=True)
    assert store.check_many(imeis, imsis).tolist() == said["status"].tolist()
    verdicts = [model.verdict(claims) for claims in expected]
    assert said["status"].tolist() == [int(status) for status, _, _ in verdicts]
    assert texts(said["list"]) == [name for _, name, _ in verdicts]
    assert texts(said["rule"]) == [rule for _, _, rule in verdicts]
    rows = [next((one.row for one in claims if one.decided), Row()) for claims in expected]
    assert texts(said["reasons"]) == ["|".join(row.reasons) or None for row in rows]
    for name in ("date", "until"):
        found = said[name]
        assert found.dtype == np.dtype("datetime64[D]")
        assert [None if day is None else day for day in found.tolist()] == [
            getattr(row, name) for row in rows
        ]


def texts(column):
    """The texts of a column of words, "" as None."""
    return [column[at] or None for at in range(len(column))]


def agree_on_state(store, model):
    """Feeds, lists and numbers."""
    status = store.status()
    assert {name: one.number for name, one in status.feeds.items()} == {
        name: one.number for name, one in model.feeds.items()
    }
    assert store.sequence == model.sequence
    assert {name: (int(one.status), one.kind, one.owner) for name, one in status.lists.items()} == {
        name: (one.status, one.kind, one.owner) for name, one in model.lists.items()
    }
    assert {name: one.changed and stamp(one.changed) for name, one in status.lists.items()} == {
        name: model.named.get(name) for name in model.lists
    }
    counts = {name: {r: n for r, n in one.counts().items() if n} for name, one in model.lists.items()}
    for name, one in model.lists.items():
        if one.rows.get("tac"):
            counts[name]["tac"] *= 10**6
    found = {name: {rule: n for rule, n in one.items() if n} for name, one in status.counts.items()}
    assert found == counts
    assert list(store) == list(model.lists)


def agree_on_digests(store, model):
    """Of all that the lists hold, however they came to hold it."""
    made = register(model.lists.values(), model.response_type)
    assert {one.name: one.digest() for one in store.lists} == {one.name: one.digest() for one in made.lists}


def forget(store, model, since):
    """What the store has pruned: nothing that happened since then, and nothing out of the middle."""
    left = sum(one.rule in HISTORIC for one in store.history())
    gone = len(model.events) - left
    assert all(event.time < since for event in model.events[:gone])
    model.forget(gone)


def event(one):
    """An event of the library, as `told` has those of the model."""
    member = int(one.imei[:14])
    member = member if one.rule == "exact" else (member, one.imsi)
    row = Row(words(one.reason), one.date, one.until)
    if one.action == "held":
        return (one.list, one.rule, member), ("held", row)
    about = (one.action, stamp(one.time), one.sequence, one.number, one.feed, one.by, one.ref)
    return (one.list, one.rule, member), (*about, None if one.action == "removed" else row)


def told(model, some):
    """The events of one member, the oldest first. Of what was held nothing is known but what still is so."""
    found = []
    for one in some:
        if one.action != "held":
            about = (one.action, one.time, one.sequence, one.number, one.feed, one.by, one.ref)
            found.append((*about, None if one.action == "removed" else one.row))
        elif len(some) > 1:
            found.append(("held", Row()))
        else:
            reasons = one.row.reasons or words(model.lists[one.list].reason)
            found.append(("held", replace(one.row, reasons=reasons if one.rule == "exact" else ())))
    return found


def stamp(moment):
    """A time as ns since 1970, to the microsecond."""
    return (moment - EPOCH) // datetime.timedelta(microseconds=1) * 1000


def grouped(events):
    """The events of each member that a list has or had."""
    found = {}
    for one in events:
        if one.rule in HISTORIC:
            member, said = event(one)
            found.setdefault(member, []).append(said)
    return found


def agree_on_history(store, model, keys=()):
    """All events of all phones in order, and those of some phones asked for alone with what was held."""
    history = model.history()
    expected = {member: told(model, some) for member, some in history.items()}
    whole = {member: [one for one in some if one[0] != "held"] for member, some in expected.items()}
    assert grouped(store.history()) == {member: some for member, some in whole.items() if some}
    of_phones = {}
    for member, some in expected.items():
        phone = member[2] if member[1] == "exact" else member[2][0]
        of_phones.setdefault(phone, {})[member] = some
    for key in keys:
        assert grouped(store.history(key)) == of_phones.get(key, {}), key


def said_by(one, who):
    """A change of that person's."""
    return replace(one, by=who)

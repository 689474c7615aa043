"""How a door is asked, and what its answer comes to: a key, a `ParseStatus`, or `Always` or `Refused`.

A door that answers is asked twice: of a list in which the value is, and of one that holds nothing near it.
"""

import numpy as np

from edges.forms import Always, Refused
from imeiset import EquipmentStatus, ImeiSet, Policy, Register
from imeiset.errors import ImeiError
from imeiset.errors import ParseStatus as S

FAR = ["860123450000012", "490154203237518", "990000862471854"]  # three that no form means
FAR_KEYS = {int(imei[:14]) for imei in FAR}
NAMES = {status.name.lower().replace("_", " "): status for status in S}
BLACK = EquipmentStatus.BLACKLISTED


def far(*keys):
    """A set of the three, and of some keys."""
    return ImeiSet.from_keys(np.array(sorted({*keys, *FAR_KEYS}), np.uint64))


def register(*keys, malformed=None):
    """A register of one black list of the same."""
    made = Register(Policy(response_type=2, malformed=malformed))
    made.add("stolen", far(*keys), status=BLACK)
    return made


def digits_of(form):
    """The keyword `digits`, where a form needs it."""
    return {} if form.digits == 14 else {"digits": form.digits}


def keys_of(members):
    return [int(key) for key in members.to_numpy()]


def beside(keys):
    """The one key that a set has beside the three; the keys, if it is not one."""
    found = set(keys) - FAR_KEYS
    assert set(keys) >= FAR_KEYS, "the rows beside it were lost"
    return found.pop() if len(found) == 1 else found


def held(make, form):
    """What a door holds after it took the values of `make(values)`: those of the three and the form's."""
    try:
        keys = make([*FAR, form.value] if form.digits == 14 else [form.value])
    except ImeiError as error:
        return error.status
    except TypeError:
        return Refused()
    return beside(keys if form.digits == 14 else [*keys, *FAR_KEYS])


def asked(ask, key, lenient=None):
    """What `ask(listed keys)` says: a key, or why not. lenient: where malformed rows count as out."""
    try:
        if not ask([]):
            return key if ask([key]) else "not found"
        return "found where it is not"
    except ImeiError as error:
        status = error.status
    except TypeError:
        return Refused()
    if lenient is None:
        return status
    try:
        out = lenient([])
    except ImeiError as again:
        return Always(status) if again.status == status else again.status
    return "found where it is not" if out else status


def both(without, with_it, key):
    """Two answers, each a ParseStatus or whether it is listed."""
    if isinstance(without, S) and with_it == without:
        return without
    return key if (without, with_it) == (False, True) else "answered wrongly"


def worded(word):
    """A status word of an answer: whether it is listed, or a ParseStatus."""
    if word.startswith("malformed: "):
        return NAMES[word.removeprefix("malformed: ")]
    return {"listed": True, "not listed": False, "blacklisted": True, "unknown": False}[word]


def by_words(say, key):
    """The same as `asked`, of doors that say words."""
    try:
        return both(worded(say([])), worded(say([key])), key)
    except ImeiError as error:
        return Always(error.status)
    except TypeError:
        return Refused()


def told(run):
    """Run in another library: the status in the words of its error, or TypeError, if it has none."""
    try:
        return run()
    except (ImeiError, TypeError):
        raise
    except Exception as error:
        if (status := named_in(error, "{}: expected")) is None:
            raise TypeError(str(error)) from error
        raise ImeiError(status) from error


def named_in(error, pattern="{}"):
    """The status that a message names, the one of the longest name; None, if it names none."""
    for status in sorted(S, key=lambda status: -len(status.text)):
        names = (status.text, status.name.lower().replace("_", " "))
        if status and any(pattern.format(name) in str(error) for name in names):
            return status
    return None

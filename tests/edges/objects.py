"""Doors for one value, or for a list of Python objects: (form, key) to what the door made of it."""

import contextlib
import tempfile
from pathlib import Path

import imeiset
from edges.asking import BLACK, asked, by_words, digits_of, far, held, keys_of, register
from imeiset import Delta, EquipmentStatus, ImeiSet, Register, Screener, Store
from imeiset.errors import ImeiError
from imeiset.errors import ParseStatus as S


def image(form, key):
    return held(lambda values: keys_of(ImeiSet(values, digits=form.digits)), form)


def contains(form, key):
    def ask(keys, **malformed):
        return far(*keys).contains([form.value], digits=form.digits, **malformed)[0]

    return asked(ask, key, lambda keys: ask(keys, malformed=False))


def positions(form, key):
    return asked(lambda keys: far(*keys).positions([form.value], digits=form.digits)[0] >= 0, key)


def parse(form, key):
    keys, status = imeiset.parse([form.value], digits=form.digits)
    return S(int(status[0])) if status[0] else int(keys[0])


def member(form, key):
    return asked(lambda keys: form.value in far(*keys), key)


def imei(form, key):
    try:
        return imeiset.Imei(form.value).key
    except ImeiError as error:
        return error.status


def register_add(form, key):
    def make(values):
        made = Register()
        made.add("stolen", values, status=BLACK, digits=form.digits)
        return keys_of(made["stolen"])

    return held(make, form)


def register_check(form, key):
    return asked(lambda keys: register(*keys).check(form.value).status == BLACK, key)


def check_many(form, key):
    def ask(keys, malformed=None):
        return register(*keys, malformed=malformed).check_many([form.value], digits=form.digits)[0] == BLACK

    return asked(ask, key, lambda keys: ask(keys, EquipmentStatus.GREYLISTED))


@contextlib.contextmanager
def store(*keys):
    with tempfile.TemporaryDirectory() as place:
        made = Store.create(Path(place, "eir"), register(*keys))
        try:
            yield made
        finally:
            made.close()


def store_check(form, key):
    def ask(keys):
        with store(*keys) as made:
            return made.check(form.value).status == BLACK

    return asked(ask, key)


def store_check_many(form, key):
    def ask(keys):
        with store(*keys) as made:
            return made.check_many([form.value], digits=form.digits)[0] == BLACK

    return asked(ask, key)


def store_apply(form, key):
    def make(values):
        with store() as made:
            made.apply(Delta("stolen", add=values, **digits_of(form)))
            return keys_of(made["stolen"])

    return held(make, form)


def screener_contains(form, key):
    def ask(keys, **malformed):
        return Screener(far(*keys)).contains([form.value], digits=form.digits, **malformed)[0]

    return asked(ask, key, lambda keys: ask(keys, malformed=False))


def screener_codes(form, key):
    def say(keys):
        screener = Screener(register(*keys)).now()
        return screener.words[screener.codes([form.value], digits=form.digits)[0]]

    return by_words(say, key)


def settled(form, right):
    """Where the table leaves open which fault is named, `parse` says which, for all doors."""
    if right == "malformed":
        right = tuple(S)[1:]
    if not isinstance(right, tuple):
        return right
    found = parse(form, 0)
    assert found in right
    return found


DOORS = {
    "ImeiSet": image, "contains": contains, "positions": positions, "parse": parse, "in": member,
    "Imei": imei,
    "Register.add": register_add, "Register.check": register_check, "check_many": check_many,
    "Store.check": store_check, "Store.check_many": store_check_many, "Store.apply": store_apply,
    "Screener.contains": screener_contains, "Screener.codes": screener_codes,
}  # fmt: skip

"""The slow, obvious twin of everything native. Written from the standards, not from the kernels.

What it says of one text is remembered: tests ask about the same texts at every SIMD level.
"""

import hashlib
import re
from bisect import bisect_left
from collections import Counter
from functools import lru_cache

from imeiset.errors import ParseStatus as S

NO_KEY = 2**64 - 1
DIGITS = "0123456789"


# ---- one value ----


@lru_cache(1 << 18)
def luhn_digit(body):
    """3GPP TS 23.003 annex B: double every second digit, add up the digits, fill up to a ten."""
    total = 0
    for place, digit in enumerate(body):
        number = int(digit) * (2 if place % 2 == 1 else 1)
        total += sum(int(d) for d in str(number))
    return -total % 10


def separated(text):
    """(digits, status) of digits with single separators between them: the leftmost fault decides."""
    if text == "":
        return None, S.EMPTY
    digits = ""
    for place, c in enumerate(text):
        if c in DIGITS:
            digits += c
            if len(digits) == 17:
                return None, S.TOO_LONG
        elif place == 0 and c in "+-":
            return None, S.SIGN
        elif c in "- ":
            if place == 0 or text[place - 1] not in DIGITS:
                return None, S.SEPARATOR
        elif c == "\0":
            return None, S.NUL
        else:
            return None, S.NOT_DIGIT if ord(c) < 128 else S.NOT_ASCII
    if text[-1] in "- ":
        return None, S.SEPARATOR
    if len(digits) < 14:
        return None, S.TOO_SHORT
    return digits, S.OK


def matches(pattern, text):
    """The groups that took part, where all of a text matches; letters are of either case."""
    found = re.fullmatch(pattern, text, re.ASCII | re.IGNORECASE | re.DOTALL)
    return found and [group for group in found.groups() if group is not None]


BLANKS = " \t\n\v\f\r"
NAME, VALUE = "[!-:<>-~]+", "[!-:<-~]+"  # visible, without ';', and a name without '='
FILLER = "([0-9]{15})F|([0-9]{14})FF"
URN = f"urn:gsma:imei:([0-9]{{8}})-([0-9]{{6}})-([0-9])(?:;svn=[0-9]{{2}}|;(?!svn=){NAME}={VALUE})*"
SVN = f"([0-9]{{14}})[{BLANKS}]?/[{BLANKS}]?([0-9]{{2}})|([0-9]{{15}})[{BLANKS}]?/[{BLANKS}]?[0-9]{{2}}"


@lru_cache(1 << 18)
def read(text):
    """(digits, form, status) of a str or bytes; digits and form are None where it is not an IMEI."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    text = text.strip(BLANKS)
    digits, status = separated(text)
    if not status:
        return digits, "digits" if digits == text else "separators", S.OK
    if status != S.NOT_DIGIT or len(text) > 255:
        return None, None, status
    if found := matches("(imei|imeisv)-(.*)", text):
        digits, status = separated(found[1])
        if not status and len(digits) == {"imei": 15, "imeisv": 16}[found[0].lower()]:
            return digits, "pei", S.OK
        counted = status in (S.OK, S.EMPTY, S.TOO_SHORT, S.TOO_LONG)
        return None, None, S.PREFIX if counted else S.NOT_DIGIT
    if found := matches(FILLER, text):
        return found[0], "filler", S.OK
    if matches("([0-9]+F+)", text):
        return None, None, S.FILLER
    if found := matches(URN, text):
        return "".join(found), "urn", S.OK
    if found := matches('="(.*)"|\'(.*)', text):
        digits, status = separated(found[0])
        if filled := matches(FILLER, found[0]):
            digits, status = filled[0], S.OK
        return (None, None, S.NOT_DIGIT) if status else (digits, "spreadsheet", S.OK)
    if found := matches(SVN, text):
        return "".join(found), "svn", S.OK
    return None, None, S.NOT_DIGIT


def from_digits(digits):
    """(key, status) of 14 to 16 digits, check digit codes included."""
    if len(digits) != 15:
        return int(digits[:14]), S.NO_CHECK_DIGIT
    if int(digits[14]) != luhn_digit(digits[:14]):
        return int(digits[:14]), S.CHECK_DIGIT_SPARE if digits[14] == "0" else S.CHECK_DIGIT
    return int(digits[:14]), S.OK


def parse_text(text):
    digits, _, status = read(text)
    return (NO_KEY, status) if status else from_digits(digits)


def parse_integer(number, digits=14):
    if number < 0:
        return NO_KEY, S.NEGATIVE
    if number == NO_KEY:  # of a row that had none
        return NO_KEY, S.MISSING
    if number >= 10**digits:
        return NO_KEY, S.FIFTEEN_DIGITS if digits == 14 and number < 10**15 else S.OUT_OF_RANGE
    return from_digits(str(number).zfill(digits))


def parse_value(value, digits=14):
    """Anything a list may hold."""
    if isinstance(value, str | bytes):
        return parse_text(value)
    if value is None or (isinstance(value, float) and value != value):
        return NO_KEY, S.MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_integer(value, digits)
    return NO_KEY, S.WRONG_TYPE


def lax(row):
    """A row as a kernel gives it that was not asked whether there is a check digit."""
    key, status = row
    return key, S.OK if status == S.NO_CHECK_DIGIT else status


def is_valid(value, digits=14):
    """Exactly 15 digits, the last of them Luhn's. An integer has them if it is said to carry 15."""
    return parse_value(value, digits)[1] == S.OK


def tac(value, digits=14):
    """The first eight digits, as bytes; none of a malformed value."""
    key, status = settle(parse_value(value, digits), "ignore")
    return b"" if status else b"%08d" % (key // SERIALS)


def normalise(text):
    """DIRBS: the key of a text that begins with 14 digits, the text in upper case, or None."""
    text = text.strip(BLANKS)
    if not 1 <= len(text) <= 16 or set(text) - set("0123456789ABCDEFabcdef*#"):
        return None
    return int(text[:14]) if len(text) >= 14 and not set(text[:14]) - set(DIGITS) else text.upper()


# ---- columns ----


def settle(row, policy):
    """A row's (key, status) under a check digit policy."""
    key, status = row
    spare = {S.CHECK_DIGIT_SPARE, S.NO_CHECK_DIGIT}
    allowed = {"ignore": {*spare, S.CHECK_DIGIT}, "spare": spare, "require": set()}
    if status in allowed[policy]:
        return key, S.OK
    return (NO_KEY if status else key), status


def split_lines(text):
    """The lines of bytes: LF or CRLF ends one, and nothing after the last end is no line."""
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


# ---- sets ----

KEYS = 10**14
SERIALS = 10**6


class Members:
    """A set of keys: a sorted list, and nothing clever."""

    def __init__(self, keys=()):
        self.keys = sorted(set(keys))
        self.set = frozenset(self.keys)

    @classmethod
    def of_ranges(cls, lows, highs):
        return cls(key for low, high in zip(lows, highs, strict=True) for key in range(low, high + 1))

    def rank(self, key):
        """How many members are below."""
        return bisect_left(self.keys, key)

    def position(self, key):
        return self.rank(key) if key in self.set else -1

    def runs(self):
        """(lowest, highest) of every run of consecutive keys."""
        lows = [key for key in self.keys if key - 1 not in self.set]
        highs = [key for key in self.keys if key + 1 not in self.set]
        return list(zip(lows, highs, strict=True))

    def tac_counts(self):
        return sorted(Counter(key // SERIALS for key in self.keys).items())

    def texts(self):
        return [f"{key:014}{luhn_digit(f'{key:014}')}" for key in self.keys]


# ---- registers ----

W, B, G, U = range(4)  # white, black, grey, unknown


def bucket(key, count):
    """Where a key stands in the hash table of a small set that has so many buckets."""
    rest = key // 128
    mixed = (rest ^ rest >> 27) % 2**32 * 0x9E3779B1 % 2**32
    return ((mixed >> 16) * count // 2**16 + key % 128) % count


def key_in(bucket_number, rest, count):
    """The key of these upper bits that stands in that bucket, of which there is one at most."""
    lower = (bucket_number - bucket(rest * 128, count)) % count
    return rest * 128 + lower if lower < 128 else None


def marks(key, words):
    """In which of so many words, a power of two, a key has its marks, and these."""
    hashed = ((key % 2**32) * 0x9E3779B1 + (key >> 32) * 0x85EBCA77) % 2**32
    hashed = (hashed ^ hashed >> 15) * 0xC2B2AE3D % 2**32
    bits = hashed * 0x27D4EB2F % 2**32
    return hashed * words >> 32, 1 << (bits >> 27) | 1 << (bits >> 22 & 31)


def parse_imsi(value):
    """The digits of an IMSI, None where none is given or understood; and whether it is understood."""
    text = (value or "").strip(" \t\n\v\f\r")
    if not text or text[:4].lower() in ("nai-", "gci-", "gli-"):
        return None, True
    digits = text[5:] if text[:5].lower() == "imsi-" else text
    return (digits, True) if re.fullmatch("[0-9]{5,15}", digits, re.ASCII) else (None, False)


class Equipment:
    """Lists of equipment in plain dicts and sets, and the rules of a verdict, one after the other."""

    PRECEDENCE = ("imsi", "pair", "exact", "range", "tac")

    def __init__(self, response_type=1, unlisted=None, precedence=PRECEDENCE):
        self.response_type = response_type
        self.unlisted = unlisted
        self.precedence = precedence
        self.lists = {}

    def list(self, name, status, kind="imeis", owner="", reason=""):
        """A list, made if there is none. exact: reasons by key; dates, untils: by key, untils by pair too."""
        empty = {"status": status, "kind": kind, "exact": {}, "range": set(), "tac": set()}
        empty |= {"pairs": set(), "prefixes": set(), "texts": set(), "dates": {}, "untils": {}}
        return self.lists.setdefault(name, empty | {"owner": owner, "reason": reason})

    def combine(self, names):
        """(status, name) of equipment on those lists."""
        on = {self.lists[name]["status"] for name in names}
        if not on:
            return (self.unlisted if self.unlisted is not None else W if self.response_type == 1 else U), None
        deciding = B if B in on else G if G in on else W
        first = next(name for name in names if self.lists[name]["status"] == deciding)
        unknown = self.response_type == 3 and W not in on
        return (U if unknown else deciding), first

    def check(self, key, imsi=None):
        """(status, list, rule, reason) of a key, or of an irregular identity, as text."""
        for rule in self.precedence:
            if rule == "imsi" and imsi:
                hits = [
                    (len(prefix), one["status"], name)
                    for name, one in self.lists.items()
                    for prefix in one["prefixes"]
                    if imsi.startswith(prefix)
                ]
                if hits:
                    _, status, name = max(hits)
                    return status, name, "imsi", ""
            if rule == "pair":
                for name, _ in self.paired(key, imsi):
                    one = self.lists[name]
                    return one["status"], name, "block" if one["kind"] == "block" else "pair", ""
            if rule in ("exact", "range", "tac"):
                names = [name for name, one in self.lists.items() if self.on(one, rule, key)]
                if names:
                    status, name = self.combine(names)
                    rule = "irregular" if isinstance(key, bytes) else rule
                    return (
                        status,
                        name,
                        rule,
                        self.lists[name]["exact"].get(key, "") if rule == "exact" else "",
                    )
        return self.combine([])[0], None, "default", ""

    def answer(self, value, imsi=None, malformed=None):
        """`check` of any value and any text of an IMSI; None for an error, if `malformed` is not a status."""
        imsi, understood = parse_imsi(imsi)
        understood = understood or malformed is not None
        key, status = settle(parse_value(value), "ignore")
        if understood and not status:
            return self.check(key, imsi)
        if understood and isinstance(value, str) and any(one["texts"] for one in self.lists.values()):
            form = normalise(value)
            if isinstance(form, int):
                return self.check(form, imsi)
            if form is not None and (found := self.check(form.encode(), imsi))[1] is not None:
                return found
        return None if malformed is None else (malformed, None, "malformed", "")

    def paired(self, key, imsi):
        """(list, its pairs that say so) of lists of pairs that say something, in the order of asking."""
        found = []
        for name, one in self.lists.items():
            mine = {(imei, subscriber) for imei, subscriber in one["pairs"] if imei == key}
            if one["kind"] == "lock" and mine and (key, imsi) not in mine:
                found.append((2, 0, name, mine))
            if one["kind"] == "exempt" and (key, imsi) in mine:
                found.append((1, 0, name, {(key, imsi)}))
            if one["kind"] == "block" and (key, imsi) in mine:
                found.append((0, (B, G, W).index(one["status"]), name, {(key, imsi)}))
        return [row[2:] for row in sorted(found, key=lambda row: row[:2])]

    def claims(self, key, imsi=None):
        """(list, rule, what it has) of all lists that say something, those that are asked first before the
        others; key: None where nothing but the IMSI is asked."""
        found = []
        for rule in self.precedence:
            if rule == "imsi" and imsi:
                some = [
                    (-max(len(prefix) for prefix in mine), name)
                    for name, one in self.lists.items()
                    if (mine := [prefix for prefix in one["prefixes"] if imsi.startswith(prefix)])
                ]
                found += [(name, "imsi", None) for _, name in sorted(some)]
            if rule == "pair" and key is not None:
                for name, pairs in self.paired(key, imsi):
                    found.append((name, "block" if self.lists[name]["kind"] == "block" else "pair", pairs))
            if rule in ("exact", "range", "tac") and key is not None:
                names = [name for name, one in self.lists.items() if self.on(one, rule, key)]
                names.sort(key=lambda name: (B, G, W).index(self.lists[name]["status"]))
                said = "irregular" if isinstance(key, bytes) else rule
                found += [(name, said, {key} if said == "exact" else None) for name in names]
        return found

    def told(self, name, rule, entries):
        """(reasons, date, until) of a claim."""
        one = self.lists[name]
        reasons, date, untils = "", None, []
        if rule == "exact":
            [key] = entries
            reasons, date, untils = one["exact"][key], one["dates"].get(key), [one["untils"].get(key)]
        elif entries:
            untils = [one["untils"].get(pair) for pair in entries]
        return reasons or one["reason"], date, None if not untils or None in untils else max(untils)

    def explain(self, value, imsi=None, malformed=None):
        """(list, owner, status, rule, reasons, date, until, decided) of each claim; None for an error."""
        answer = self.answer(value, imsi, malformed)
        if answer is None:
            return None
        key, status = settle(parse_value(value), "ignore")
        if status:
            texts = any(one["texts"] for one in self.lists.values())
            form = normalise(value) if isinstance(value, str) and texts else None
            key = form.encode() if isinstance(form, str) else form
        found = []
        for name, rule, entries in self.claims(key, parse_imsi(imsi)[0]):
            one = self.lists[name]
            decided = (name, rule) == answer[1:3]
            found.append((name, one["owner"], one["status"], rule, *self.told(name, rule, entries), decided))
        return found

    def details(self, value, imsi=None, malformed=None):
        """(status, list, rule, reasons, date, until) of a row of a column; None for an error."""
        claims = self.explain(value, imsi, malformed)
        if claims is None:
            return None
        status, name, rule, _ = self.answer(value, imsi, malformed)
        [(reasons, date, until)] = [claim[4:7] for claim in claims if claim[7]] or [(None, None, None)]
        return status, name, rule, reasons or None, date, until

    @staticmethod
    def on(one, rule, key):
        if isinstance(key, bytes):
            return rule == "exact" and key in one["texts"]
        if rule == "exact":
            return key in one["exact"]
        if rule == "range":
            return any(low <= key <= high for low, high in one["range"])
        return key // SERIALS in one["tac"]


def classes(lists, pairs, tacs):
    """What each key that some list has is to deciders: the bits of its class, 0 where lists are to be asked.

    lists: (status, keys) of exact IMEIs, in order; pairs: the keys that have some; tacs: whole ones.
    """
    found = {}
    order = sorted(range(len(lists)), key=lambda n: (B, G, W).index(lists[n][0]))
    known = set().union(pairs, *(keys for _, keys in lists))
    for key in known | {tac * SERIALS + serial for tac in tacs for serial in range(SERIALS)}:
        on = [n for n in order if key in lists[n][1]]
        found[key] = (on[0] + 1 if on else 0) | (key in pairs) << 9 | (len(on) > 1) << 10
        found[key] |= sum({1 << 6 + lists[n][0] for n in on}) | (key // SERIALS in tacs) << 11
    for low, high in Members(found).runs():
        if high - low >= 31 or high // SERIALS > low // SERIALS:  # a run, with one class for all
            run, wide = range(low, high + 1), (high - low >= SERIALS - 1) << 11
            shared = {found[key] for key in run}
            found |= dict.fromkeys(run, shared.pop() | wide if len(shared) == 1 else 0)
    return found


def leb128(number):
    """A number in 7 bits a byte, the lowest first; all bytes but the last have the eighth."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def digest(runs, texts):
    """The digest of a set: of its runs as (lowest, highest), in order and not touching, and its texts."""
    encoded, after = b"", 0
    for low, high in runs:
        encoded += leb128(2 * (low - after) + (high > low))
        if high > low:
            encoded += leb128(high - low - 1)
        after = high + 1
    rest = b"".join(text.encode().ljust(16, b"\0") for text in texts)
    return hashlib.sha256(hashlib.sha256(encoded).digest() + rest).hexdigest()


def count_codes(rows, shift, room):
    """How often each code below `room` is in the bits of rows from a shift on, and the two lowest bits of
    each; IndexError for others."""
    codes = [row >> shift for row in rows]
    if any(code >= room for code in codes):
        raise IndexError("a code beyond the counts")
    return [codes.count(code) for code in range(room)], [code & 3 for code in codes]

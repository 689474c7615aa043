"""The slow twin of cells, written from docs/feeds.md: an IMEI in one of its forms, a date, or neither."""

import datetime
import re
from dataclasses import dataclass

BLANKS = " \t\r\n\v\f"


def luhn(body):
    total = 0
    for place, digit in enumerate(body):
        number = int(digit) * (1 + place % 2)
        total += number // 10 + number % 10
    return str(-total % 10)


_DIGITS = "[0-9](?:[ -]?[0-9])*"


def form_of(text):
    """(digits, form, whether with separators) of a text without blanks around; None if it is none."""
    if re.fullmatch(_DIGITS, text):
        digits = re.sub("[ -]", "", text)
        return (digits, "digits", digits != text) if 14 <= len(digits) <= 16 else None
    if found := re.fullmatch(f"(imei|imeisv)-({_DIGITS})", text, re.I):
        digits = re.sub("[ -]", "", found[2])
        right = len(digits) == (15 if found[1].lower() == "imei" else 16)
        return (digits, "pei", digits != found[2]) if right else None
    if re.fullmatch("[0-9]{15}F|[0-9]{14}FF", text, re.I):
        return text.rstrip("Ff"), "filler", False
    if found := re.fullmatch("urn:gsma:imei:([0-9]{8})-([0-9]{6})-([0-9])(?:;[^;=]+=[^;=]*)*", text, re.I):
        return found[1] + found[2] + found[3], "urn", False
    if found := re.fullmatch('="([^"]*)"|\'(.*)', text):
        inner = form_of(found[1] if found[1] is not None else found[2])
        return (inner[0], "spreadsheet", inner[2]) if inner and inner[1] in ("digits", "filler") else None
    if found := re.fullmatch("([0-9]{14,15}) ?/ ?([0-9]{2})", text):
        return (found[1] + found[2] if len(found[1]) == 14 else found[1]), "svn", False
    return None


def tbcd_of(text):
    """The digits of TBCD in hexadecimal: of each two the second first, and F for none at the end."""
    if not re.fullmatch("[0-9A-Fa-f]{14}|[0-9A-Fa-f]{16}", text):
        return None
    turned = "".join(text[at + 1] + text[at] for at in range(0, len(text), 2)).upper()
    digits = turned.rstrip("F")
    return (digits, "digits", False) if 14 <= len(digits) <= 16 and digits.isdigit() else None


@dataclass
class Cell:
    """What a cell of the column of IMEIs is: blank, a key, a text, or none of these."""

    kind: str  # blank, key, text, bad
    digits: str = ""
    form: str = ""
    separated: bool = False
    text: str = ""

    @property
    def key(self):
        return int(self.digits[:14])


def cell_of(text, options):
    text = text.strip(BLANKS)
    if not text:
        return Cell("blank")
    policy = options.get("check_digit", "ignore")
    found = tbcd_of(text) if options.get("tbcd") else form_of(text)
    if found is None:
        kept = options.get("irregular") == "keep" and not options.get("tbcd")
        if kept and re.fullmatch("[0-9A-Fa-f*#]{1,16}", text):
            if re.match("[0-9]{14}", text):
                return Cell("bad") if policy == "require" else Cell("key", text[:14], "irregular")
            return Cell("text", text=text.upper())
        return Cell("bad")
    digits, form, separated = found
    bare = form == "digits" and not separated  # other forms never were numbers
    restored = options.get("lost_zeros") if bare else None
    if restored == "restore" and len(digits) == 14:
        digits = "0" + digits
        if digits[14] != luhn(digits[:14]):
            return Cell("bad")
    elif restored == "restore-imeisv" and len(digits) == 15:
        digits = "0" + digits
    if policy != "ignore":
        if len(digits) != 15:
            if policy == "require":
                return Cell("bad")
        elif digits[14] != luhn(digits[:14]) and (policy == "require" or digits[14] != "0"):
            return Cell("bad")
    return Cell("key", digits, form, separated)


def is_placeholder(key):
    body = f"{key:014}"
    return len(set(body)) == 1 or "001001" <= body[:6] <= "001017" or body[:4] in ("0044", "0086", "0091")


def valid(text):
    """Whether a cell is an IMEI of 15 digits, in any form, with the right check digit."""
    digits, *_ = form_of(text.strip(BLANKS)) or ("",)
    return len(digits) == 15 and luhn(digits[:14]) == digits[14]


_DATE = re.compile(r"([0-9]{4})([-/.]?)([0-9]{2})\2([0-9]{2})(?:[T ].*)?")


def is_date(text, pattern=None):
    text = text.strip(BLANKS)
    if pattern == "excel":
        return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None and 0 < float(text) < 2958466
    try:
        if pattern:
            datetime.datetime.strptime(text, pattern)
            return True
        found = _DATE.fullmatch(text)
        if not found:
            return False
        datetime.date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return False
    return True

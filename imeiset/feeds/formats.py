"""The lists that operators and national systems exchange: their columns, and what the columns say."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from .words import spellings

Identity = Literal["imei", "tac", "range"]
Purpose = Literal["list", "delta"]
Polarity = Literal["blocklist", "greylist", "whitelist", "removals"]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of list.

    identity: what a row names, a device, a TAC or the devices from one to another. columns: the titles it
    has, the identity's first. statuses: the ones of rows that count, in a list with a status; the others
    are ignored and counted.
    """

    name: str
    identity: Identity
    columns: tuple[str, ...]
    statuses: frozenset[bytes] | None = None

    @property
    def identities(self) -> int:
        """How many columns name the identity."""
        return 2 if self.identity == "range" else 1

    @property
    def polarity(self) -> Polarity:
        """What becomes of its phones, where nothing else says it."""
        return "whitelist" if self.name in ("registration", "exceptions") else "blocklist"


_REGISTRATION = "make model status model_number brand_name device_type radio_interface device_id"
_ALL = (
    Format("plain", "imei", ()),
    Format("table", "imei", ("imei",)),
    Format("stolen", "imei", ("imei", "reporting_date", "status"), frozenset((b"",)) | spellings("blocks")),
    Format("barred", "imei", ("imei",)),
    Format("barred-tac", "tac", ("tac",)),
    Format("monitoring", "imei", ("imei",)),
    Format("pairing", "imei", ("imei", "imsi", "msisdn")),
    Format(
        "registration",
        "imei",
        ("approved_imei", *_REGISTRATION.split()),
        frozenset((b"",)) | spellings("clears"),
    ),
    Format("blacklist", "imei", ("imei", "block_date", "reasons")),
    Format("exceptions", "imei", ("imei", "imsi", "msisdn")),
    Format("notifications", "imei", ("imei", "imsi", "msisdn", "block_date", "reasons")),
    Format("cdr", "imei", ("imei", "date", "imsi", "msisdn")),
    Format("ranges", "range", ("from", "to")),
    Format("tacs", "tac", ("tac",)),
)
FORMATS = {one.name: one for one in _ALL}

# By header alone: lists of the same columns are told apart by nobody, and mean the same here.
_RECOGNISED = sorted(
    (FORMATS[name] for name in FORMATS if name not in ("plain", "table", "monitoring", "exceptions", "tacs")),
    key=lambda one: -len(one.columns),
)

# What further columns hold, by title: a date YYYYMMDD, a number of digits, or a text of few values.
DATES = ("date", "reporting_date", "block_date")
UNTILS = ("until",)
REASONS = ("reasons", "reason")
NUMBERS = {"imsi": (5, 15), "msisdn": (1, 18)}
CHANGE = "change_type"
CHANGES = (b"add", b"remove", b"update")


@lru_cache(1024)  # of one header they are asked for a hundred times
def plain(title: str) -> str:
    """A title as titles are compared: without case, spaces and punctuation."""
    return "".join(c for c in title.casefold() if c.isalnum())


def recognise(titles: list[str]) -> Format | None:
    """The format with the most columns that a header has, each once; None if it has those of none."""
    names = [plain(title) for title in titles]
    for one in _RECOGNISED:
        if one.name == "barred" and set(names) - {"imei", plain(CHANGE)}:
            continue  # a table of other columns
        fits = one.identity == "imei" or "imei" not in names
        if fits and all(names.count(plain(column)) == 1 for column in one.columns):
            return one
    return None

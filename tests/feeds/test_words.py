"""What words, codes and titles mean."""

import pytest

from imeiset.feeds import words
from imeiset.feeds.formats import FORMATS


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        ("blocks", "BLACKLISTED|Black List|black-listed|Blocked|bloqué|BLOQUEADO|gesperrt|stolen|LOST"),
        ("blocks", "1 - BLACKLISTED|device blocked|stolen, lost|lista negra|not whitelisted|calinti"),
        ("clears", "White|whitelisted|WHITE_LIST|entsperrt|débloqué|recovered|weiß|liste blanche|beyaz"),
        ("clears", "not blocked|no bloqueado|0: whitelisted|reported stolen, recovered|found"),
        ("grey", "grey|GRAYLISTED|Grey List|gris"),
        ("adds", "add|Added|A - add|nuevo|hinzugefügt"),
        ("removes", "remove|REMOVED|Deleted from list|supprimé|gelöscht|removed from blacklist|withdrawn"),
        ("updates", "update|Changed|modifié"),
    ],
)
def test_meanings(said, texts):
    assert {text: words.meaning(text) for text in texts.split("|")} == dict.fromkeys(texts.split("|"), said)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Black Shark",
            "phone removed from car",
            "New Zealand",
            "S7 Active",
            "stolen vehicle",
            "not found",
        ),
        *("Samsung", "Free Mobile", "20240101", "WL", "expired", "A", "0", "-"),
    ],
)
def test_other_texts_say_nothing(text):
    assert words.meaning(text) is None


def test_codes_and_absence():
    assert [words.code_of(text) for text in ("Sí", " YES ", "0.0", "A", "oui", "3", "maybe")] == [
        *("si", "yes", "0", "a", "oui"),
        *(None, None),
    ]
    assert all(map(words.is_absent, ("", " N/A ", b"null", b"-", "Unknown", "0")))
    assert not words.is_absent("1")


def test_encodings():
    assert words.text_of("bloqué ".encode()) == words.text_of("bloqué".encode("latin-1")) == "bloqué"


def test_titles():
    """Titles of statuses, of changes and of ends, and others."""
    statuses = (
        "status|equipmentStatus|match_response_code|list|Colour|blacklisted|blocked?|estado|statut|is_lost"
    )
    for title in statuses.split("|"):
        assert words.speaks_of_statuses(title), title
    for title in ("Operation", "action", "op", "change", "tipo de operación"):
        assert words.speaks_of_changes(title), title
    for title in (
        "unblock_date",
        "removed",
        "recovered on",
        "fecha de desbloqueo",
        "whitelisted",
        "expired",
        "is_revoked",
        "Canceled",
    ):
        assert words.speaks_of_ends(title), title
    other = (
        "brand",
        "model",
        "operator",
        "country",
        "reason",
        "block_date",
        "status_date",
        "roaming_allowed",
        "id",
    )
    for title in other:
        assert not words.speaks_of_statuses(title), title
        assert not words.speaks_of_changes(title), title
        assert not words.speaks_of_ends(title), title
    assert [words.says(title) for title in ("blocked?", "isWhitelisted", "status")] == [
        "blocks",
        "clears",
        None,
    ]


def test_changes():
    assert [
        words.change_of(text) for text in ("Added", "baja", "upd", "unblock", "blacklisted", "A", "0")
    ] == [
        *("add", "remove", "update", "remove", "add"),
        *(None, None),
    ]
    assert words.change_of("unblock", blocklist=False) is words.change_of("cancelled") is None


def test_known_formats_count_known_words():
    """A status is compared byte by byte, ASCII in lower case."""
    for text in ("BLACKLISTED", "Black List", "BLOQUÉ", "bloqué", "Stolen", ""):
        for encoding in ("utf-8", "latin-1"):
            assert text.encode(encoding).lower() in FORMATS["stolen"].statuses, text
    assert b"whitelisted" in FORMATS["registration"].statuses
    assert not FORMATS["stolen"].statuses & FORMATS["registration"].statuses - {b""}

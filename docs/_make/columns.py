"""The page of titles, words and dates, from the tables by which lists are read."""

from tables import code, codes, table

from imeiset.feeds import formats, titles, words

_MEANS = {
    "blocks": "the phone is blocked",
    "clears": "the phone is let through",
    "grey": "the phone is watched",
    "adds": "of a change: an addition",
    "removes": "of a change: a removal",
    "updates": "of a change: an update",
}
_LANGUAGES = "English, Spanish, French, German, Portuguese, Italian and Turkish"


def columns() -> str:
    """Titles, words and dates."""
    parts = [
        "# Columns, words and dates\n",
        "What titles and values of lists are taken for. [Operators' files](../feeds.md) says what follows. "
        "`imeiset info FILE` shows it for one file. Titles are compared without case, spaces and "
        "punctuation.\n",
        "## Titles\n",
        table(
            ("column", "titles", "option"),
            [
                (
                    "IMEI",
                    f"{codes(sorted(titles.KNOWN))}; any other with `imei` in it that does not speak of a "
                    "status, a date, a count or a subscriber",
                    "`--column`",
                ),
                ("date", codes(formats.DATES), "`--date-column`"),
                ("last day", codes(formats.UNTILS), "`--until-column`"),
                ("reasons", codes(formats.REASONS), "`--reason-column`"),
                ("change", code(formats.CHANGE), "`--change-column`"),
                *(
                    (name.upper(), f"`{name}`, {low} to {high} digits", "")
                    for name, (low, high) in formats.NUMBERS.items()
                ),
            ],
        ),
        "## Formats\n",
        table(
            ("`--format`", "a row names", "columns"),
            (
                (
                    code(one.name),
                    {"imei": "a phone", "tac": "a TAC", "range": "a range"}[one.identity],
                    codes(one.columns) or "none",
                )
                for one in formats.FORMATS.values()
            ),
        ),
        "## Dates\n",
        table(
            ("`--date-format`", "reads", "example"),
            [
                (
                    "left out",
                    "`YYYYMMDD`, `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYY.MM.DD`, and any time after it",
                    "`2026-11-29T08:00Z`",
                ),
                (
                    "letters of `strptime`",
                    "that form only: a year, a month and a day, in `%Y %y %m %b %B %d %j`",
                    "`%d.%m.%Y`: `29.11.2026`",
                ),
                ("`excel`", "days since 1899-12-30, from 1 on", "`46355`"),
            ],
        ),
        "## Words\n",
        f"In {_LANGUAGES}, compared without case, accents, blanks and punctuation. Words of a list that "
        "contradict it are an error, in any column.\n",
    ]
    for meaning, told in words._WORDS.items():
        parts += [
            f"### {_MEANS[meaning][0].upper()}{_MEANS[meaning][1:]}\n",
            codes(sorted(set(told.split()))) + "\n",
        ]
    parts += [
        "### No value, yes and no\n",
        table(
            ("means", "written as"),
            [
                ("no value", "an empty cell, " + codes(sorted(words.ABSENT - {""}))),
                ("yes", codes(sorted(words.YES))),
                ("no", codes(sorted(words.NO))),
            ],
        ),
    ]
    return "\n".join(parts)

"""Texts of every form that an IMEI may have, texts that nearly have one, and texts that have none."""

GOOD = "490154203237518"
# A text of each form, or of a variant of it, and its digits.
FORMS = {
    GOOD: GOOD,
    "49015420323751": "49015420323751",
    "4901542032375106": "4901542032375106",
    "49-015420-323751-8": GOOD,
    "49 015420 323751 06": "4901542032375106",
    f"imei-{GOOD}": GOOD,
    f"IMEI-{GOOD}": GOOD,
    "iMeI-49-015420-323751-8": GOOD,
    "imei-4 9 0 1 5 4 2 0 3 2 3 7 5 1 8": GOOD,
    "imeisv-4901542032375106": "4901542032375106",
    "ImeiSV-49015420-323751-06": "4901542032375106",
    f"{GOOD}F": GOOD,
    f"{GOOD}f": GOOD,
    "49015420323751FF": "49015420323751",
    "49015420323751fF": "49015420323751",
    "urn:gsma:imei:49015420-323751-8": GOOD,
    "URN:GSMA:IMEI:49015420-323751-0": "490154203237510",
    "urn:gsma:imei:49015420-323751-8;svn=06": GOOD,
    "urn:gsma:imei:49015420-323751-8;svn=06;vers=0": GOOD,
    "urn:gsma:imei:49015420-323751-8;vers=0;SVN=42": GOOD,
    "urn:gsma:imei:49015420-323751-8;svnx=1;x=a=b": GOOD,
    "urn:gsma:imei:49015420-323751-8;x=" + "y" * 221: GOOD,  # 255 characters
    f'="{GOOD}"': GOOD,
    '="49015420323751"': "49015420323751",
    '="49-015420-323751-06"': "4901542032375106",
    f'="{GOOD}F"': GOOD,
    f"'{GOOD}": GOOD,
    "'49015420323751FF": "49015420323751",
    "'49 015420 323751 8": GOOD,
    "49015420323751/06": "4901542032375106",
    f"{GOOD}/06": GOOD,
    f"{GOOD} / 06": GOOD,
    f"{GOOD}/ 06": GOOD,
    f"{GOOD} /06": GOOD,
    f"{GOOD}\t/06": GOOD,
}
# Texts that nearly have a form. None is an IMEI.
NEAR = [
    *(
        "imei-",
        "imei",
        "imeisv-",
        f"imei{GOOD}",
        f"imei:{GOOD}",
        f"imei- {GOOD}",
        f"imei--{GOOD}",
        f"-imei-{GOOD}",
    ),
    *(
        "imei-49015420323751",
        "imei-4901542032375106",
        f"imeisv-{GOOD}",
        "imei-49015420323751812",
        f"imei-{GOOD}F",
    ),
    *(
        f"imei-{GOOD}/06",
        f"imei-imei-{GOOD}",
        f"imei-{GOOD}-",
        f"\u0131mei-{GOOD}",
        f"imei-'{GOOD}",
        f'imei-="{GOOD}"',
    ),
    *("imei-abc", f"mac-{GOOD}", "imeisw-4901542032375106", f"ime\u0131-{GOOD}", "imei-49--015420-323751-8"),
    *(
        "49015420323751F",
        f"{GOOD}FF",
        "49015420323751FFF",
        "4901542032375106F",
        "4901542032375FF",
        "F",
        "12F",
    ),
    *(
        f"F{GOOD}",
        f"{GOOD}F0",
        f"{GOOD}F F",
        f"{GOOD} F",
        f"{GOOD}-F",
        "49-015420-323751-8F",
        f"{GOOD}E",
        f"{GOOD}G",
    ),
    *(
        "urn:gsma:imei:",
        f"urn:gsma:imei:{GOOD}",
        "urn:gsma:imei:49015420-3237518",
        "urn:gsma:imei:49015420-323751-",
    ),
    *(
        "urn:gsma:imei:49015420-323751-88",
        "urn:gsma:imei:4901542-0323751-8",
        "urn:gsma:imeisv:49015420-323751-8",
    ),
    *(
        "urn:gsma:imei:49015420-323751-8;",
        "urn:gsma:imei:49015420-323751-8;svn=6",
        "urn:gsma:imei:49015420-323751-8;svn=066",
    ),
    *(
        "urn:gsma:imei:49015420-323751-8;svn=0x",
        "urn:gsma:imei:49015420-323751-8;svn=",
        "urn:gsma:imei:49015420-323751-8;svn",
    ),
    *(
        "urn:gsma:imei:49015420-323751-8;=1",
        "urn:gsma:imei:49015420-323751-8;a b=1",
        "urn:gsma:imei:49015420-323751-8;a=1;",
    ),
    *(
        "urn:gsma:imei:49015420-323751-8x",
        "urn:gsma:imei:49015420-323751-8;a=\x7f",
        "urn:gsma:imei:49015420-323751-8;a=\xe9",
    ),
    "urn:gsma:imei:49015420-323751-8;x=" + "y" * 222,  # 256 characters
    *(
        '="',
        '=""',
        f'="{GOOD}',
        f'={GOOD}"',
        f"={GOOD}",
        f'"{GOOD}"',
        f'=" {GOOD}"',
        f'="{GOOD} "',
        f"='{GOOD}'",
        f'="imei-{GOOD}"',
    ),
    *(
        "'",
        f"''{GOOD}",
        f"' {GOOD}",
        f"'{GOOD}'",
        f"'imei-{GOOD}",
        f"'{GOOD}/06",
        f"'+{GOOD}",
        f"'{GOOD}FF",
        f"\u2019{GOOD}",
    ),
    *(
        f"{GOOD}/",
        f"{GOOD}/6",
        f"{GOOD}/066",
        f"{GOOD}//06",
        f"{GOOD}  /06",
        f"{GOOD}/  06",
        f"{GOOD}/0x",
        "4901542032375106/06",
    ),
    *(
        "4901542032375/06",
        "49-015420-323751-8/06",
        f"/{GOOD}",
        f"{GOOD}\\06",
        f"{GOOD}-/06",
        f"{GOOD}/0F",
        f"{GOOD}.0",
        f"{GOOD};",
    ),
    *(
        f"{GOOD}{' ' * 300}x",
        f"x{' ' * 300}{GOOD}",
        f"{GOOD}{' ' * 300}{GOOD}",
        f"{GOOD}F{' ' * 300}F",
        f"{GOOD}F{'F' * 300}",
    ),
    *(
        f"\xa0{GOOD}",
        f"{GOOD}\x85",
        f"{GOOD}\u2028",
        f"{GOOD}\x1f",
        f"{GOOD}\x08",
        f"{GOOD}\x0e",
        f"\0{GOOD}",
        f"{GOOD}\0x",
    ),
]
BLANKS = " \t\n\v\f\r"


def some_text(rng):
    """A text as bytes: of a form, nearly of one, or with a spoiled character; perhaps between blanks."""
    text = rng.choice([*FORMS, *FORMS, *NEAR]).encode()
    if rng.random() < 0.5:  # other digits
        text = bytes(rng.choice(b"0123456789") if 48 <= c < 58 else c for c in text)
    if rng.random() < 0.3 and text:
        at = rng.randrange(len(text))
        spoiled = rng.choice(b"/:;+- \0\t\n\r,\x7f\x80\xb0\xb9\xff#*Aa_.eFf='\"iI0123456789")
        text = text[:at] + bytes([spoiled]) * rng.randrange(3) + text[at + rng.randrange(2) :]
    if rng.random() < 0.5:
        before, after = (
            "".join(rng.choices(BLANKS, k=rng.choice([0, 1, 2, 3, 15, 16, 17, 33, 64, 300]))).encode()
            for _ in range(2)
        )
        text = before + text + after
    return text

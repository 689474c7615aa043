"""What is taken and looks wrong is counted and named with its first lines, whatever way the rows are read."""

from collections import Counter

import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imeiset._native import simd
from imeiset.errors import FeedError, FeedLostZeros, FeedRejects, ParseStatus
from imeiset.feeds import Options, reader, rows
from imeiset.feeds.dialect import Dialect
from imeiset.feeds.formats import FORMATS
from imeiset.feeds.reader import Reader
from imeiset.feeds.report import PLACEHOLDERS

A, B, Z = "352099001761481", "860123450000012", "012345678901237"
CELLS = [
    *(A, A, A, B, Z[1:], Z[1:], "35209900176148", "3520990017614806", "1234567890123706"),
    *("352099001761482", "352099001761480", "352099001761489", f"imei-{A}", f"{A}F", f'="{A}"', f"{A}/01"),
    *("000000000000000", "00000000000000", "111111111111119", "99999999999999", "7777777777777706"),
    *("001001234567890", "00101712345678", "001018123456789", "004499123456789", "00869912345678"),
    *("00919912345678", "009299123456789", "12-345678-901237", "12345678901237FF", f"urn:gsma:imei:{A[:8]}"),
    *(
        "",
        " ",
        "62#222222222222",
        "000000000000000F0",
        "1111111111111#11",
        "x",
        "1234567890123",
        "5302990067",
    ),
    *("01234567890123712", "53029900671684F1", "5302990067168461", "0103992100168400"),
]
TEST_TACS = {*(f"{number:06}" for number in range(1001, 1018))}


@pytest.fixture(params=simd.simd_levels(), autouse=True)
def level(request):
    before = simd.simd_level()
    simd.use_simd(request.param)
    yield
    simd.use_simd(before)


def lost_zero(text):
    return len(text) == 14 and text.isdigit() and oracle.luhn_digit("0" + text[:13]) == int(text[13])


def placeholder(key):
    body = f"{key:014}"
    if len(set(body)) == 1:
        return "zeros" if body[0] == "0" else "equal digits"
    return "test TAC" if body[:6] in TEST_TACS or body[:4] in ("0044", "0086", "0091") else None


def tbcd(cell):
    """(digits, status) of TBCD in hexadecimal."""
    if not set(cell) <= set("0123456789abcdefABCDEF"):
        return None, ParseStatus.NOT_DIGIT
    if len(cell) not in (14, 16):
        return None, ParseStatus.TOO_LONG if len(cell) > 16 else ParseStatus.TOO_SHORT
    digits, _, status = oracle.read("".join(cell[i ^ 1] for i in range(len(cell))))
    return digits, status


def one(cell, options):
    """A cell as the page says: what is taken (a key, or a text), the digits and the form, or why not."""
    cell = cell.strip()
    plain = cell.isdigit() and len(cell)
    restored = {None: 0, "keep": 0, "restore": 14, "restore-imeisv": 15}[options.lost_zeros]
    digits, form, status = oracle.read(cell)
    if options.tbcd:
        plain, form = None, "digits"
        digits, status = tbcd(cell)
    if plain == restored == 14 and not lost_zero(cell):
        return None, ParseStatus.CHECK_DIGIT
    if plain and plain == restored:
        digits = "0" + digits
    if not status:
        key, status = oracle.from_digits(digits)
        allowed = {"ignore": (14, 15, 18), "spare": (15, 18), "require": ()}[options.check_digit]
        if status == 0 or status in allowed:
            return (key, len(digits), form, status), None
    irregular = oracle.normalise(cell) if options.irregular == "keep" and not options.tbcd else None
    soft = status in (ParseStatus.CHECK_DIGIT, ParseStatus.CHECK_DIGIT_SPARE, ParseStatus.NO_CHECK_DIGIT)
    if irregular is None or soft or (options.check_digit == "require" and isinstance(irregular, int)):
        return None, status
    return (irregular if isinstance(irregular, int) else irregular.encode(), 14, None, 0), None


def expected(table, columns, options, counting=None):
    """Of rows of cells, the last of which is the status: what a report says of them."""
    found = Counter()
    lines, keys, texts, seen, written, forms = {}, [], [], Counter(), Counter(), Counter()

    def note(kind, line):
        found[kind] += 1
        lines.setdefault(kind, []).append(line)

    for line, row in enumerate(table, 2):
        status = row[-1]
        if counting is not None and status.lower() not in counting:
            found["ignored"] += 1
            continue
        results = [(cell, *one(cell, options)) for cell in row[:columns] if cell.strip()]
        reasons = [reason for _, _, reason in results if reason is not None]
        if not results:
            reasons = [ParseStatus.EMPTY]
        taken = [(cell, got) for cell, got, _ in results if got]
        found["accepted"] += not reasons
        found["partly"] += bool(reasons and taken)
        if reasons:
            note(f"rejected {reasons[0].name.lower()}", line)
        if taken:
            seen[status] += 1
        for cell, (key, digits, form, code) in taken:
            if isinstance(key, bytes):
                texts.append(key)
                continue
            keys.append(key)
            forms[digits] += 1
            written[form] += 1
            if kind := placeholder(key):
                note(kind, line)
            plain = form == "digits" and not options.tbcd
            restored = plain and len(cell.strip()) < digits
            if plain and (lost_zero(cell.strip()) if not restored else digits == 15):
                note("lost_zeros", line)
            if plain and (code == ParseStatus.CHECK_DIGIT or (restored and digits == 16)):
                note("wrong", line)
    return found, lines, keys, texts, seen, written, forms


def read_blocks(path, dialect, options, patch, sifts):
    patch.setattr(rows, "SIFTS", sifts)
    patch.setattr(reader, "sniff", lambda *_args, **_more: dialect)
    patch.setattr(Reader, "look", lambda _self, _path, dialect, *_more: dialect)  # watch what the test says
    keys, texts, seen = [], [], Counter()
    try:
        with Reader(options) as source:
            for block, _ in source.read(str(path), source.text_blocks(str(path), False)):
                keys += [key for piece in block.keys for key in piece.tolist()]
                texts += block.texts
                seen.update({value: n for counts in block.watched.values() for value, n in counts.items()})
    except FeedError as error:
        return type(error), None, None, None
    return source.report, sorted(keys), sorted(texts), seen


ROWS = st.lists(
    st.tuples(*[st.sampled_from(CELLS)] * 2, st.sampled_from(["a", "a", "a", "b1", "b2", "B1"])), max_size=30
)


@settings(max_examples=250)
@given(
    table=ROWS,
    good=st.integers(0, 30),
    two=st.booleans(),
    where=st.booleans(),
    watched=st.booleans(),
    chunk=st.integers(60, 900),
    sifts=st.booleans(),
    given=st.fixed_dictionaries(
        {
            "check_digit": st.sampled_from(["ignore", "ignore", "spare", "require"]),
            "irregular": st.sampled_from(["reject", "keep"]),
            "lost_zeros": st.sampled_from([None, "keep", "restore", "restore-imeisv"]),
            "tbcd": st.sampled_from([None, None, True]),
        }
    ),
)
def test_any_rows(tmp_path_factory, table, good, two, where, watched, chunk, sifts, given):
    usual = ("352099001761481", "", "a")
    table = [usual, *table, *[usual] * good, *table, *[(Z[1:], "", "a")] * (good // 2), usual]
    columns = 1 + two
    options = Options(**given, where="status=a,b1" if where else None)
    dialect = Dialect(
        b",",
        tuple(range(columns)),
        header=True,
        fewest=columns,
        most=3,
        titles=("imei", "imei2", "status"),
        format=FORMATS["table"],
        places={"listed": 2} if where else {},
        counting=frozenset((b"a", b"b1")) if where else None,
        watched=(2,) if watched else (),
    )
    path = tmp_path_factory.mktemp("named") / "list"
    quoted = [['"{}"'.format(c.replace('"', '""')) if '"' in c else c for c in row] for row in table]
    text = "\n".join(map(",".join, quoted))
    path.write_text(f"imei,imei2,status\n{text}\n", newline="")
    found, lines, keys, texts, seen, written, forms = expected(
        table, columns, options, {"a", "b1"} if where else None
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK", chunk)
        patch.setattr(rows, "_UNLIKE", 1)
        report, got, kept, values = read_blocks(path, dialect, options, patch, sifts)
    short, wrong = found["lost_zeros"], found["wrong"]
    if not keys and not texts:
        assert report is FeedRejects
        return
    many = short >= 10 and 2 * short >= forms[14]
    imeisvs = forms[16] > forms[15]
    if options.lost_zeros is None and (many or (imeisvs and wrong >= 10 and 2 * wrong >= forms[15])):
        assert report is FeedLostZeros
        return
    assert (got, kept) == (sorted(keys), sorted(texts))
    assert (report.rows, report.accepted, sum(report.ignored.values())) == (
        len(table),
        found["accepted"],
        found["ignored"],
    )
    assert report.rows == report.accepted + report.rejected + sum(report.ignored.values())
    assert (report.partly, report.identities) == (found["partly"], len(keys) + len(texts))
    assert report.forms == {digits: forms[digits] for digits in (14, 15, 16)}
    assert report.written == {form: written[form] for form in report.written}
    if watched:
        assert {value.decode(): n for value, n in values.items()} == dict(seen)
    named = dict(report.placeholders)
    named["lost_zeros"] = report.lost_zeros
    if imeisvs or options.lost_zeros == "restore-imeisv":
        named["wrong"] = report.lost_zeros_imeisv
    else:
        assert report.lost_zeros_imeisv.count == 0
    named |= {f"rejected {reason}": entry for reason, entry in report.rejects.items()}
    for kind, entry in named.items():
        assert (kind, entry.count) == (kind, found[kind])
        assert [line for _, line in entry.first] == lines.get(kind, [])[:5], kind
    assert set(PLACEHOLDERS) <= set(named)

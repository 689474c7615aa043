"""Zeros that a spreadsheet dropped."""

import oracle
import pytest

from imeiset import ImeiSet, load
from imeiset.errors import FeedLostZeros

A = "352099001761481"


def check_digit(body):
    return str(oracle.luhn_digit(body))


LOST = [body + check_digit(body) for body in (f"0123456789{n:04}" for n in range(60))]
IMEISVS = [f"0123456789{n:04}{n % 100:02}" for n in range(60)]


def write(tmp_path, texts, name="list"):
    path = tmp_path / name
    path.write_text("imei\n" + "\n".join(texts) + "\n")
    return path


def body(number):
    """14 digits that are not an IMEI with a zero before them."""
    text = f"3520990017{number:04}"
    right = check_digit("0" + text[:13])
    return text if text[13] != right else text[:13] + str((int(right) + 1) % 10)


@pytest.mark.parametrize(
    ("suspects", "others", "refused"),
    [(9, 0, False), (10, 0, True), (10, 10, True), (10, 11, False), (30, 30, True), (30, 31, False)],
)
def test_many_are_an_error(tmp_path, suspects, others, refused):
    texts = [A, *(text[1:] for text in LOST[:suspects]), *map(body, range(others)), A, LOST[0]]
    path = write(tmp_path, texts)
    expected = ImeiSet(texts)
    if refused:
        pattern = rf"list, line 3: .*--lost-zeros restore.*keep.*{suspects} of {suspects + others} rows of 14"
        with pytest.raises(FeedLostZeros, match=pattern):
            load(path)
        # a source alone is asked, not all together
        with pytest.raises(FeedLostZeros):
            load([write(tmp_path, map(body, range(100)), "other"), path])
    else:
        assert load(path).set == expected
    kept = load(path, lost_zeros="keep")
    assert kept.set == expected
    assert (kept.report.lost_zeros.count, kept.report.lost_zeros.first[0]) == (suspects, (str(path), 3))
    restored = load(path, lost_zeros="restore")
    assert restored.set == ImeiSet([A, *LOST[:suspects], LOST[0]])
    assert restored.report.lost_zeros.count == suspects
    assert restored.report.forms == {14: 0, 15: 3 + suspects, 16: 0}
    assert restored.report.rejects.get("check_digit", restored.report.lost_zeros).count == (
        others or suspects
    )
    assert load(path, lost_zeros="restore-imeisv").report.lost_zeros.count == suspects


@pytest.mark.parametrize(
    ("wrong", "imeis", "imeisvs", "refused"), [(9, 0, 30, 0), (10, 0, 30, 1), (10, 11, 30, 0)]
)
def test_imeisvs_that_lost_a_zero(tmp_path, wrong, imeis, imeisvs, refused):
    short = [text[1:] for text in IMEISVS if text[15] not in (check_digit(text[1:15]), "0")][:wrong]
    whole = [f"3520990017614{n:03}" for n in range(imeisvs)]
    path = write(tmp_path, [*whole, *short, *[A] * imeis])
    if refused:
        with pytest.raises(FeedLostZeros, match=r"restore-imeisv.*10 of 10 rows of 15 digits"):
            load(path)
    else:
        assert load(path).report.lost_zeros_imeisv.count == wrong
    restored = load(path, lost_zeros="restore-imeisv")
    assert restored.set == ImeiSet([*whole, *("0" + text for text in short), *[f"0{A}"] * bool(imeis)])
    assert restored.report.lost_zeros_imeisv.count == wrong + imeis
    assert restored.report.forms == {14: 0, 15: 0, 16: imeisvs + wrong + imeis}
    few = write(tmp_path, [*short, *whole[: len(short)]], "few")  # not more IMEISVs than IMEIs
    assert load(few).report.lost_zeros_imeisv.count == 0


def test_who_demands_the_check_digit_has_no_suspects(tmp_path):
    path = write(tmp_path, [A, *(text[1:] for text in LOST)])
    strict = load(path, check_digit="require")
    assert (list(strict.set), strict.report.lost_zeros.count) == ([A], 0)
    assert strict.report.rejects["no_check_digit"].count == len(LOST)
    restored = load(path, check_digit="require", lost_zeros="restore")
    assert restored.set == ImeiSet([A, *LOST])


def test_what_is_written_otherwise_lost_nothing(tmp_path):
    path = write(tmp_path, [f"{text[1:9]}-{text[9:]}" for text in LOST] + [f"{text[1:]}FF" for text in LOST])
    for handling in (None, "restore"):
        loaded = load(path, lost_zeros=handling)
        assert loaded.set == ImeiSet([text[1:] for text in LOST])
        assert loaded.report.lost_zeros.count == 0


def ranges(tmp_path, rows):
    path = tmp_path / "ranges"
    path.write_text("from,to\n" + "".join(f"{low},{high}\n" for low, high in rows))
    return path


def test_ranges(tmp_path):
    """Their ends lose zeros, too: the phones of other ranges would be listed."""
    whole = [*zip(LOST[::2], LOST[1::2], strict=True)]
    lost = [(low[1:], high[1:]) for low, high in whole]
    wanted = load(ranges(tmp_path, whole)).set
    assert len(wanted) == 2 * len(whole)
    with pytest.raises(FeedLostZeros, match="30 of 30 rows of 14 digits"):
        load(ranges(tmp_path, lost))
    restored, report = load(ranges(tmp_path, lost), lost_zeros="restore")
    assert (restored, report.lost_zeros.count) == (wanted, 30)
    kept, report = load(ranges(tmp_path, lost), lost_zeros="keep")
    assert (kept & wanted, report.lost_zeros.count) == (ImeiSet(), 30)
    bare = [(body(2 * n), body(2 * n + 1)) for n in range(40)]
    found, report = load(ranges(tmp_path, [*lost[:9], *bare]))
    assert report.lost_zeros.count == 9
    found, report = load(ranges(tmp_path, [*lost, *bare]), lost_zeros="restore")
    assert (found, report.rejects["check_digit"].count) == (wanted, 40)


def test_ranges_of_imeisvs(tmp_path):
    whole = ranges(tmp_path, zip(IMEISVS[::2], IMEISVS[1::2], strict=True))
    wanted = load(whole).set
    lost = ranges(
        tmp_path, [(low[1:], high[1:]) for low, high in zip(IMEISVS[::2], IMEISVS[1::2], strict=True)]
    )
    assert load(lost, lost_zeros="restore-imeisv").set == wanted


def shared(tmp_path, texts, each, name="part"):
    """Files of so many texts each."""
    parts = (texts[at : at + each] for at in range(0, len(texts), each))
    return [write(tmp_path, part, f"{name}{at:03}") for at, part in enumerate(parts)]


@pytest.mark.parametrize(
    ("suspects", "others", "refused"), [(9, 0, False), (10, 0, True), (10, 10, True), (10, 11, False)]
)
@pytest.mark.parametrize("each", [1, 3, 9])
def test_small_files_are_judged_together(tmp_path, suspects, others, refused, each):
    texts = [*(text[1:] for text in LOST[:suspects]), *map(body, range(others))]
    paths = shared(tmp_path, texts, each)
    if refused:
        of = f"{suspects} of {suspects + others} rows of 14"
        pattern = rf"part000, line 2: .*--lost-zeros restore.*{of} .* in \d+ files"
        with pytest.raises(FeedLostZeros, match=pattern):
            load(paths)
    else:
        assert load(paths).report.lost_zeros.count == suspects
    assert load(paths, lost_zeros="keep").set == ImeiSet(texts)
    whole = write(tmp_path, [A], "whole")
    if others == 0:  # otherwise a file has no IMEIs then
        assert load([whole, *paths], lost_zeros="restore").set == ImeiSet([A, *LOST[:suspects]])


def test_a_file_that_was_judged_says_nothing_of_small_ones(tmp_path):
    """Of many genuine rows in one file, the others are no less suspect; and the other way round."""
    genuine = write(tmp_path, map(body, range(20)), "genuine")
    with pytest.raises(FeedLostZeros, match=r"12 of 12 rows of 14 .* in 4 files"):
        load([genuine, *shared(tmp_path, [text[1:] for text in LOST[:12]], 3)])
    by_chance = [LOST[0][1:], *map(body, range(9))]
    files = [path for n in range(40) for path in shared(tmp_path, by_chance, 1, f"{n}-")]
    assert load(files).report.lost_zeros.count == 40  # a tenth, as of any rows


def test_small_files_of_imeisvs_are_judged_together(tmp_path):
    short = [text[1:] for text in IMEISVS if text[15] not in (check_digit(text[1:15]), "0")][:12]
    whole = [f"3520990017614{n:03}" for n in range(48)]
    paths = [write(tmp_path, [*whole[n * 4 : n * 4 + 4], short[n]], f"part{n:02}") for n in range(12)]
    with pytest.raises(FeedLostZeros, match=r"restore-imeisv.*12 of 12 rows of 15 digits.* in 12 files"):
        load(paths)
    assert load(paths, lost_zeros="restore-imeisv").report.lost_zeros_imeisv.count == 12

"""Numbers that are not IMEIs and would pass for them: those of subscribers."""

import pytest

import imeiset
from imeiset import ImeiSet, apply, load, screen
from imeiset.errors import FeedColumn
from imeiset.feeds import words

A = "352099001761481"
IMSIS = [f"26201{n * 7919 % 10**10:010}" for n in range(1, 40)]


@pytest.fixture
def text(tmp_path):
    def write(content, name="list.csv"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def lines(cells):
    return "".join(f"{cell}\n" for cell in cells)


SUBSCRIBERS = [
    "sim",
    "SIM",
    "SIM number",
    "sim_card_no",
    "subscriber",
    "SubscriberId",
    "supi",
    "abonado",
    "IMSI_1",
]
OTHERS = ["sim_slot", "simlock", "similar", "subscriber_type", "dual sim", "imei", "phone", "supplier", ""]


@pytest.mark.parametrize("title", SUBSCRIBERS)
def test_titles_of_subscribers_are_never_those_of_imeis(text, title):
    assert words.speaks_of_subscribers(title)
    path = text(f"{title}\n{IMSIS[0]}\n{A}\n")
    for read in (load, lambda path: screen(path, ImeiSet([A]))):
        with pytest.raises(FeedColumn, match="a list of IMEIs, or --column, got one with the title"):
            read(path)
    assert load(path, column=title).report.accepted == 2
    path = text(f"x,{title}\n1,{IMSIS[0]}\n")
    for read in (load, lambda path, column: screen(path, ImeiSet([A]), column=column).rows):
        with pytest.raises(FeedColumn, match=r"a column of IMEIs: --column .* takes it all the same"):
            read(path, column=2)
        assert read(path, column=title)


@pytest.mark.parametrize("title", OTHERS)
def test_other_titles_are_none_of_subscribers(title):
    assert not words.speaks_of_subscribers(title)


@pytest.mark.parametrize("title", ["sim", "Subscriber"])
def test_a_subscriber_beside_a_phone_is_a_pair(text, title):
    path = text(f"imei,{title}\n" + lines(f"{A},{imsi}" for imsi in IMSIS[:3]))
    with pytest.raises(FeedColumn, match="--imsi ignore takes them for any subscriber"):
        load(path)
    assert load(path, imsi="ignore").report.accepted == 3
    for numbers in (
        "8949012345678901234",
        "491701234567",
        "",
    ):  # cards and telephones say nothing of the kind
        assert load(text(f"imei,{title}\n{A},{numbers}\n")).report.accepted == 1


@pytest.mark.parametrize("begins", ["", "number\n", "# of June\n"])
def test_numbers_of_one_country_with_wrong_check_digits_are_imsis(text, begins):
    path = text(begins + lines(IMSIS))
    for read in (load, lambda path: screen(path, ImeiSet([A]))):
        with pytest.raises(
            FeedColumn, match=r"--column 1 takes .* begin with 262, as IMSIs of one country do"
        ):
            read(path)
    assert load(path, column=1).report.accepted == len(IMSIS)
    assert screen(path, ImeiSet(IMSIS[:3]), column=1).hits == 3
    signed = text(lines(f"+{imsi}" for imsi in IMSIS), "delta.txt")
    ImeiSet([A]).save(path.with_name("base.imei"))
    with pytest.raises(FeedColumn, match="as IMSIs of one country do"):
        apply(ImeiSet([A]), [signed])


@pytest.mark.parametrize(
    "cells",
    [
        IMSIS[:9],
        [imeiset.Imei.from_key(int(imsi[:14])) for imsi in IMSIS],  # with right check digits
        [imsi[:14] + "0" for imsi in IMSIS],  # spare ones
        [imsi[:14] for imsi in IMSIS],
        [imsi + "0" for imsi in IMSIS],
        [
            f"{number}{imsi[5:]}"
            for number, imsi in zip([26201, 31015, 46000, 72405] * 10, IMSIS, strict=False)
        ],
        [f"35209{imsi[5:]}" for imsi in IMSIS],
        [f"86012{imsi[5:]}" for imsi in IMSIS],
        [f"01215{imsi[5:]}" for imsi in IMSIS],
    ],
)
def test_other_numbers_are_no_imsis(text, cells):
    assert load(text(lines(cells))).report.rejected == 0


def test_a_title_of_imeis_is_believed(text):
    assert load(text("imei\n" + lines(IMSIS))).report.accepted == len(IMSIS)


READERS = {
    "a list": lambda paths, **options: load(paths, **options).report.accepted,
    "records": lambda paths, **options: screen(paths, ImeiSet([A]), **options).rows,
}
TURNED = [f"53029900{n:08}" for n in range(40)]


@pytest.fixture(params=READERS)
def reads(request):
    return READERS[request.param]


@pytest.mark.parametrize(("files", "each"), [(2, 5), (10, 1), (1, 9)])
def test_few_numbers_are_judged_together(text, reads, files, each):
    """Of each file alone, nothing could be said."""
    refused = files > 1
    for cells, title, option, what in (
        (TURNED, "imei\n", {"tbcd": False}, "10 of 10 rows of 14 or 16 digits that begin with 53 or 68.* in"),
        (
            [imsi for imsi in IMSIS if imsi[14] != "0"],
            "",
            {"column": 1},
            "of 10 numbers of 15 digits with a wrong check digit, .* in",
        ),
    ):
        paths = [
            text(title + lines(cells[at * each : (at + 1) * each]), f"{bool(title)}{at}.csv")
            for at in range(files)
        ]
        if refused:
            with pytest.raises(FeedColumn, match=f"0.csv.*{what} {files} files together"):
                reads(paths)
        else:
            assert reads(paths) == each
        assert reads(paths, **option) == files * each


def test_others_beside_few_numbers_count(text, reads):
    paths = [text("imei\n" + lines(TURNED[at * 5 : at * 5 + 5]), f"{at}.csv") for at in range(2)]
    for at in range(6):
        paths.append(text("imei\n" + lines(f"35209900{n:08}" for n in range(16)), f"more {at}.csv"))
    assert reads(paths) == sum(len(path.read_text().split()) - 1 for path in paths)


def test_all_rows_are_looked_at_for_tbcd(text, reads):
    """Call records begin with those that have no IMEI."""
    for before in (",1\n" * 200, "n/a,1\n" * 200):
        path = text("imei,n\n" + before + "".join(f"{cell},1\n" for cell in TURNED))
        with pytest.raises(FeedColumn, match=r"--tbcd reads TBCD.* 40 of 40 rows of 14 or 16 digits"):
            reads(path)
        assert reads(path, tbcd=False)


def test_tbcd_among_others_is_found(text, reads):
    """As records of two switches in one file are. No option reads both."""
    whole = [f"35209900{n:08}" for n in range(90)]
    path = text("imei\n" + lines(whole + TURNED[:10]))
    with pytest.raises(FeedColumn, match=r"--no-tbcd .* 10 of 100 rows of 14 or 16 digits"):
        reads(path)
    assert reads(path, tbcd=False) == 100
    path = text("imei\n" + lines(TURNED + whole[:10]))
    with pytest.raises(FeedColumn, match="10 of 50 rows of 16 digits that begin with 35 or 86"):
        reads(path, tbcd=True)
    assert reads(text("imei\n" + lines(whole + TURNED[:9]))) == 99


def test_imeis_are_not_read_as_tbcd(text, reads):
    """As one of several files may have them as they are."""
    paths = [text("imei\n" + lines(TURNED), "a.csv")]
    paths.append(text("imei\n" + lines(f"35209900{n:08}" for n in range(10)), "b.csv"))
    with pytest.raises(
        FeedColumn, match=r"b\.csv.* TBCD: without --tbcd.* 10 of 10 rows of 16 digits .* 35 or"
    ):
        reads(paths, tbcd=True)
    assert reads(paths[:1], tbcd=True)

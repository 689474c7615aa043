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
    with pytest.raises(FeedColumn, match=r"a column of IMEIs: --column .* takes it all the same"):
        load(path, column=2)
    assert load(path, column=title).report.accepted == 1


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

"""Lines of logs: of no number that may be an IMEI or an IMSI more than the TAC or the network is written."""

import json
import logging
import subprocess
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imeiset.errors import mask_log
from imeiset.serve.processes import logs

# Loggers here are not of imeiset: of those, no test may log a number at all.
IMEI, IMEISV, IMSI = "490154203237518", "4901542032375112", "234150999999999"


@pytest.fixture
def written(capsys):
    """Sets logs up, and gives the lines written since; everything is as before afterwards."""
    root, hooks = logging.getLogger(), (sys.excepthook, sys.unraisablehook, logs.threading.excepthook)
    kept = (root.level, root.handlers[:])
    named = {name: logging.getLogger(name) for name in ("_granian", "granian.access")}
    carried = {name: (one.level, one.handlers[:], one.propagate) for name, one in named.items()}

    def lines(format="json", level="info", process="http-0"):
        logs.setup(level, format, process)
        capsys.readouterr()
        return lambda: capsys.readouterr().err.splitlines()

    yield lines
    logging.captureWarnings(False)
    root.level, root.handlers[:] = kept
    for name, (level, handlers, propagate) in carried.items():
        named[name].level, named[name].handlers[:], named[name].propagate = level, handlers, propagate
    sys.excepthook, sys.unraisablehook, logs.threading.excepthook = hooks


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (IMEI, "49015420*******"),
        (IMEISV, "49015420********"),
        (f"?pei=imei-{IMEI}&supi=imsi-{IMSI}", "?pei=imei-49015420*******&supi=imsi-23415**********"),
        ("49-015420-323751-8", "49-015420-******-*"),
        ("49 015420 323751 8", "49 015420 ****** *"),
        ("49.015420/323751_8", "49.015420/******_*"),
        ("49 - 015420 - 323751", "49 - 015420 - 323751"),  # signs in threes: not one number
        ("49--015420--323751--8", "49--015420--******--*"),
        ("49%2D015420%2d323751%2D8", "49%2D015420%2d******%2D*"),
        ("49%252D015420%252D323751%252D8", "49%252D015420%252D******%252D*"),
        ("%34%39%30%31%35%34%32%30%33%32%33%37%35%31%38", "%34%39%30%31***********"),
        ("%2534" * 15, "%2534" * 2 + "*" * 13),
        ("4%39015420323%3751", "4%3901542*******"),
        (f"supi=imsi%2D{IMSI}", "supi=imsi%2D23415**********"),
        ("supi=imsi-23415099", "supi=imsi-23415***"),
        (f"IMSI: {IMSI}", "IMSI: 23415**********"),
        (f"{{'imsi': '{IMSI}'}}", "{'imsi': '23415**********'}"),
        ("gpsi=msisdn-4917012345", "gpsi=msisdn-49170*****"),
        ("key 1234567890123, 12345678901", "key 12345********, 12345******"),  # an IMEI without its zero
        ("%31%32%33%34%35%36%37%38%39%30%31", "%31%32*********"),
        ("imei-4901542032", "imei-49015420**"),
        (f"imeisv-{IMEISV}", "imeisv-49015420********"),
        (f"b'{IMEI}'", "b'49015420*******'"),
        (IMEI.encode().hex(), "34393031" + "*" * 22),
        ("٤٩٠١٥٤٢٠٣٢٣٧٥١٨", "٤٩٠١٥٤٢٠*******"),
        (f"x{IMEI}y{IMSI}z", "x49015420*******y23415099*******z"),
        ("2026-11-29 14:48:09.123456 from 192.168.100.200:65535", None),
        ("2026-11-29T14:48:09.123456Z", None),
        ("5,500,000 entries in 0.00012 s, change 4294967295, pid 4194304", None),
        ("state 3f2a9c01542032e5", None),
        ("49015420******* of imsi-23415**********", None),
        ("100% of 10", None),
        ("", None),
    ],
)
def test_masked(text, masked):
    assert mask_log(text) == (text if masked is None else masked)


BETWEEN = ("", "-", " ", "%2D", "%2d", "%20", "+", "/", ".", "_", "--", "%252D", "- ")


def encoded(digit, how):
    return ("%25" * (how - 1) + f"%3{digit}").replace("%25%", "%25") if how else digit


@given(
    st.text("0123456789", min_size=14, max_size=17),
    st.lists(st.sampled_from(BETWEEN), min_size=16, max_size=16),
    st.lists(st.integers(0, 2), min_size=17, max_size=17),
    st.sampled_from(("", "pei=imei-", "imsi-", "GET /?x=", "%", "%2", "a", "imsi%2D", "error: '", "{")),
    st.sampled_from(("", "&supi=", " HTTP/1.1", "'", "%", "x")),
    st.booleans(),
)
def test_no_form_of_a_number_is_written(number, between, encodings, before, behind, is_encoded):
    """Whatever stands between its digits and however they are encoded: 8 of them are left, of an IMSI 5."""
    how = encodings if is_encoded else [0] * 17
    digits = [encoded(digit, kind) for digit, kind in zip(number, how, strict=False)]
    text = digits[0] + "".join(sign + digit for sign, digit in zip(between, digits[1:], strict=False))
    shown = mask_log(f"{before}{text}{behind}")
    most = 5 if before.startswith("imsi") else 8
    assert shown.count("*") >= len(number) - most
    assert mask_log(shown) == shown


@given(st.text(max_size=60))
def test_any_text_can_be_masked(text):
    shown = mask_log(text)
    assert mask_log(shown) == shown
    if not any(character.isdecimal() for character in text):
        assert shown == text


def test_a_hostile_line_takes_no_time():
    for text in (
        "1" * 100_000,
        "1- " * 50_000,
        "%31" * 50_000,
        "imsi-" * 50_000,
        "imei" + "-" * 100_000,
        "1-" * 13 + "x",
    ):
        mask_log(text)


def test_lines_are_json(written):
    lines = written()
    logger = logging.getLogger("other.s13")
    logger.info("peer %s asked for %s", "mme.example.org", f"imei-{IMEI}", extra={"imsi": IMSI, "count": 3})
    logger.debug("below the level")
    [line] = lines()
    told = json.loads(line)
    assert told.pop("time").endswith("Z")
    assert told.pop("pid") > 0
    assert told == {
        "level": "info",
        "logger": "other.s13",
        "process": "http-0",
        "message": "peer mme.example.org asked for imei-49015420*******",
        "imsi": "23415099*******",
        "count": 3,
    }


def test_lines_are_text(written):
    lines = written("text")
    logging.getLogger("other").warning("a\nb \x1b[31m%s", IMEI, extra={"rows": 7})
    [line] = lines()
    assert line.endswith("WARNING http-0 other: a\\nb \\x1b[31m49015420******* rows=7")


@pytest.mark.parametrize("format", logs.FORMATS)
def test_exceptions_are_masked(written, format):
    lines = written(format)
    try:
        raise ValueError(f"no such phone: {IMEI}")
    except ValueError:
        logging.getLogger("other").exception("failed for %s", IMSI, stack_info=True)
    text = "\n".join(lines())
    assert "ValueError: no such phone: 49015420*******" in text
    assert "test_exceptions_are_masked" in text
    assert "failed for 23415099*******" in text
    assert mask_log(text) == text


@pytest.mark.parametrize("format", logs.FORMATS)
def test_a_line_that_cannot_be_made_says_nothing_of_its_arguments(written, format):
    lines = written(format)
    logging.getLogger("other").info("%d phones", IMEI + "x")
    logging.getLogger("other").info("too many", IMEI)
    for line in lines():
        assert line.startswith("a line of the log could not be written (TypeError): other, line ")
        assert mask_log(line) == line


def test_numbers_and_texts_of_others(written):
    lines = written()
    logging.getLogger("x").error(
        "odd", extra={"phone": int(IMEI), "raw": IMEI.encode(), IMEI: [IMEI], "no": None}
    )
    told = json.loads(lines()[0])
    assert told["phone"] == "49015420*******"
    assert told["raw"] == "b'49015420*******'"
    assert told["49015420*******"] == "['49015420*******']"
    assert told["no"] is None


def test_granian_writes_through_it(written):
    config = pytest.importorskip("granian.log")
    lines = written()
    config.configure_logging(config.LogLevels.info, logs.configuration("info", "json", "http-1"))
    logging.getLogger("_granian").info("Unhandled request %s", f"/?pei=imei-{IMEI}")
    logging.getLogger("granian.access").info("GET /?pei=imei-%s", IMEI)
    [line] = lines()
    told = json.loads(line)
    assert (told["logger"], told["process"]) == ("granian", "http-1")
    assert told["message"] == "Unhandled request /?pei=imei-49015420*******"


def test_warnings_are_lines(written):
    lines = written()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"100 rows like {IMEI}", UserWarning, stacklevel=1)
    [line] = lines()
    assert json.loads(line)["logger"] == "py.warnings"
    assert "49015420*******" in line


def test_the_level_changes_while_it_runs(written):
    lines = written(level="error")
    logging.getLogger("other").info("no")
    logs.setup("debug", "json", "http-0")
    logging.getLogger("other").debug("yes")
    assert [json.loads(line)["message"] for line in lines()] == ["yes"]


SCRIPTS = {
    "an error": f"raise ValueError('{IMEI}')",
    "an error in a thread": f"import threading\ndef work(): raise ValueError('{IMEI}')\n"
    "thread = threading.Thread(target=work); thread.start(); thread.join()",
    "an error that cannot be raised": f"class Odd:\n    def __del__(self): raise ValueError('{IMEI}')\nOdd()",
    "a task": "import asyncio, gc\nasync def work(): raise ValueError('" + IMEI + "')\n"
    "async def main():\n    task = asyncio.create_task(work()); await asyncio.sleep(0)\n"
    "    del task; gc.collect()\n"
    "asyncio.run(main())",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_what_nobody_catches_is_a_line(script):
    program = f"from imeiset.serve.processes import logs\nlogs.setup(process='s13-0')\n{script}"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.stdout == ""
    lines = [json.loads(line) for line in told.stderr.splitlines()]
    assert any("ValueError: 49015420*******" in line.get("exception", "") for line in lines)
    assert mask_log(told.stderr) == told.stderr

"""The page in Chromium: looked up by keyboard, seen narrow and in the dark, and nothing told to anybody."""

import json
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from imeiset import Delta, EquipmentStatus, Register, Store

from .admin_site import HOME, HOSTILE, STOLEN, WATCHED
from .servers import HOST, free_port, until

pytest.importorskip("granian", reason="the extra serve is not installed")
webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: pip install selenium"
)
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no Chromium here: apt-get install chromium chromium-driver", allow_module_level=True)

PROGRAM = Path(__file__).parent / "admin_site.py"
OTHER = "352099001761481"
NONE = "\N{EN DASH}"  # in a cell that says nothing


@contextmanager
def site(logged, folder, **environment):
    """The admin port of admin_site.py, and where it is."""
    port = free_port()
    path = os.pathsep.join(filter(None, sys.path))  # the imeiset that is tested, wherever it is
    variables = os.environ | {"PYTHONPATH": path} | environment
    server = logged.start([sys.executable, str(PROGRAM), str(folder), str(port)], admin=port, env=variables)
    try:
        server.up()
        until(lambda: b'"alive": true' in server.get("/state")[1])
        yield f"http://{HOST}:{port}/"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def address(logged, tmp_path_factory):
    with site(logged, tmp_path_factory.mktemp("site")) as there:
        yield there


@pytest.fixture(scope="module")
def hostile_address(logged, tmp_path_factory):
    """Of a store with a list under an odd name, and one that is late."""
    with site(logged, tmp_path_factory.mktemp("site"), HOSTILE="1", LATE="1") as there:
        yield there


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(DRIVER)) as one:
        yield one


class Page:
    """The page in a browser, of a width, in the light or in the dark."""

    def __init__(self, browser, address, width=1100, scheme="light"):
        self.browser, self.address = browser, address
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # of the page before
        browser.get(address)
        until(lambda: "Asking" not in self.text("health-text"))

    def one(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.one(name).text

    def keys(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def look_up(self, imei, imsi=""):
        self.one("imei").clear()
        self.one("imsi").clear()
        self.one("imsi").send_keys(imsi)
        self.one("imei").send_keys(imei, Keys.ENTER)
        until(lambda: self.one("result").is_displayed() or self.one("fault").is_displayed())

    def cells(self, name):
        """The texts of a table, all of one moment."""
        rows = f"[...document.querySelectorAll('#{name} tbody tr')]"
        return self.run(f"{rows}.map(row => [...row.cells].map(cell => cell.innerText.trim()))")

    def run(self, script):
        return self.browser.execute_script(f"return {script}")

    def requests(self):
        """Each request since the page was opened: method, URL and body."""
        told = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [one["params"]["request"] for one in told if one["method"] == "Network.requestWillBeSent"]
        return [(one["method"], one["url"], one.get("postData", "")) for one in sent]

    def complaints(self):
        """What the browser said, but for the icon of another address, which it asks for when it likes."""
        return [said for said in self.browser.get_log("browser") if "/favicon.ico - " not in said["message"]]


@pytest.fixture
def page(browser, address):
    one = Page(browser, address)
    yield one
    assert one.complaints() == []


def test_a_phone_is_looked_up_by_keyboard_alone(page):
    page.keys(STOLEN, Keys.ENTER)  # the field has the focus
    until(lambda: page.one("result").is_displayed())
    assert page.text("verdict-status") == "Blacklisted"
    assert page.text("verdict-why") == "by list stolen-gsma (this IMEI), reason: stolen"
    assert page.run("document.activeElement.id") == "imei"
    page.keys(WATCHED, Keys.TAB, HOME)  # what stands there is selected, so that typing replaces it
    assert page.one("imei").get_attribute("value") == WATCHED
    page.keys(HOME)  # in the field of the IMSI by now
    page.one("imsi").clear()
    page.one("imsi").send_keys(Keys.TAB)
    assert page.run("document.activeElement.textContent") == "Look up"
    page.keys(Keys.ENTER)
    until(lambda: page.text("verdict-status") == "Greylisted")
    page.keys(Keys.TAB)
    assert page.run("document.activeElement.textContent") == "Clear"
    page.keys(Keys.ENTER)
    assert not page.one("result").is_displayed()
    assert page.one("imei").get_attribute("value") == ""
    assert page.run("document.activeElement.id") == "imei"
    page.keys(STOLEN, Keys.ENTER)
    until(lambda: page.one("result").is_displayed())
    page.keys(Keys.ESCAPE)
    assert not page.one("result").is_displayed()
    assert STOLEN not in page.run("document.documentElement.outerHTML")


def test_every_claim_and_which_decided(page):
    page.look_up(STOLEN)
    claims = page.cells("claims")
    assert [row[1] for row in claims] == ["stolen-gsma", "stolen-own", "court-orders", "watch", "approved"]
    assert [row[0] for row in claims] == ["● decided", NONE, NONE, NONE, NONE]
    assert claims[1][2:8] == [
        "Blacklisted",
        "this IMEI",
        "op-a",
        "theft, case of the police",
        "2026-01-14",
        NONE,
    ]
    assert claims[2][7] == "2030-12-31"
    page.look_up(STOLEN, HOME)
    assert page.text("verdict-status") == "Whitelisted"
    assert page.text("verdict-why") == "by list owners (paired with this subscriber)"
    assert page.cells("claims")[0][0] == "● decided"
    page.look_up("860123450000012")
    assert page.text("verdict-status") == "Whitelisted"
    assert page.text("verdict-why") == "on no list"
    assert "No list says anything of it: the policy decided." in page.text("result-state")
    assert not page.one("claims").is_displayed()


@pytest.mark.parametrize("field", ["imei", "imsi"])
def test_no_verdict_stands_beside_the_number_of_another_phone(page, field):
    page.look_up(STOLEN)
    page.one(field).send_keys("1")
    assert not page.one("result").is_displayed()
    assert page.text("verdict-status") == ""


def test_an_answer_that_comes_late_is_not_that_of_another_phone(page):
    """The first question is answered after the second, and after something else was typed."""
    slow = """
        const ask = window.fetch;
        window.fetch = async (where, how) => {
          const answer = await ask(where, how);
          if (how.body?.includes(arguments[0])) await new Promise((go) => setTimeout(go, 600));
          if (how.body?.includes(arguments[0])) window.late = true;
          return answer;
        };"""
    page.browser.execute_script(slow, STOLEN)
    page.one("imei").send_keys(STOLEN, Keys.ENTER)
    page.look_up(WATCHED)
    assert page.text("verdict-status") == "Greylisted"
    until(lambda: page.run("window.late"))
    assert page.text("verdict-status") == "Greylisted"
    page.run("delete window.late")
    page.one("imei").clear()
    page.one("imei").send_keys(STOLEN, Keys.ENTER, "0")
    until(lambda: page.run("window.late"))
    assert not page.one("result").is_displayed()


def test_nothing_of_a_phone_is_in_an_address_or_kept(page):
    before = page.run("history.length")
    page.look_up(STOLEN, HOME)
    page.look_up("49015420323751x")
    assert page.run("location.href") == page.address
    assert page.run("history.length") == before
    assert (
        page.run("document.title + document.referrer + name + document.cookie")
        == "Equipment checks · imeiset"
    )
    assert page.run("localStorage.length + sessionStorage.length") == 0
    sent = page.requests()
    lookups = [(url, json.loads(body)) for method, url, body in sent if method == "POST"]
    assert lookups == [
        (f"{page.address}lookup", {"imei": STOLEN, "imsi": HOME}),
        (f"{page.address}lookup", {"imei": "49015420323751x"}),
    ]
    assert not [
        url for _, url, _ in sent if any(digits in url for digits in (STOLEN[:8], HOME[:8], "?", "#"))
    ]
    assert page.one("imei").get_attribute("autocomplete") == "off"
    assert [entry for entry in page.complaints() if " 400 " not in entry["message"]] == []


def test_nobody_else_is_asked(page):
    page.look_up(STOLEN)
    until(lambda: len(page.run("performance.getEntriesByType('resource').map(one => one.name)")) >= 6)
    urls = {url for _, url, _ in page.requests()} | set(
        page.run("performance.getEntriesByType('resource').map(one => one.name)")
    )
    assert urls
    assert [url for url in urls if not url.startswith(page.address)] == []
    assert {url.removeprefix(page.address) for url in urls} <= {
        "",
        "page.js",
        "page.css",
        "icon.svg",
        "state",
        "lookup",
    }


@pytest.mark.parametrize(
    ("imei", "imsi", "words"),
    [
        ("", "", "Give an IMEI: 14 to 16 digits."),
        (
            "49015420323751x",
            "",
            "a character that is not a digit: expected 14, 15 or 16 ASCII digits, got '49015420*******'",
        ),
        ("123", "", "fewer than 14 digits"),
        (STOLEN, "12x", "expected an IMSI of 5 to 15 ASCII digits"),
    ],
)
def test_what_is_wrong_is_said(page, imei, imsi, words):
    page.look_up(imei, imsi)
    assert page.text("fault").startswith(words)
    assert not page.one("result").is_displayed()
    assert page.one("imei").get_attribute("aria-invalid") == "true"
    assert all(" 400 " in entry["message"] for entry in page.complaints())
    page.look_up(WATCHED)
    assert page.text("verdict-status") == "Greylisted"
    assert not page.one("fault").is_displayed()
    assert page.one("imei").get_attribute("aria-invalid") is None


def test_a_screen_reader_hears_the_verdict_and_knows_what_is_what(page):
    page.look_up(STOLEN)
    assert page.one("said").get_attribute("role") == "status"
    said = page.one("said").get_attribute("textContent")
    assert (
        said == "Blacklisted, by list stolen-gsma (this IMEI), reason: stolen. 5 lists say something of it."
    )
    assert page.one("fault").get_attribute("role") == "alert"
    assert page.one("health").get_attribute("role") == "status"
    assert page.run("document.documentElement.lang") == "en"
    assert page.run("[...document.querySelectorAll('input')].every(one => one.labels.length === 1)")
    assert page.run(
        "[...document.querySelectorAll('section')].every(one => one.hasAttribute('aria-labelledby'))"
    )
    assert page.run("[...document.querySelectorAll('th')].every(one => one.scope === 'col')")
    assert page.run("[...document.querySelectorAll('img')].every(one => one.hasAttribute('alt'))")
    assert page.run("document.querySelectorAll('h1').length") == 1
    until(lambda: page.run("document.querySelector('#chart .line').getAttribute('d')"))
    tree = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    names = {(one["role"]["value"], one.get("name", {}).get("value", "")) for one in tree if "role" in one}
    assert ("textbox", "IMEI") in names
    assert ("textbox", "IMSI (optional)") in names
    assert ("button", "Look up") in names
    assert [name for role, name in names if role == "image" and name.startswith("Checks per second, now ")]


CONTRAST = """(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const color = parts(getComputedStyle(one).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility()) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(parts(style.color)), light(ground(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([one.tagName, one.textContent, ratio]);
  }
  return found;
})()"""


@pytest.mark.parametrize("width", [320, 390, 768, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_dark(browser, hostile_address, width, scheme):
    """Nothing is wider than the screen, and all text can be read: contrast of WCAG AA."""
    page = Page(browser, hostile_address, width, scheme)
    for imei in (OTHER, STOLEN):
        page.look_up(imei)
        assert page.run("document.documentElement.scrollWidth") <= page.run(
            "document.documentElement.clientWidth"
        )
        assert page.run("document.documentElement.clientWidth") >= width - 20  # a scroll bar
        assert page.run(CONTRAST) == []
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(243, 245, 246)", "dark": "rgb(15, 20, 24)"}[scheme]
    assert page.complaints() == []
    nodes = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [one["role"]["value"] for one in nodes if not one["ignored"]]
    assert roles.count("table") == 5
    assert {"row", "cell", "columnheader"} <= set(roles)
    if width < 768:  # each cell says what it is
        assert (
            page.run("getComputedStyle(document.querySelector('#lists td'), '::before').content") == '"List"'
        )
        sides = page.run(
            "[...document.querySelectorAll('button, input')].map(one => one.getBoundingClientRect().height)"
        )
        assert min(sides) >= 40  # for thumbs


def test_hostile_names_are_texts(browser, hostile_address):
    page = Page(browser, hostile_address)
    page.look_up(OTHER)
    assert page.cells("claims")[0][1] == HOSTILE
    assert HOSTILE in [row[0] for row in page.cells("lists")]
    assert page.run("document.images.length") == 1
    assert page.complaints() == []


def test_statuses_differ_by_more_than_their_colour(page):
    signs = {}
    for imei, imsi in ((STOLEN, ""), (WATCHED, ""), (STOLEN, HOME)):
        page.look_up(imei, imsi)
        sign = page.run("getComputedStyle(document.querySelector('#verdict .sign'), '::before').content")
        signs[page.text("verdict-status")] = sign
    assert len(signs) == len(set(signs.values())) == 3


def test_how_the_server_is(page):
    assert page.text("health-text") == "Ready"
    assert not page.one("trouble").is_displayed()
    lists = {row[0]: row for row in page.cells("lists")}
    assert lists["stolen-gsma"][1:4] == ["Blacklisted", "1,081,084 IMEIs", "gsma"]
    assert lists["owners"][2:] == ["1 pair", NONE, "not yet"]
    assert lists["watch"][4].endswith("ago, allowed 1 d 2 h")
    assert [row[:2] for row in page.cells("feeds")] == [["gsma", "1,418"], ["op-a", "78"]]
    assert [row[0] for row in page.cells("processes")] == ["Admin", "HTTP worker 0", "HTTP worker 1", "S13"]
    assert {row[1] for row in page.cells("processes")} == {"✓ running"}
    assert page.cells("peers")[0][:3] == ["mme1.epc.mnc015.mcc234.3gppnetwork.org", "10.1.2.11:41712", "open"]
    until(lambda: page.run("document.querySelector('#chart .line').getAttribute('d')"))
    assert float(page.text("rate").replace(",", "")) > 100


def test_what_stays_as_it_is_stays_where_it_is(page):
    """A table that is told again every two seconds can be read and marked meanwhile."""
    page.browser.execute_script(
        "window.kept = [...document.querySelectorAll('#lists tbody td:first-child, #peers tbody tr')]"
    )
    before = page.cells("processes")
    until(lambda: page.cells("processes") != before)
    assert page.run("kept.length") == 8
    assert page.run("kept.every(one => one.isConnected)")


def test_what_needs_attention_is_said(browser, hostile_address):
    page = Page(browser, hostile_address)
    assert page.text("health-text") == "Needs attention"
    assert page.one("trouble").is_displayed()
    assert (
        page.text("reasons")
        == "list 'approved' was not heard of since the store was made, at most 7 d are allowed"
    )
    assert [row[4] for row in page.cells("lists") if row[0] == "approved"] == ["▲ not yet, allowed 7 d"]


def test_when_the_server_is_gone_the_page_says_so(browser, logged, tmp_path):
    with site(logged, tmp_path) as there:
        page = Page(browser, there)
        page.look_up(STOLEN)
    until(lambda: page.text("health-text") == "No answer from the server")
    page.look_up(STOLEN)
    assert page.text("fault") == "No answer from the server. Try again."
    assert not page.one("result").is_displayed()


def test_a_page_from_elsewhere_cannot_ask(page, browser, address):
    """Not from another port of this machine either, and not by a form."""
    browser.get(address.replace(HOST, "localhost") + "healthz")
    script = (
        "fetch(arguments[0], {method: 'POST', headers: {'content-type': arguments[1]}, body: arguments[2]})"
        ".then(() => arguments[3]('answered'), () => arguments[3]('refused'))"
    )
    for kind in ("application/json", "text/plain"):
        told = browser.execute_async_script(script, f"{address}lookup", kind, json.dumps({"imei": STOLEN}))
        assert told == "refused"
    browser.get_log("browser")


def test_a_result_is_not_there_after_leaving_the_page(browser, address):
    page = Page(browser, address)
    page.look_up(STOLEN, HOME)
    browser.get(f"{address}healthz")
    browser.back()
    until(lambda: "Asking" not in page.text("health-text"))
    assert not page.one("result").is_displayed()
    assert page.run("document.getElementById('imei').value + document.getElementById('imsi').value") == ""


def test_a_result_is_taken_off_in_time(browser, address):
    """With minutes that pass in milliseconds."""
    faster = "const set = setTimeout; window.setTimeout = (act, ms) => set(act, ms < 60000 ? ms : ms / 200);"
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": faster})
    try:
        page = Page(browser, address)
        page.look_up(STOLEN)
        until(lambda: not page.one("result").is_displayed())
        assert page.run("document.getElementById('imei').value") == ""
        assert STOLEN not in page.run("document.documentElement.outerHTML")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_the_page_of_a_run(browser, servers, tmp_path):
    """As `imeiset serve` has it: a phone is found when it is reported, and that the store is away is said."""
    pytest.importorskip("imeiset.serve.processes.supervisor")
    Store.create(tmp_path / "eir", Register()).close()
    server = servers.serve(tmp_path / "eir")
    page = Page(browser, f"http://{HOST}:{server.admin}/")
    until(lambda: page.text("health-text") == "Ready")
    page.look_up(STOLEN)
    assert page.text("verdict-status") == "Whitelisted"
    with Store.open(tmp_path / "eir") as store:
        store.add_list("stolen", status=EquipmentStatus.BLACKLISTED)
        store.apply(Delta("stolen", add=[STOLEN]))

    def is_blocked():
        page.look_up(STOLEN)
        return page.text("verdict-status") == "Blacklisted"

    until(is_blocked)
    until(lambda: [row[0] for row in page.cells("lists")] == ["stolen"])
    (tmp_path / "eir").rename(tmp_path / "away")
    until(lambda: page.text("health-text") == "Needs attention")
    assert "the store cannot be read, its last state serves: " in page.text("reasons")
    assert is_blocked()
    assert page.complaints() == []

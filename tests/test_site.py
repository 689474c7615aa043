"""The site: its reference is complete, its first pages run, its links lead somewhere, nothing is fetched."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pages
import pytest
from test_docstrings import THINGS
from test_guides import blocks, played

import imeiset
import imeiset.serve
import imeiset.trust
from imeiset import EquipmentStatus, Policy
from imeiset.cli import _COMMANDS, main
from imeiset.errors import ImeisetError, ParseStatus
from imeiset.feeds import days, description, formats, options, titles, words
from imeiset.serve import config

MAKE = pages.DOCS / "_make"
sys.path.insert(0, str(MAKE))
assemble, keys, python, reference = map(importlib.import_module, ("assemble", "keys", "python", "reference"))
sys.path.remove(str(MAKE))


@pytest.fixture(scope="module")
def made():
    """The pages of the reference."""
    return reference.pages()


def rows(text):
    """The cells of the tables of a page, row by row."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in cells]


# ---- the reference is complete -------------------------------------------------------------------


def test_every_page_has_its_place():
    placed = {name for names in assemble.CONTENTS.values() for name in names}
    there = {path.stem for path in pages.DOCS.glob("*.md")} | {"contributing", "changelog"}
    assert placed == there - {"index"} | {f"reference/{name}" for name in reference.PAGES}


def test_every_name_has_an_entry(made):
    text = "\n".join(made.values())
    for name in [*imeiset.__all__, "open"]:
        assert re.search(rf"^\.\. auto\w+:: imeiset\.{name}$", text, re.M), name
    for module in (imeiset.serve, imeiset.trust):
        for name in module.__all__:
            assert f":: {module.__name__}.{name}\n" in text
    for name in THINGS:
        owner, _, member = name.partition(".")
        assert not member or member in python.members(getattr(imeiset, owner)), name


@pytest.mark.parametrize("library", ["pandas", "polars", "duckdb", "spark"])
def test_integrations_have_entries(made, library):
    there = {path.stem for path in Path(imeiset.__file__).parent.glob("integrations/[a-z]*.py")}
    assert {*python.INTEGRATIONS} == there
    source = (Path(imeiset.__file__).parent / "integrations" / f"{library}.py").read_text()
    public = set(re.findall(r"^(?:class|def) ([A-Za-z]\w*)", source, re.M))
    assert {*python.INTEGRATIONS[library]} == public
    for name in public:
        assert f":: imeiset.integrations.{library}.{name}\n" in made["integrations"]


def test_every_command_has_an_entry(made):
    told = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", made["commands"], re.M | re.S))
    assert [*dict.fromkeys(name.partition(" ")[0] for name in told)] == [*_COMMANDS]
    assert {"keys new", "keys rotate"} <= {*told}
    for name, text in told.items():
        command, _, below = name.partition(" ")
        command = main.get_command(None, command)
        command = command.commands[below] if below else command
        examples = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S))
        assert re.search(rf"^(?:.*\| )?imeiset {name}\b", examples, re.M) or name == "completion", name
        assert "Exit code" in text, name
        named = " ".join(row[0] for row in rows(text))
        for parameter in command.params:
            for option in (
                [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []
            ):
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", named), (name, option)


def test_every_error_has_a_cause_and_a_remedy(made):
    told = {re.sub(r"\[`(\w+)`\].*", r"\1", row[0]): row[1:] for row in rows(made["errors"])}
    module = importlib.import_module("imeiset.errors")
    named = {name: one for name, one in vars(module).items() if not name.startswith("_")}
    public = [one for one in named.values() if inspect.isclass(one) and issubclass(one, Exception)]
    assert len(public) > 30
    assert ImeisetError in public
    for one in public:
        cause, remedy = told[one.__name__]
        assert re.search(
            rf"^\.\. autoexception:: imeiset\.(errors\.)?{one.__name__}$", made["errors"], re.M
        ), one
        assert len(cause) > 10, one
        assert len(remedy) > 10, one
    for status in ParseStatus:
        assert any(row[:2] == [str(int(status)), f"`{status.name}`"] for row in rows(made["errors"])), status


def test_every_key_of_a_description_has_an_entry(made):
    assert tuple(keys.POLICY_KEYS) == description._POLICY
    assert {*keys.LIST_KEYS} | {*description._OPTIONS} == {*description._LIST}
    told = {row[0].strip("`") for row in rows(made["descriptions"])}
    assert {*description._POLICY, *description._LIST} <= told


def test_every_key_of_a_configuration_has_an_entry(made):
    told = dict(re.findall(r"^## `\[+([\w.]+)\]+`\n(.*?)(?=^## |\Z)", made["serve-config"], re.M | re.S))

    def check(kind, name):
        for one in fields(kind):
            whole = f"{name}.{one.name}".lstrip(".")
            if isinstance(one.metadata["read"], type):
                check(one.metadata["read"], whole)
            else:
                assert [f"`{one.name}`"] in [row[:1] for row in rows(told[name])], whole

    check(config.Config, "")
    assert "## `[[diameter.peers]]`" in made["serve-config"]


def test_every_title_word_and_format_of_dates_has_an_entry(made):
    text = made["columns"]
    told = [
        *titles.KNOWN,
        *formats.FORMATS,
        *formats.DATES,
        *formats.UNTILS,
        *formats.REASONS,
        formats.CHANGE,
    ]
    told += [word for some in words._WORDS.values() for word in some.split()]
    assert [
        word for word in {*told, *words.YES, *words.NO, *words.ABSENT} - {""} if f"`{word}`" not in text
    ] == []
    assert days.day_number(b"2026-11-29T08:00Z") == days.day_number(b"46355", "excel") == 20261129
    assert days.day_number(b"29.11.2026", "%d.%m.%Y") == 20261129
    assert {"`2026-11-29T08:00Z`", "`46355`", "`%d.%m.%Y`: `29.11.2026`"} <= {
        cell for row in rows(text) for cell in row
    }


def test_every_limit_has_an_entry(made):
    changed = " ".join(row[-1] for row in rows(made["limits"]))
    assert [
        name
        for name in options.OPTIONS
        if name.startswith("max_") and f"--{name.replace('_', '-')}" not in changed
    ] == []
    assert [
        one.name for one in fields(config.LimitsConfig) if f"`http.limits.{one.name}`" not in changed
    ] == []


def test_the_first_page_leads_to_all_of_it(made):
    assert {*reference.LOOKED_UP} == {*made}
    for name, (title, _) in reference.LOOKED_UP.items():
        assert made[name].startswith(f"# {title}\n")


def test_the_first_page_leads_to_every_guide():
    text = (pages.DOCS / "index.md").read_text()
    guides = {name for caption, names in assemble.CONTENTS.items() if "Guides" in caption for name in names}
    assert [
        name for name in {*guides, *assemble.CONTENTS[""], "concepts", "feeds"} if f"]({name}.md" not in text
    ] == []


# ---- the first pages -------------------------------------------------------------------------------


def test_index(here):
    exec(compile(pages.code("index.md"), "index.md", "exec"), {})


def test_getting_started(here, capsys):
    csv, described = iter(["stolen.csv", "exceptions.csv"]), iter(["register.toml"])
    names = {"csv": csv, "toml": described}
    listed = []
    for language, text in blocks("getting-started.md"):
        if language in names:
            Path(next(names[language])).write_text(text)
        elif language == "console":
            played(text)
        elif language == "python":
            exec(compile(text, "getting-started.md", "exec"), {})
        elif text.startswith(" rejected"):
            listed = text.splitlines()
    assert capsys.readouterr().out == "[ True False]\n"
    assert [*csv, *described] == []
    from click.testing import CliRunner

    shown = [line.rstrip() for line in CliRunner().invoke(main, ["info", "stolen.csv"]).output.splitlines()]
    assert shown[-2:] == listed


def test_response_types_are_those_of_the_policy():
    statuses = {"white": EquipmentStatus.WHITELISTED, "grey": EquipmentStatus.GREYLISTED}
    statuses["black"] = EquipmentStatus.BLACKLISTED
    told = [
        row
        for row in rows((pages.DOCS / "concepts.md").read_text())
        if row[0].split(",")[0] in {"none", *statuses}
    ]
    assert len(told) == 8
    for lists, *answers in told:
        held = [statuses[name] for name in lists.split(", ") if name != "none"]
        for number, answer in enumerate(answers, 1):
            assert Policy(response_type=number).outcome(held)[0].name.lower() == answer, (lists, number)


# ---- what is built -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The directory of the site: that in SITE, or one that is built here."""
    if "SITE" in os.environ:
        return Path(os.environ["SITE"])
    for module in ("sphinx", "furo", "myst_parser", "numpydoc", "pandas", "polars", "duckdb"):
        pytest.importorskip(module)
    source, made = tmp_path_factory.mktemp("source") / "docs", tmp_path_factory.mktemp("site")
    environment = os.environ | {"PYTHONPATH": str(Path(imeiset.__file__).parents[1]), "PYTHONSAFEPATH": ""}
    for line in (
        [sys.executable, str(MAKE / "assemble.py"), str(source)],
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(source), str(made)],
    ):
        found = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
        assert found.returncode == 0, found.stderr
    return made


@pytest.fixture(scope="module")
def built(site):
    """The text of each page of the site, by its path."""
    found = {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}
    assert len(found) > 30
    return found


def test_the_man_page_has_every_command(site):
    page = site.with_name("man") / "imeiset.1"
    if not page.exists():
        pytest.skip("`make docs` makes it")
    text = page.read_text()
    assert [name for name in _COMMANDS if not re.search(rf"^\.SH {name.upper()}\b", text, re.M)] == []


def test_options_begin_with_two_hyphens(built):
    """And not with the dash that typographers make of them."""
    found = {name: re.findall(r"(?<!\w)\u2013[a-z].{,20}", text) for name, text in built.items()}
    assert {name: some for name, some in found.items() if some} == {}


def test_nothing_is_fetched_from_elsewhere(site, built):
    for name, text in built.items():
        fetched = re.findall(
            r"<(?:script|img|iframe|source|video|audio|object|embed)\b[^>]*?\b(?:src|data)=\"([^\"]*)\"", text
        )
        for tag in re.findall(r"<link\b[^>]*>", text):
            fetched += re.findall(r"href=\"([^\"]*)\"", tag)
        assert [url for url in fetched if re.match(r"\w+:|//", url) and not url.startswith("data:")] == [], (
            name
        )
    for path in site.rglob("*.css"):
        named = re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", path.read_text())
        assert [url for pair in named for url in pair if re.match(r"https?:|//", url)] == [], path


def test_links_and_anchors_lead_somewhere(site, built):
    anchors = {name: set(re.findall(r"\bid=\"([^\"]*)\"", text)) for name, text in built.items()}
    wrong = []
    for name, text in built.items():
        for link in re.findall(r"<a\b[^>]*?\bhref=\"([^\"]*)\"", text):
            if re.match(r"https?:|mailto:", link):
                continue
            path, anchor = urldefrag(unquote(link))
            target = (site / name).parent / path if path else site / name
            place = target.resolve().relative_to(site.resolve()).as_posix()
            if not target.exists() or (anchor and place in anchors and anchor not in anchors[place]):
                wrong.append((name, link))
    assert wrong == []


def test_errors_are_linked_where_they_are_raised(built):
    for page, error in (("stores", "errors.StoreExists"), ("sets", "ImeiError"), ("lists", "FeedError")):
        assert f'href="errors.html#imeiset.{error}"' in built[f"reference/{page}.html"], error


def test_everything_public_has_an_anchor(built):
    anchors = {anchor for text in built.values() for anchor in re.findall(r"\bid=\"([^\"]*)\"", text)}
    assert [name for name in THINGS if f"imeiset.{name}" not in anchors] == []

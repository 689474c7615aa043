"""Doors for characters: of files, of an argument, of stdin."""

import contextlib
import csv
import json
import os
import tempfile
from pathlib import Path

from click.testing import CliRunner

import imeiset
from edges.asking import FAR, FAR_KEYS, NAMES, asked, beside, both, by_words, far, keys_of
from imeiset import ImeiSet
from imeiset.cli import main
from imeiset.feeds import sources


def place_for(name):
    return Path(tempfile.mkdtemp(), name)


def plain_file(form):
    """A list of numbers, the last of which is the form's."""
    path = place_for("list.txt")
    lines = [*FAR, form.value]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    return path


def csv_file(form, name, title, filling):
    """A table of two columns, all cells quoted."""
    path = place_for(name)
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = [["imei", title], *([text, filling] for text in [*FAR, form.value])]
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return path


def taken(members, reasons):
    """A key, or the reason of the one row that is not in the set."""
    if not reasons:
        return beside(keys_of(members))
    [reason] = reasons
    assert set(keys_of(members)) == FAR_KEYS
    return NAMES[reason.replace("_", " ")]


def loaded(path):
    result = imeiset.load(path)
    return taken(result.set, result.report.rejects)


def load_plain(form, key):
    return loaded(plain_file(form))


def load_csv(form, key):
    return loaded(csv_file(form, "list.csv", "make", "x"))


def load_parquet(form, key):
    import pyarrow as pa
    from pyarrow import parquet

    path = place_for("list.parquet")
    parquet.write_table(pa.table({"imei": [*FAR, form.value], "make": ["x"] * 4}), path)
    return loaded(path)


def build_plain(form, key):
    path = plain_file(form)
    out = path.with_suffix(".imei")
    result = run("build", path, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    return taken(ImeiSet.open(out), json.loads(result.stdout)["rejects"])


def apply(form, key):
    path = csv_file(form, "changes.csv", "change_type", "add")
    changed, report = imeiset.apply(ImeiSet([]), path, max_rejects=1)
    return taken(changed, report.sources[0].rejects)


def screen_csv(form, key):
    path = csv_file(form, "calls.csv", "cell", "x")

    def say(keys):
        out = path.with_suffix(".out.csv")
        imeiset.screen(path, far(*keys), column="imei", output=out)
        with out.open(newline="", errors="surrogateescape") as file:
            return list(csv.DictReader(file))[-1]["status"]

    return by_words(say, key)


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def checked(form, key, check):
    """What `check --json` says of one value: `check(snapshot)` gives its line."""
    answers = []
    for keys in ([], [key]):
        snapshot = place_for("list.imei")
        far(*keys).save(snapshot)
        [line] = check(snapshot).splitlines()
        facts = json.loads(line)
        answers.append(NAMES[facts["error"].replace("_", " ")] if "error" in facts else facts["listed"])
    return both(*answers, key)


def check_argument(form, key):
    return checked(form, key, lambda snapshot: run("check", snapshot, "--json", "--", form.value).stdout)


def check_stdin(form, key):
    def check(snapshot):
        with stdin(form.value.encode(errors="surrogateescape") + b"\n"):
            return run("check", snapshot, "-", "--json").stdout

    return checked(form, key, check)


@contextlib.contextmanager
def stdin(data):
    """The command reads from a pipe, as it does behind another."""
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        before = sources.stdin_reader
        sources.stdin_reader = lambda wake=None: lambda buffer: pipe.readinto(buffer)
        try:
            yield
        finally:
            sources.stdin_reader = before


def buffer(form, key):
    lines = form.value.encode(errors="surrogateescape") + b"\n"
    return asked(
        lambda keys: far(*keys).contains(lines)[0],
        key,
        lambda keys: far(*keys).contains(lines, malformed=False)[0],
    )


DOORS = {
    "load plain": load_plain, "load csv": load_csv, "load parquet": load_parquet, "build plain": build_plain,
    "apply": apply, "screen csv": screen_csv, "check argument": check_argument, "check stdin": check_stdin,
    "buffer": buffer,
}  # fmt: skip

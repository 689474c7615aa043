"""What a list of a register does decides which words in its other columns contradict it, also in deltas."""

import pytest

from imeiset import EquipmentStatus, ImeiSet, Register, Store, apply, load_register
from imeiset.errors import FeedColumn, FeedConflict

A, B, HOME = "352099001761481", "860123450000012", "262011234567890"
B_, W, G = "BLACKLISTED", "WHITELISTED", "GREYLISTED"
# Of a kind and a status, the words that contradict it.
LISTS = [
    ("imeis", "blacklisted", {W, G}),
    ("imeis", "whitelisted", {B_, G}),
    ("imeis", "greylisted", {W}),
    ("exempt", None, {B_, G}),
    ("lock", None, {W, G}),
    ("lock", "greylisted", {W, G}),
]


@pytest.mark.parametrize(("kind", "status", "against"), LISTS)
@pytest.mark.parametrize("word", [B_, W, G])
@pytest.mark.parametrize("door", ["description", "delta"])
def test_words_that_contradict_a_list(tmp_path, kind, status, against, word, door):
    if status == "greylisted" and word == B_:
        pytest.skip("which a grey list may say")
    rows = [("imei", "imsi", "answer", "change_type"), (A, HOME, word, "add"), (B, HOME, word, "add")]
    if kind == "imeis":
        rows = [row[:1] + row[2:] for row in rows]
    path = tmp_path / "list.csv"
    path.write_text("".join(f"{','.join(row[:-1] if door == 'description' else row)}\n" for row in rows))
    description = tmp_path / "register.toml"
    said = "" if status is None else f"status = '{status}'\n"
    text = f"[[lists]]\nname = 'x'\nkind = '{kind}'\nfiles = ['list.csv']\n{said}"
    description.write_text(text)
    if door == "description":
        if word in against:
            with pytest.raises(FeedColumn, match='where = "answer='):
                load_register(description)
            description.write_text(f"{text}where = 'answer={word}'\n")
        [(_, _, report)] = load_register(description).reports
        assert report.accepted == 2
        assert bool(report.unread) == (word not in against)
        return
    held = Register()
    decided = EquipmentStatus[status.upper()] if status else EquipmentStatus.BLACKLISTED
    {
        "imeis": lambda: held.add("x", [], status=decided),
        "exempt": lambda: held.exempt("x", [], []),
        "lock": lambda: held.lock("x", [], [], **({"status": decided} if status else {})),
    }[kind]()
    with Store.create(tmp_path / "store", held) as store:
        if word in against:
            with pytest.raises(FeedColumn, match="--where answer="):
                apply(store, path)
            assert store.sequence == 0
            apply(store, path, where=f"answer={word}")
        else:
            apply(store, path)
        assert sum(store.counts()["x"].values()) == 2


STOLEN = f"imei,reporting_date,status\n{A},20240101,stolen\n{B},,\n"
REGISTRATION = (
    "approved_imei,make,model,status,model_number,brand_name,device_type,radio_interface,device_id\n"
    f"{A},,,whitelist,,,,,\n{B},,,,,,,,\n"
)


@pytest.mark.parametrize(
    ("text", "status", "word"),
    [
        (STOLEN, "blacklisted", None),
        (STOLEN, "greylisted", None),
        (STOLEN, "whitelisted", "stolen"),
        (REGISTRATION, "whitelisted", None),
        (REGISTRATION, "blacklisted", "whitelist"),
        (REGISTRATION, "greylisted", "whitelist"),
    ],
)
@pytest.mark.parametrize("form", ["", "format = '{}'\n"])
def test_formats_whose_statuses_say_the_opposite(tmp_path, text, status, word, form):
    """The stolen phones of a list must not be let through, and the registered ones not blocked."""
    (tmp_path / "list.csv").write_text(text)
    path = tmp_path / "register.toml"
    form = form.format("stolen" if text is STOLEN else "registration")
    said = f"[[lists]]\nname = 'x'\nfiles = ['list.csv']\nstatus = '{status}'\n{form}"
    path.write_text(said)
    held = Register()
    held.add("x", [], status=EquipmentStatus[status.upper()])
    if word is None:
        assert load_register(path).register.counts()["x"] == {"exact": 2}
    else:
        with pytest.raises(FeedColumn, match=r'where = "status=VALUE.*statuses that say the opposite'):
            load_register(path)
        path.write_text(f"{said}where = 'status={word}'\n")
        assert load_register(path).register.counts()["x"] == {"exact": 1}
    with Store.create(tmp_path / "store", held) as store:
        if word is None:
            apply(store, tmp_path / "list.csv", change="add")
            assert store.counts()["x"] == {"exact": 2}
        else:
            with pytest.raises(FeedColumn, match=r"--where status=VALUE.*statuses that say the opposite"):
                apply(store, tmp_path / "list.csv", change="add")
            assert store.sequence == 0


def test_deltas_of_pairs_for_a_list_without_any(tmp_path):
    held = Register()
    held.exempt("x", [], [])
    path = tmp_path / "delta.csv"
    with Store.create(tmp_path / "store", held) as store:
        path.write_text(f"imei,imsi,change_type\n{A},{HOME},remove\n")
        with pytest.raises(FeedConflict, match="removals of what is not there: 1"):
            apply(store, path)
        path.write_text(f"imei,imsi,change_type\n{A},{HOME},add\n")
        _, report = apply(store, path)
        assert (report.added, report.keys, store.counts()["x"]) == (1, 1, {"pair": 1})


def test_a_set_is_a_blocklist(tmp_path):
    path = tmp_path / "delta.csv"
    path.write_text(f"imei,answer,change_type\n{A},{W},add\n")
    with pytest.raises(FeedColumn, match="--where answer="):
        apply(ImeiSet([B]), path)
    # Of a removal, such a word is a reason and no contradiction.
    path.write_text(f"imei,answer,change_type\n{B},{W},remove\n{A},{B_},add\n")
    assert [*apply(ImeiSet([B]), path)[0]] == [A]
    for name, fits in (("x_unblocked.csv", True), ("x_blocked.csv", False)):
        path = tmp_path / name
        path.write_text(f"imei,answer\n{B},{W}\n")
        if fits:
            assert len(apply(ImeiSet([B]), path, min_size=0)[0]) == 0
        else:
            with pytest.raises(FeedColumn, match="--where answer="):
                apply(ImeiSet(), path)
    # Whatever its name says, where a column says otherwise.
    path = tmp_path / "x_unblocked.csv"
    path.write_text(f"imei,answer,change_type\n{A},{W},add\n")
    with pytest.raises(FeedColumn, match="--where answer="):
        apply(ImeiSet([B]), path)


@pytest.mark.parametrize("name", ["x_blocked.csv", "x_unblocked.csv", "delta.csv"])
@pytest.mark.parametrize("options", [{}, {"change": "add"}, {"change": "remove"}])
@pytest.mark.parametrize("title", ["action", "Operation", "op", "event"])
def test_a_column_of_changes_that_nobody_names(tmp_path, name, options, title):
    """Neither the name of the file nor `change` may overrule it."""
    path = tmp_path / name
    path.write_text(f"imei,{title}\n{A},D\n{B},A\n")
    with pytest.raises(FeedColumn, match=f"--change-column {title}"):
        apply(ImeiSet([A]), path, min_size=0, **options)
    said = {"change_column": title, "change_values": "D=remove,A=add"}
    if not options:
        assert [*apply(ImeiSet([A]), path, min_size=0, **said)[0]] == [B]


@pytest.mark.parametrize(
    ("title", "value"),
    [("action", "D"), ("action", "remove"), ("change_type", "remove"), ("op", "0"), ("event", "D")],
)
def test_two_columns_of_changes(tmp_path, title, value):
    """Which one counts has to be said."""
    path = tmp_path / "delta.csv"
    path.write_text(f"imei,change_type,{title}\n{A},add,{value}\n")
    both = ("2", "3") if title == "change_type" else ("change_type", title)
    named = "--change-column {}, or --change-column {}".format(*both)
    with pytest.raises(FeedColumn, match=named):
        apply(ImeiSet([B]), path)
    pa = pytest.importorskip("pyarrow")
    names = ["imei", "change_type", title]
    table = pa.Table.from_arrays([pa.array([cell]) for cell in (A, "add", value)], names=names)
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "delta.parquet")
    with pytest.raises(FeedColumn, match=named):
        apply(ImeiSet([B]), tmp_path / "delta.parquet")
    result, report = apply(ImeiSet([B]), path, change_column=2)
    assert len(result) == 2
    assert [one.why for one in report.sources[0].unread] == ["changes"]


@pytest.mark.parametrize(("kind", "status", "against"), LISTS)
@pytest.mark.parametrize(("word", "change"), [("blocked", "add"), ("unblocked", "remove")])
@pytest.mark.parametrize("door", ["name", "column"])
def test_blocking_is_a_change_of_blocklists_only(tmp_path, kind, status, against, word, change, door):
    held = Register()
    imeis = [A] if change == "remove" else []
    if kind == "imeis":
        held.add("x", imeis, status=EquipmentStatus[status.upper()])
    else:
        pairs = {"exempt": held.exempt, "lock": held.lock}[kind]
        pairs(
            "x", imeis, [HOME] * len(imeis), **({"status": EquipmentStatus[status.upper()]} if status else {})
        )
    imsi = [] if kind == "imeis" else [("imsi", HOME)]
    cells = [("imei", A), *imsi, *([("action", word)] if door == "column" else [])]
    path = tmp_path / (f"x_{word}.csv" if door == "name" else "x.csv")
    path.write_text("".join(f"{','.join(row)}\n" for row in zip(*cells, strict=True)))
    options = {"change_column": "action"} if door == "column" else {}
    with Store.create(tmp_path / "store", held) as store:
        if kind == "lock" or status == "blacklisted":
            apply(store, path, min_size=0, **options)
            assert sum(store.counts()["x"].values()) == (change == "add")
        else:
            with pytest.raises((FeedColumn, FeedConflict), match="--change"):
                apply(store, path, min_size=0, **options)
            assert store.sequence == 0
            if door == "column":
                options["change_values"] = {word: change}
            else:
                options["change"] = change
            assert sum(apply(store, path, min_size=0, **options)[0].counts()["x"].values()) == (
                change == "add"
            )


@pytest.mark.parametrize("word", ["blocked", "unblocked"])
@pytest.mark.parametrize("door", ["name", "column"])
@pytest.mark.parametrize("said", ["header", "format", "description"])
def test_blocking_is_no_change_of_registered_phones(tmp_path, word, door, said):
    """A set says nothing of itself: its deltas, or a description of its list, do."""
    base, options = ImeiSet([A]), {"change_column": "action"} if door == "column" else {}
    titles = ["approved_imei" if said == "header" else "imei", "make", "model", "status"]
    titles += ["model_number", "brand_name", "device_type", "radio_interface", "device_id"]
    if said == "format":
        options["format"] = "exceptions"
        titles = ["imei", "imsi", "msisdn"]
        options["imsi"] = "ignore"
    if said == "description":
        titles = ["imei"]
        options["description"] = tmp_path / "register.toml"
        options["description"].write_text("[[lists]]\nname='x'\nstatus='whitelisted'\nfiles=['x']\n")
    titles += ["action"] * (door == "column")
    cells = [B if word == "blocked" else A, *[""] * (len(titles) - 1)]
    cells[-1] = word if door == "column" else cells[-1]
    path = tmp_path / (f"x_{word}.csv" if door == "name" else "x.csv")
    path.write_text(f"{','.join(titles)}\n{','.join(cells)}\n")
    with pytest.raises((FeedColumn, FeedConflict), match="--change"):
        apply(base, path, min_size=0, **options)


@pytest.mark.parametrize("title", ["imsi", "MSISDN 1", "iccid", "IMSI number"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_number_that_means_a_column_of_subscribers(tmp_path, title, kind):
    """The columns of a delta may be in another order than those of the list that a description is for."""
    path = tmp_path / f"delta.{kind}"
    rows = [("op", "imei", title), ("D", A, HOME)]
    if kind == "csv":
        path.write_text("".join(f"{','.join(row)}\n" for row in rows))
    else:
        pa = pytest.importorskip("pyarrow")
        table = pa.table({name: [cell] for name, cell in zip(*rows, strict=True)})
        pytest.importorskip("pyarrow.parquet").write_table(table, path)
    said = {"change_column": "op", "change_values": "D=remove", "imsi": "ignore", "min_size": 0}
    with pytest.raises(FeedColumn, match=f"column 3 \\('{title}'\\) of subscribers or cards"):
        apply(ImeiSet([A, HOME]), path, column=3, **said)
    assert [one[:14] for one in apply(ImeiSet([A, HOME]), path, column=2, **said)[0]] == [HOME[:14]]
    assert [*apply(ImeiSet([A, HOME]), path, column=title, **said)[0]] == [A]


@pytest.mark.parametrize("value", ["expired", "Revoked", "cancelled", "caducado"])
def test_permissions_that_ended(tmp_path, value):
    """Such a phone is let through no longer."""
    (tmp_path / "list.csv").write_text(f"imei,status\n{A},approved\n{B},{value}\n")
    path = tmp_path / "register.toml"
    for status in ("whitelisted", "blacklisted"):
        path.write_text(f"[[lists]]\nname = 'x'\nstatus = '{status}'\nfiles = ['list.csv']\n")
        with pytest.raises(FeedColumn, match='where = "status='):
            load_register(path)


@pytest.mark.parametrize("status", ["whitelisted", "blacklisted"])
@pytest.mark.parametrize("title", ["active", "is_active", "Valid", "enabled", "approved"])
def test_flags(tmp_path, status, title):
    (tmp_path / "list.csv").write_text(f"imei,{title}\n{A},yes\n{B},no\n")
    path = tmp_path / "register.toml"
    path.write_text(f"[[lists]]\nname = 'x'\nstatus = '{status}'\nfiles = ['list.csv']\n")
    with pytest.raises(FeedColumn, match=f'where = "{title}='):
        load_register(path)

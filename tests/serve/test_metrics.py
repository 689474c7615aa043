"""Metrics as Prometheus reads them: names, labels, and counts that never go back."""

import json
import math
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

prometheus_client = pytest.importorskip("prometheus_client", reason="the extra serve is not installed")
parser = pytest.importorskip("prometheus_client.parser")

from imeiset import EquipmentStatus  # noqa: E402
from imeiset.serve.admin.health import Expected  # noqa: E402
from imeiset.serve.admin.metrics import METRICS, OF_STORE, Collector, Seen, exposition, label_of  # noqa: E402
from imeiset.serve.state import Peer, ProcessState, Totals  # noqa: E402

NOW = 1_795_964_248.0
ROOT = Path(__file__).parent.parent.parent
SOURCES = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the sources are away")
HOSTILE = 'a"b\\c\nd} 1\n# HELP x{'


def process(kind="http", index=0, checks=(), errors=(), **more):
    counts = Totals(dict(checks), dict(errors))
    return ProcessState(kind, index, 12, NOW - 100, more.pop("beat", NOW - 1), counts=counts, **more)


def status(*lists, feeds=(), followed=()):
    one = {
        name: SimpleNamespace(status=EquipmentStatus.BLACKLISTED, kind="imeis", owner="", age=age)
        for name, age in lists
    }
    return SimpleNamespace(
        generation=2,
        sequence=9,
        age=3.5,
        journal_records=4,
        journal_bytes=1000,
        base_bytes=2000,
        counts={name: {"exact": 5, "tac": 1} for name in one},
        lists=one,
        feeds={name: SimpleNamespace(number=3, age=1.0) for name in feeds},
        fault=None,
        followed=dict(followed),
    )


def followed(**more):
    """Of a publisher whose edition is a minute old, and was found current ten seconds ago."""
    then = [datetime.fromtimestamp(NOW - ago, UTC) for ago in (60, 10)]
    told = {"edition": 7, "published": then[0], "age": 60.0, "checked": then[1], "fault": None, "kind": None}
    return SimpleNamespace(**{**told, **more})


def seen(*processes, of_store=None, reasons=(), expected=None):
    return Seen(processes, of_store or status(("stolen", 60.0)), reasons, expected or Expected(), NOW)


def samples(text):
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in parser.text_string_to_metric_families(text)
        for one in family.samples
    }


def scraped(collector):
    content_type, body = exposition(collector)
    assert content_type.startswith("text/plain; version=")
    return samples(body.decode())


def of(name, **labels):
    return name, tuple(sorted(labels.items()))


def test_every_value():
    workers = (
        process(
            checks={("5g", 1, "exact"): 3, ("5g", 0, "default"): 5}.items(), refresh_faults=1, sequence=9
        ),
        process(
            index=1,
            checks={("5g", 1, "exact"): 4}.items(),
            errors={("5g", "INVALID_API"): 2}.items(),
            sequence=8,
        ),
        process(
            "s13",
            checks={("s13", 3, "default"): 1}.items(),
            errors={("s13", "5004"): 1}.items(),
            peers=(
                Peer("mme", "10.1.2.3:4", "open", NOW),
                Peer("sgsn", "10.1.2.4:4", "open", NOW),
                Peer("x", "y", "closed", NOW),
            ),
        ),
        process("admin", beat=NOW - 100),
    )
    now = seen(
        *workers,
        of_store=status(
            ("stolen", 60.0),
            ("found", None),
            feeds=["op-a"],
            followed={
                "op-a": followed(),
                "op-b": followed(fault="x", kind="TrustStale", published=None, age=None, checked=None),
            },
        ),
        reasons=["x"],
        expected=Expected({"http": 2, "s13": 1}),
    )
    told = scraped(Collector(lambda: now))
    assert told.pop(("imeiset_build_info", told_version(told))) == 1
    assert told == {
        of("imeiset_checks_total", interface="5g", status="blacklisted", rule="exact"): 7,
        of("imeiset_checks_total", interface="5g", status="whitelisted", rule="default"): 5,
        of("imeiset_checks_total", interface="s13", status="unknown", rule="default"): 1,
        of("imeiset_errors_total", interface="5g", cause="INVALID_API"): 2,
        of("imeiset_errors_total", interface="s13", cause="5004"): 1,
        of("imeiset_store_refresh_faults_total"): 1,
        **{
            of("imeiset_list_entries", list=name, status="blacklisted", kind="imeis", rule=rule): count
            for name in ("stolen", "found")
            for rule, count in (("exact", 5), ("tac", 1))
        },
        of("imeiset_list_age_seconds", list="stolen"): 60,
        of("imeiset_feed_sequence", feed="op-a"): 3,
        of("imeiset_follow_edition", feed="op-a"): 7,
        of("imeiset_follow_edition", feed="op-b"): 7,
        of("imeiset_follow_published_age_seconds", feed="op-a"): 60.0,
        of("imeiset_follow_checked_age_seconds", feed="op-a"): 10.0,
        of("imeiset_follow_fault", feed="op-a", kind=""): 0,
        of("imeiset_follow_fault", feed="op-b", kind="TrustStale"): 1,
        of("imeiset_feed_age_seconds", feed="op-a"): 1,
        of("imeiset_store_generation"): 2,
        of("imeiset_store_sequence"): 9,
        of("imeiset_store_age_seconds"): 3.5,
        of("imeiset_store_pending_changes"): 4,
        of("imeiset_store_journal_bytes"): 1000,
        of("imeiset_store_base_bytes"): 2000,
        of("imeiset_ready"): 0,
        of("imeiset_workers", kind="http"): 2,
        of("imeiset_workers", kind="s13"): 1,
        of("imeiset_workers", kind="admin"): 0,
        of("imeiset_workers_expected", kind="http"): 2,
        of("imeiset_workers_expected", kind="s13"): 1,
        of("imeiset_worker_heartbeat_age_seconds", kind="http", index="0"): 1,
        of("imeiset_worker_heartbeat_age_seconds", kind="http", index="1"): 1,
        of("imeiset_worker_heartbeat_age_seconds", kind="s13", index="0"): 1,
        of("imeiset_worker_heartbeat_age_seconds", kind="admin", index="0"): 100,
        of("imeiset_worker_store_sequence", kind="http", index="0"): 9,
        of("imeiset_worker_store_sequence", kind="http", index="1"): 8,
        of("imeiset_worker_store_sequence", kind="s13", index="0"): 0,
        of("imeiset_worker_store_sequence", kind="admin", index="0"): 0,
        of("imeiset_peers", state="open"): 2,
        of("imeiset_peers", state="closed"): 1,
    }


def told_version(told):
    [labels] = [labels for name, labels in told if name == "imeiset_build_info"]
    return labels


CHECKS = of("imeiset_checks_total", interface="5g", status="blacklisted", rule="exact")


@pytest.mark.parametrize(
    ("steps", "totals"),
    [
        ([{0: 5}, {0: 8}], [5, 8]),
        ([{0: 5}, {0: 2}, {0: 3}], [5, 7, 8]),  # it starts from nothing
        ([{0: 5, 1: 5}, {0: 6}, {0: 6, 1: 7}], [10, 11, 13]),  # it is away, and comes back
        ([{0: 5}, {}, {}], [5, 5, 5]),
    ],
)
def test_counts_never_go_back(steps, totals):
    now = {}
    collector = Collector(lambda: now["seen"])
    found = []
    for step in steps:
        now["seen"] = seen(
            *(process(index=index, checks=[(("5g", 1, "exact"), n)]) for index, n in step.items())
        )
        found.append(scraped(collector)[CHECKS])
    assert found == totals


def test_the_page_and_prometheus_share_totals_without_counting_twice():
    collector = Collector(lambda: seen(process(checks=[(("5g", 1, "exact"), 5)])))
    assert [scraped(collector)[CHECKS] for _ in range(3)] == [5, 5, 5]


@pytest.mark.parametrize("name", [HOSTILE, "żółć ❤", "\ud800", "\x00", "", "x" * 5000, "\u202eabc"])
def test_hostile_names_of_lists(name):
    told = scraped(Collector(lambda: seen(of_store=status((name, 1.0), feeds=[name]))))
    shown = name.encode("utf-8", "backslashreplace").decode()
    assert told[of("imeiset_list_age_seconds", list=shown)] == 1
    assert told[of("imeiset_feed_sequence", feed=shown)] == 3
    assert len(told) == len(
        scraped(Collector(lambda: seen(of_store=status(("plain", 1.0), feeds=["plain"]))))
    )


def test_numbers_in_names_are_masked_and_no_two_rows_are_the_same():
    names = ("case 490154203237518", "case 490154203237519", "case 49015420*******")
    told = scraped(
        Collector(lambda: seen(of_store=status(*((name, float(at)) for at, name in enumerate(names)))))
    )
    ages = {
        labels[0][1]: value for (name, labels), value in told.items() if name == "imeiset_list_age_seconds"
    }
    assert ages == {"case 49015420*******": 0, "case 49015420******* (2)": 1, "case 49015420******* (3)": 2}
    assert not re.search(r"\d{9}", " ".join(ages))
    assert label_of("imsi-234150999999999") == "imsi-23415**********"


def test_without_a_store_the_rest_is_told():
    now = Seen([process()], None, ["the store is not open"], Expected({"http": 1}), NOW)
    told = {name for name, _ in scraped(Collector(lambda: now))}
    assert told.isdisjoint(metric.name for metric in OF_STORE)
    assert {"imeiset_ready", "imeiset_workers"} <= told


def test_open_metrics_where_they_are_asked_for():
    accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"
    content_type, body = exposition(Collector(lambda: seen(process())), accept)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize("version", ["abc", "1.x", "", "-1", "1.0.0;escaping=x"])
def test_a_version_that_is_not_one_is_no_error(version):
    accept = f"application/openmetrics-text;version={version}"
    assert b"imeiset_ready" in exposition(Collector(lambda: seen(process())), accept)[1]


PROMTOOL = shutil.which("promtool")


def checked(*command, text=""):
    """What promtool says of a text, which is nothing if all is well."""
    if PROMTOOL is None:
        pytest.skip("no promtool here: apt-get install prometheus")
    told = subprocess.run(
        [PROMTOOL, "check", *command], input=text, capture_output=True, text=True, check=False
    )
    return told.returncode, told.stderr


def test_prometheus_takes_all_that_is_told():
    workers = (process(checks=[(("5g", 1, "exact"), 3)], errors=[(("5g", "INVALID_API"), 2)]), process("s13"))
    now = seen(
        *workers,
        of_store=status((HOSTILE, 60.0), ("x", math.inf), feeds=["żółć"]),
        expected=Expected({"s13": 1}),
    )
    assert checked("metrics", text=exposition(Collector(lambda: now))[1].decode()) == (0, "")


@SOURCES
def test_prometheus_takes_the_alarms_of_the_guide(tmp_path):
    [rules] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "operation.md").read_text(), re.M | re.S)
    (tmp_path / "rules.yaml").write_text(rules)
    assert checked("rules", str(tmp_path / "rules.yaml")) == (0, "")


@SOURCES
def test_prometheus_takes_the_queries_of_the_dashboard(tmp_path):
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for name, value in (("$__rate_interval", "5m"), ("$job", ".*"), ("$instance", ".*")):
        queries = [query.replace(name, value) for query in queries]
    assert not any("$" in query for query in queries)
    rules = [{"record": f"query_{at}", "expr": query} for at, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert checked("rules", str(tmp_path / "rules.yaml")) == (0, "")


def test_names_follow_prometheus():
    for metric in METRICS:
        assert re.fullmatch(r"imeiset(_[a-z]+)+", metric.name)
        assert not metric.name.endswith("_total")  # which the library adds to counters
        assert re.search(r"[.]$", metric.help)
        assert len(set(metric.labels)) == len(metric.labels)


def shown_names():
    return {f"{metric.name}_total" if metric.kind == "counter" else metric.name for metric in METRICS}


def named_in(text):
    return set(re.findall(r"\bimeiset_[a-z_]+", text))


@SOURCES
def test_every_name_of_the_dashboard_exists():
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    names = {name for text in expressions for name in named_in(text)}
    assert names
    assert names <= shown_names()
    assert shown_names() - names <= {"imeiset_build_info", "imeiset_store_base_bytes"}
    every = json.dumps(dashboard)
    assert named_in(every) <= shown_names()


@SOURCES
def test_labels_of_the_dashboard_exist():
    labels = {metric.name.removesuffix("_total"): set(metric.labels) for metric in METRICS}
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            known = {
                name for full in named_in(target["expr"]) for name in labels[full.removesuffix("_total")]
            }
            used = set(re.findall(r"\b([a-z_]+)\s*=~?\"", target["expr"]))
            used |= {
                one.strip()
                for found in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", target["expr"])
                for one in found.split(",")
            }
            used |= set(re.findall(r"\{\{\s*([a-z_]+)\s*\}\}", target.get("legendFormat", "")))
            assert used <= known | {"job", "instance"}, target


@SOURCES
def test_every_metric_is_documented():
    text = (ROOT / "docs" / "operation.md").read_text()
    assert named_in(text) == shown_names()
    for metric in METRICS:
        name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}`")]
        assert [
            label.strip() for label in row.split("|")[2].replace("`", "").split(",") if label.strip()
        ] == [*metric.labels]

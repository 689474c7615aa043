"""The charts of a run: `python -m benchmarks.compare.charts run.json DIR` draws a saved one again.

Each is drawn twice, for light and for dark pages, and says one thing. Those in docs/ are drawn from
`figures.json`, which is here.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

from .bars import figure, short

OURS, LIMIT = "imeiset", "limit: one line"
LIMIT_NAME = "touching one line"
WORKLOAD = "half hits"
# Whom the charts show: each for a kind of table that a user may have.
SHOWN = (OURS, "pandas get_indexer", "DuckDB semi-join", "set", "polars is_in", "Redis SMISMEMBER", LIMIT)
STYLE = {
    "font.family": "sans-serif",
    "font.size": 13,
    "svg.fonttype": "path",  # the same on every machine
    "svg.hashsalt": "imeiset",  # and the same bytes each time
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.minor.bottom": False,
    "ytick.minor.left": False,
}


@dataclass(frozen=True)
class Scheme:
    """The colours for pages of one brightness."""

    name: str
    text: str
    ours: str
    others: str
    faint: str


SCHEMES = (
    Scheme("light", text="#24292f", ours="#b3261e", others="#8a94a1", faint="#d5dae0"),
    Scheme("dark", text="#d8dee6", ours="#ff7b6b", others="#7d8896", faint="#3b434d"),
)


def draw(found: dict[str, Any], directory: Path) -> list[Path]:
    """Draw every chart for which the run has the figures; returns the files."""
    charts: dict[str, Callable[[Scheme], Any]] = {}
    if "curve" in found:
        charts["lookups"] = lambda scheme: lookups(found["curve"], scheme)
    if "resident" in found:
        bytes_each = {name: found["resident"][name] for name in SHOWN if name in found["resident"]}
        title = f"Bytes of memory per IMEI, list of {short(found['size'])}"
        charts["resident"] = lambda scheme: ranking(bytes_each, title, scheme)
    if len(found.get("load", {})) > 1:
        rates = {name: 1e3 / ns for name, ns in found["load"].items()}
        heading = f"Million lines a second, from {short(found['lines'])} unsorted lines to a saved file"
        charts["load"] = lambda scheme: ranking(rates, heading, scheme, more=True)
    drawn = []
    for name, chart in charts.items():
        for scheme in SCHEMES:
            with pyplot.rc_context(STYLE | _colours(scheme)):
                picture, path = chart(scheme), directory / f"{name}-{scheme.name}.svg"
                picture.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
                pyplot.close(picture)
            drawn.append(path)
    return drawn


def _colours(scheme: Scheme) -> dict[str, str]:
    of_text = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor", "axes.titlecolor")
    of_lines = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    return dict.fromkeys(of_text, scheme.text) | dict.fromkeys(of_lines, scheme.faint)


def lookups(points: list[dict[str, Any]], scheme: Scheme) -> Any:
    """ns per lookup against the size of the list. Each line has its name at its end."""
    picture, panel = pyplot.subplots(figsize=(8.4, 5.2), layout="constrained")
    for name in SHOWN:
        seen = [(one["size"], ns) for one in points if (ns := one["lookups"][WORKLOAD].get(name)) is not None]
        if not seen:
            continue
        colour = scheme.ours if name == OURS else scheme.others
        style = {"linewidth": 4 if name == OURS else 2, "linestyle": ":" if name == LIMIT else "-"}
        panel.plot(*zip(*seen, strict=True), color=colour, zorder=3 if name == OURS else 2, **style)
        ends_early = seen[-1][0] < points[-1]["size"]
        panel.annotate(
            LIMIT_NAME if name == LIMIT else name,
            seen[-1],
            xytext=(0, 7) if ends_early else (7, 0),
            textcoords="offset points",
            ha="right" if ends_early else "left",
            va="bottom" if ends_early else "center",
            color=colour if name == OURS else scheme.text,
            fontweight="bold" if name == OURS else "normal",
        )
    panel.set(xscale="log", yscale="log", xlabel="IMEIs in the list")
    sizes = [one["size"] for one in points]
    panel.set_xticks(sizes, [short(size) for size in sizes])
    panel.minorticks_off()
    panel.margins(y=0.1)
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.grid(axis="y")
    panel.set_axisbelow(True)
    panel.set_title("ns per lookup, in a batch of which half are listed", loc="left", fontsize=14, pad=12)
    return picture


def ranking(values: dict[str, float], title: str, scheme: Scheme, *, more: bool = False) -> Any:
    """A horizontal bar for each name, the best on top: the least, or with `more` the most."""
    order = sorted(values, key=lambda name: values[name], reverse=not more)
    picture, panel = pyplot.subplots(figsize=(8.4, 1.0 + 0.42 * len(order)), layout="constrained")
    colours = [scheme.ours if name == OURS else scheme.others for name in order]
    drawn = panel.barh(order, [values[name] for name in order], color=colours, height=0.68)
    panel.bar_label(drawn, [figure(values[name]) for name in order], padding=6)
    panel.margins(x=0.1)
    panel.set_title(title, loc="left", fontsize=14)
    panel.spines["bottom"].set_visible(False)
    panel.set_xticks([])
    panel.tick_params(axis="y", length=0)
    return picture


if __name__ == "__main__":
    for path in draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])):
        print(path)

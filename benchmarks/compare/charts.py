"""The pictures of a run: `python -m benchmarks.compare.charts run.json DIR` draws a saved one again."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

from .bars import figure, short
from .job import WORKLOADS

OURS, LIMIT = "imeiset", "limit: one line"
COLOURS = {OURS: "#c0392b", "imeiset in memory": "#e67e73", LIMIT: "#000000"}
OTHERS = [colour for i, colour in enumerate(pyplot.get_cmap("tab20").colors) if i not in (6, 7)]  # no reds
GREY = "#8a97a6"


def draw(found: dict[str, Any], directory: Path) -> list[Path]:
    """Draw every picture for which the run has the figures; returns the files."""
    drawn = []
    if "curve" in found:
        drawn.append(lookups(found["curve"], directory / "lookups.png"))
    if "resident" in found:
        title = f"Resident bytes per IMEI, list of {found['size']:,}"
        drawn.append(ranking(found["resident"], title, directory / "resident.png"))
    if len(found.get("load", {})) > 1:
        rates = {name: 1e3 / ns for name, ns in found["load"].items()}
        title = f"{found['lines']:,} unsorted lines on disk to a saved file,\nmillion lines a second"
        drawn.append(ranking(rates, title, directory / "load.png", more=True))
    return drawn


def lookups(points: list[dict[str, Any]], path: Path) -> Path:
    """ns per lookup against the size of the list, a panel for each workload."""
    picture, panels = pyplot.subplots(1, len(WORKLOADS), figsize=(13, 7.5), sharey=True, layout="constrained")
    names = list(dict.fromkeys(name for point in points for name in point["lookups"]["half hits"]))
    others = [name for name in names if name not in COLOURS]
    colours = COLOURS | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(others)}
    for panel, workload in zip(panels, WORKLOADS, strict=True):
        for name in names:
            seen = [(point["size"], point["lookups"][workload].get(name)) for point in points]
            sizes, ns = zip(*[(size, value) for size, value in seen if value is not None], strict=True)
            panel.plot(
                sizes,
                ns,
                label=name,
                color=colours[name],
                linewidth=3.5 if name.startswith(OURS) else 1.5,
                linestyle="--" if name == LIMIT else "-",
                marker="osD^v<>pPX*h"[names.index(name) % 12],
                markersize=5,
                zorder=3 if name in COLOURS else 2,
            )
        panel.set(xscale="log", yscale="log", xlabel="IMEIs in the list", title=workload)
        panel.set_xticks([point["size"] for point in points], [short(point["size"]) for point in points])
        panel.minorticks_off()
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("ns per lookup, in batch")
    last = points[-1]["lookups"]["half hits"]
    handles = dict(zip(names, panels[0].get_lines(), strict=True))
    order = sorted(names, key=lambda name: -last.get(name, points[-2]["lookups"]["half hits"].get(name, 0)))
    picture.legend(
        [handles[name] for name in order], order, loc="outside right upper", frameon=False, fontsize=10
    )
    return _save(picture, path)


def ranking(values: dict[str, float], title: str, path: Path, *, more: bool = False) -> Path:
    """A horizontal bar for each name, the best on top: the least, or with `more` the most."""
    order = sorted(values, key=lambda name: values[name], reverse=not more)
    picture, panel = pyplot.subplots(figsize=(8, 1.2 + 0.36 * len(order)), layout="constrained")
    colours = [COLOURS.get(name, GREY) for name in order]
    drawn = panel.barh(order, [values[name] for name in order], color=colours)
    panel.bar_label(drawn, [figure(values[name]) for name in order], padding=4)
    panel.margins(x=0.12)
    panel.set_title(title, loc="left", fontsize=11)
    panel.spines[["top", "right"]].set_visible(False)
    return _save(picture, path)


def _save(picture: Any, path: Path) -> Path:
    picture.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(picture)
    return path


if __name__ == "__main__":
    for drawn in draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])):
        print(drawn)

"""Charts of the results, as SVG whose text stays text: small, and legible beside the tables they stand with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

#: Inches: the width, and what a group of bars, a bar and the frame add to the height.
_WIDTH, _GROUP, _BAR, _FRAME = 9.0, 0.12, 0.14, 1.3
#: Seeds the names inside of a file: the same run gives the same one.
_SALT: Final = "gearjobs"


@dataclass(frozen=True, slots=True)
class Chart:
    """Horizontal bars, in groups."""

    title: str
    #: The groups from top to bottom, and in each the bars by their names.
    bars: Mapping[str, Mapping[str, float]]
    #: For ratios: where a line says "as good as the other", from which bars go to both sides, on a logarithmic scale.
    par: float | None


def write_svg(chart: Chart, path: Path) -> None:
    """Draw a chart; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for group in chart.bars.values() for name in group))
    height = _FRAME + len(chart.bars) * (_GROUP + _BAR * len(names))
    mpl.rc("svg", hashsalt=_SALT, fonttype="none")
    mpl.rc("font", size=9)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    _draw(figure, chart, names)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _draw(figure: Figure, chart: Chart, names: list[str]) -> None:
    axes = figure.subplots()
    thickness = 0.8 / max(1, len(names))
    for number, name in enumerate(names):
        present = [(place, group[name]) for place, group in enumerate(chart.bars.values()) if name in group]
        places = [place + (number - (len(names) - 1) / 2) * thickness for place, _ in present]
        begin = chart.par or 0.0
        drawn = axes.barh(places, [value - begin for _, value in present], thickness, begin, label=name)
        axes.bar_label(drawn, [_told(value) for _, value in present], padding=2, fontsize=7)
    axes.set_yticks(range(len(chart.bars)), list(chart.bars))
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    axes.set_title(chart.title, loc="left")
    if chart.par is not None:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_told_at)
        axes.axvline(chart.par, color="black", linewidth=0.8)
    if len(names) > 1:
        figure.legend(loc="outside lower center", ncols=len(names), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 20 else f"{value:.2g}"


def _told_at(value: float, _: float) -> str:
    return f"{value:g}"

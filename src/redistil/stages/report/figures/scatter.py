"""The best student against the first stage, query by query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.figures.drawing.style import COLOURS, panels, styled
from redistil.stages.report.numbers import entries, statistics
from redistil.stages.report.numbers.rows import best
from redistil.stages.report.numbers.statistics import Floats
from redistil.storage import lineage
from redistil.study import artefacts as studies

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "The best student of each group of datasets against the first stage, query by query, the "
    "mean over its seeds. A larger dot, or where there are very many a darker field, stands for "
    "more queries; above the diagonal the student is better."
)
MOST = 250  # places that are drawn as dots


@dataclass(frozen=True)
class Panel:
    """Two systems on a group: for each dataset, the values of both, query by query."""

    first: str
    second: str
    sets: Sequence[tuple[Floats, Floats]]


def draw(given: Given) -> "Figure | str":
    """Return the best student of each group against the first stage."""
    if not given.measures:
        return "no measures given"
    study = given.study
    lines = {entry.name: entry for entry in entries.entries(studies.systems(study))}
    first = lines[study["grid"]["first_stage"]]
    chosen = {}
    for group in study["groups"]:
        row = best(given.tables.leaderboard, group)
        if row is None:
            return "no student was trained"
        chosen[group] = lines[row.system]
    files = _files_of([first, *chosen.values()], given.measures)
    values = entries.read(study, files)
    shown = {}
    for group, student in chosen.items():
        shown[group] = _panel(values, first, student, study["groups"][group])
    return scatter(shown, given.measure)


def _panel(
    values: entries.Values, first: entries.Entry, second: entries.Entry, datasets: Sequence[str]
) -> Panel:
    """Return two lines on some datasets."""
    sets = []
    for dataset in datasets:
        sets.append((values.mean(first, dataset), values.mean(second, dataset)))
    return Panel(first.name, second.name, sets)


def _files_of(lines: Sequence[entries.Entry], measures: Sequence[Path]) -> dict[str, Path]:
    """Return the measures files of the systems of some lines, by system."""
    wanted = set[str]()
    for line in lines:
        wanted.update(line.systems)
    files = {}
    for path in measures:
        name = lineage.of(path).name
        if name in wanted:
            files[name] = path
    return files


def scatter(shown: Mapping[str, Panel], measure: str) -> "Figure":
    """Return two systems query by query, a panel for each group; above the line the second wins."""
    with styled():
        figure, axes_of = panels(len(shown), 3.3, 3.4, across=3)
        for (group, panel), axes in zip(shown.items(), axes_of, strict=True):
            counts = _compare(axes, panel)
            axes.set_title(f"{group}\n{counts}", fontsize=9)
            axes.set_xlabel(f"{panel.first}, {measure}")
            axes.set_ylabel(f"{panel.second}, {measure}")
    return figure


def _compare(axes: "Axes", panel: Panel) -> str:
    """Draw a panel's queries, and return how many the second system wins and loses."""
    firsts, seconds = zip(*panel.sets, strict=True)
    x, y = np.concatenate(firsts), np.concatenate(seconds)
    _dots(axes, x, y)
    wins, losses = statistics.wins(y - x), statistics.wins(x - y)
    return f"{wins} better, {losses} worse, {len(x) - wins - losses} equal"


def _dots(axes: "Axes", x: Floats, y: Floats) -> None:
    """Draw a dot for each place, as large as the queries there are many.

    Of very many places, which would hide each other, a shade for each.
    """
    places, many = np.unique(np.round(np.stack([x, y]), 2), axis=1, return_counts=True)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, zorder=1)
    if len(many) <= MOST:
        look: dict[str, Any] = {"color": COLOURS[0], "alpha": 0.45, "linewidth": 0, "zorder": 2}
        for count in np.unique(many):  # dots of one size are drawn once and then named
            x, y = places[:, many == count]
            axes.scatter(x, y, s=8 * np.sqrt(count), **look)
    else:
        _shades(axes, x, y)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")


def _shades(axes: "Axes", x: Floats, y: Floats) -> None:
    from matplotlib.colors import LogNorm

    counts, *_ = np.histogram2d(y, x, 51, ((-0.01, 1.01), (-0.01, 1.01)))
    axes.imshow(
        np.ma.masked_equal(counts, 0),
        cmap="Blues",
        norm=LogNorm(vmin=0.2),  # one query is seen too
        extent=(-0.01, 1.01, -0.01, 1.01),
        origin="lower",
        interpolation="none",
        zorder=0,
    )

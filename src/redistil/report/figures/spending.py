"""Figures about what effectiveness costs: parameters, training, and candidates re-ranked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.report.entries import Row, best
from redistil.report.figures.style import COLOURS, DASHES, MARKS, one_legend, panels, pick, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def sizes(
    leaderboard: Sequence[Row], study: Mapping[str, Any], parameters: Mapping[str, int]
) -> "Figure":
    """Return the headline by the students' parameters (log axis), a line for each loss.

    After Fig. 2 of arXiv 2603.03010; a panel for each group of data sets, bars are the intervals.
    """
    grid, groups = study["grid"], list(study["groups"])
    students = sorted((s for s in grid["students"] if s in parameters), key=lambda s: parameters[s])
    found = {row["system"]: row for row in leaderboard}
    # so that intervals do not hide each other
    apart = (parameters[students[-1]] / parameters[students[0]]) ** (1 / 150)
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            for place, loss in enumerate(grid["losses"]):
                rows = [found[f"{student}/{loss}"] for student in students]
                value, low, high = (
                    np.array([row[f"{group}{end}"] for row in rows])
                    for end in ("", " low", " high")
                )
                x = [parameters[student] * apart**place for student in students]
                axes.errorbar(
                    x,
                    value,
                    yerr=[np.maximum(0, value - low), np.maximum(0, high - value)],
                    color=pick(COLOURS, place),
                    linestyle=pick(DASHES, place),
                    marker=pick(MARKS, place),
                    markersize=4,
                    linewidth=1.2,
                    elinewidth=0.6,
                    label=loss,
                )
            _first_stage(axes, leaderboard, grid["first_stage"], group)
            axes.set_xscale("log")
            ticks = [parameters[student] for student in students]
            axes.set_xticks(ticks, [_counted(n) for n in ticks], rotation=40, ha="right")
            axes.minorticks_off()
            axes.set_title(group)
            axes.set_ylabel(study["measures"][0])
        figure.supxlabel("parameters", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _first_stage(axes: "Axes", leaderboard: Sequence[Row], name: str, group: str) -> None:
    (value,) = (row[group] for row in leaderboard if row["system"] == name)
    axes.axhline(value, color="#555555", linestyle="--", linewidth=1, label=f"{name} (first stage)")


def _counted(number: float) -> str:
    """Return a count of parameters as papers write it: 17.4M, 561k."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def depths(rows: Sequence[Row], leaderboard: Sequence[Row], study: Mapping[str, Any]) -> "Figure":
    """Return the headline when only the first n candidates are re-ranked, a line for each loss.

    rows: of the table `depths`. A panel for each group of data sets, of its best student: means
    over seeds. Depth 0 is the first stage.
    """
    grid, groups = study["grid"], study["groups"]
    ticks = sorted({row["depth"] for row in rows})
    value = {(row["system"], row["dataset"], row["depth"]): row["value"] for row in rows}
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for (group, datasets), axes in zip(groups.items(), axes_of, strict=True):
            student = best(leaderboard, group)["student"]
            for place, loss in enumerate(grid["losses"]):
                names = [f"{student}/{loss}/{seed}" for seed in grid["seeds"]]
                line = [
                    np.mean([value.get((n, d, tick), np.nan) for n in names for d in datasets])
                    for tick in ticks
                ]
                axes.plot(
                    range(len(ticks)),
                    line,
                    color=pick(COLOURS, place),
                    linestyle=pick(DASHES, place),
                    marker=pick(MARKS, place),
                    markersize=3.5,
                    linewidth=1.2,
                    label=loss,
                )
            _first_stage(axes, leaderboard, grid["first_stage"], group)
            axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
            axes.set_title(f"{group}: {student}")
            axes.set_ylabel(study["measures"][0])
        figure.supxlabel("candidates re-ranked", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


_COSTS = {  # key of cost.json: what the axis says
    "seconds": "training (seconds)",
    "pairs_per_second": "training (pairs per second)",
    "joules": "training (joules)",
}


def cost(
    leaderboard: Sequence[Row], study: Mapping[str, Any], costs: Mapping[str, Mapping[str, Any]]
) -> "Figure":
    """Return the headline by what a training cost; colour is the loss, mark the student.

    costs: what the cost.json beside each model says, by cell. A row of panels for each group of
    data sets, a column for each cost that is known; a point is the mean over seeds.
    """
    grid, groups = study["grid"], list(study["groups"])
    known = [key for key in _COSTS if any(key in found for found in costs.values())]
    students = {student: place for place, student in enumerate(grid["students"])}
    with styled():
        figure, axes_of = panels(len(groups) * len(known), 3.4, 2.6, across=len(known))
        for place, axes in enumerate(axes_of):
            group, key = groups[place // len(known)], known[place % len(known)]
            for row in leaderboard:
                if row["kind"] == "student":
                    seeds = [costs.get(f"{row['system']}/{seed}", {}) for seed in grid["seeds"]]
                    spent = [found[key] for found in seeds if key in found]
                    if spent:
                        axes.scatter(
                            np.mean(spent),
                            row[group],
                            color=pick(COLOURS, grid["losses"].index(row["loss"])),
                            marker=pick(MARKS, students[row["student"]]),
                            s=26,
                            label=f"{row['student']}, {row['loss']}",
                        )
            axes.set_title(group)
            axes.set_xlabel(_COSTS[key])
            axes.set_ylabel(study["measures"][0])
            axes.margins(0.1)
        one_legend(figure, axes_of, loc="outside right upper", fontsize=7.5)
    return figure

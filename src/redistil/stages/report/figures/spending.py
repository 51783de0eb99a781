"""Figures about what effectiveness costs: parameters, training, and candidates re-ranked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.stages.report.figures.style import (
    COLOURS,
    DASHES,
    MARKS,
    interval,
    one_legend,
    panels,
    pick,
    styled,
)
from redistil.stages.report.numbers import costs
from redistil.stages.report.numbers.entries import Row, best
from redistil.study.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def sizes(
    leaderboard: Sequence[Row], study: Study, of: Mapping[str, Mapping[str, Any]]
) -> "Figure":
    """Return the headline by the students' parameters (log axis), a panel for each group.

    After Fig. 2 of arXiv 2603.03010. Colour is the loss, mark the family of networks, and lines
    join the sizes of one family; bars are the intervals. of: `parameters` and `family` by student.
    """
    grid, groups = study["grid"], list(study["groups"])
    ordered = sorted(of, key=lambda student: int(of[student]["parameters"]))
    families: dict[str, list[str]] = {}
    for student in ordered:
        families.setdefault(of[student]["family"], []).append(student)
    found = {row["system"]: row for row in leaderboard}
    counts = np.array([of[student]["parameters"] for student in ordered], dtype=float)
    with styled():
        figure, axes_of = panels(len(groups), 3.4, 2.8, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            for place, loss in enumerate(grid["losses"]):
                # a little apart, so that intervals do not hide each other
                apart = (counts[-1] / counts[0]) ** (place / 150)
                for number, students in enumerate(families.values()):
                    rows = [found[f"{student}/{loss}"] for student in students]
                    x = [of[student]["parameters"] * apart for student in students]
                    _intervals(axes, x, rows, group, place, number)
            _first_stage(axes, leaderboard, grid["first_stage"], group)
            _log_axis(axes, counts[0], counts[-1])
            axes.set_title(group)
            axes.set_ylabel(study["measures"][0])
        figure.supxlabel("parameters", fontsize=9)
        _two_keys(axes_of[0], grid["losses"], list(families), lines=True)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def _intervals(
    axes: "Axes", x: Sequence[float], rows: Sequence[Row], group: str, colour: int, mark: int
) -> None:
    value, reach = interval(rows, group)
    axes.errorbar(
        x,
        value,
        yerr=reach,
        color=pick(COLOURS, colour),
        linestyle=pick(DASHES, colour),
        marker=pick(MARKS, mark),
        markersize=4,
        linewidth=1.2,
        elinewidth=0.6,
    )


def _log_axis(axes: "Axes", low: float, high: float) -> None:
    """Give a log axis round ticks with short names; over less than a factor of 5 it stays linear.

    Matplotlib's own names are formulas, which the report's style does not set.
    """
    if high < 5 * low:
        axes.xaxis.set_major_formatter(lambda value, _: _counted(value))
        axes.locator_params(axis="x", nbins=4)
        return
    axes.set_xscale("log")
    powers = range(int(np.floor(np.log10(low))), int(np.log10(high)) + 1)
    ticks = [m * 10.0**power for power in powers for m in (1, 2, 5)]
    ticks = [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]
    ticks = ticks if len(ticks) < 8 else [tick for tick in ticks if np.log10(tick) % 1 == 0]
    axes.set_xticks(ticks, [_counted(tick) for tick in ticks])
    axes.minorticks_off()


def _two_keys(axes: "Axes", losses: Sequence[str], marked: Sequence[str], lines: bool) -> None:
    """Name the colours (losses) and the marks (families or students) in the legend, apart."""
    for place, loss in enumerate(losses):
        style = pick(DASHES, place) if lines else "none"
        mark = "none" if lines else "o"
        colour = pick(COLOURS, place)
        axes.plot([], [], color=colour, linestyle=style, marker=mark, label=loss)
    for place, name in enumerate(marked):
        axes.plot([], [], color="#555555", linestyle="none", marker=pick(MARKS, place), label=name)


def _first_stage(axes: "Axes", leaderboard: Sequence[Row], name: str, group: str) -> None:
    (value,) = (row[group] for row in leaderboard if row["system"] == name)
    axes.axhline(value, color="#555555", linestyle="--", linewidth=1, label=f"{name} (first stage)")


def _counted(number: float) -> str:
    """Return a count of parameters as papers write it: 17.4M, 561k."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def depths(rows: Sequence[Row], leaderboard: Sequence[Row], study: Study) -> "Figure":
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
            axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks], fontsize=7.5)
            axes.set_title(f"{group}: {student}")
            axes.set_ylabel(study["measures"][0])
        figure.supxlabel("candidates re-ranked", fontsize=9)
        one_legend(figure, axes_of, loc="outside upper center", ncols=4)
    return figure


def cost(leaderboard: Sequence[Row], study: Study, spent: Sequence[Row], work: str) -> "Figure":
    """Return the headline by what a work cost; colour is the loss, mark the student.

    spent: of students, as `costs` of the numbers has it; work: training or reranking. A row of
    panels for each group of data sets, a column for each amount that is known (one at least); a
    point is the mean over seeds.
    """
    grid, groups = study["grid"], list(study["groups"])
    amounts = list(costs.drawn(study, spent, work).items())
    students = {student: place for place, student in enumerate(grid["students"])}
    name = work.replace("reranking", "re-ranking")
    with styled():
        figure, axes_of = panels(len(groups) * len(amounts), 3.4, 2.6, across=len(amounts))
        for place, axes in enumerate(axes_of):
            group, (unit, amount) = groups[place // len(amounts)], amounts[place % len(amounts)]
            points = [r for r in leaderboard if r["kind"] == "student" and r["system"] in amount]
            for student, mark in students.items():
                rows = [row for row in points if row["student"] == student]
                if rows:
                    axes.scatter(
                        [amount[row["system"]] for row in rows],
                        [row[group] for row in rows],
                        color=[pick(COLOURS, grid["losses"].index(row["loss"])) for row in rows],
                        marker=pick(MARKS, mark),
                        s=26,
                    )
            axes.set_title(group)
            axes.set_xlabel(f"{name} ({unit})")
            axes.set_ylabel(study["measures"][0])
            axes.margins(0.1)
            _log_axis(axes, min(amount.values()), max(amount.values()))
        _two_keys(axes_of[0], grid["losses"], list(students), lines=False)
        one_legend(figure, axes_of, loc="outside right upper")
        figure.supxlabel(costs.energy(spent, (work,)), fontsize=8)
    return figure

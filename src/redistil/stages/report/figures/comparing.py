"""Figures that compare: losses against each other, and two models query by query."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from redistil.stages.report.figures.style import COLOURS, diverging, panels, styled
from redistil.stages.report.numbers.entries import Row
from redistil.stages.report.numbers.statistics import BETTER, EQUIVALENT, WORSE, Floats
from redistil.study.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 250  # places that are drawn as dots


def matrix(tests: Sequence[Row], study: Study) -> "Figure":
    """Return losses against losses, a panel for each group of data sets.

    Colour: by how many points the loss of the row leads over that of the column, over all students
    (blue leads, orange trails). Text: for how many students it is better, not distinguishable and
    worse. A frame: the two were shown to be equivalent over all students.
    """
    losses, groups = study["grid"]["losses"], list(study["groups"])
    size = 0.5 * len(losses) + 0.2 + 0.08 * max(len(loss) for loss in losses)  # inches
    together = [row for row in tests if row["family"] == "loss pairs"]
    largest = max((abs(row["difference"]) for row in together), default=0.0) or 1.0
    with styled():
        figure, axes_of = panels(len(groups), size + 0.5, size - 0.2, across=3)
        for group, axes in zip(groups, axes_of, strict=True):
            here = [row for row in tests if row["group"] == group]
            image = _matrix(axes, here, losses, 100 * largest)
            axes.set_title(group)
        bar = figure.colorbar(image, ax=axes_of, shrink=0.7, aspect=30, pad=0.02)
        bar.set_label(f"row less column, {study['measures'][0]} in points")
        bar.outline.set_visible(False)
    return figure


def _matrix(axes: "Axes", tests: Sequence[Row], losses: Sequence[str], largest: float) -> Any:
    from matplotlib.patches import Rectangle

    place = {loss: index for index, loss in enumerate(losses)}
    lead = np.full((len(losses), len(losses)), np.nan)
    for row in tests:
        if row["family"] == "loss pairs":
            one, other = place[row["system"]], place[row["against"]]
            lead[one, other], lead[other, one] = 100 * row["difference"], -100 * row["difference"]
            if row["equivalence"] == EQUIVALENT:
                for y, x in ((one, other), (other, one)):
                    corner = (x - 0.44, y - 0.44)
                    axes.add_patch(Rectangle(corner, 0.88, 0.88, fill=False, linewidth=1.4))
    image = axes.imshow(lead, cmap=diverging(), vmin=-largest, vmax=largest)
    for (left, right), (better, ties, worse) in _counts(tests).items():
        y, x = place[left], place[right]
        for height, across, words in ((y, x, (better, ties, worse)), (x, y, (worse, ties, better))):
            text = "/".join(map(str, words))
            axes.text(across, height, text, ha="center", va="center", fontsize=7.5)
    axes.set_xticks(range(len(losses)), losses, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(losses)), losses)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _counts(tests: Sequence[Row]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Return for how many students one loss is better than another, not told from it, or worse."""
    words: dict[tuple[str, str], list[str]] = {}
    for row in tests:
        if row["family"] == "pairs":
            pair = (row["system"].partition("/")[2], row["against"].partition("/")[2])
            words.setdefault(pair, []).append(row["verdict"])
    return {
        pair: (
            said.count(BETTER),
            len(said) - said.count(BETTER) - said.count(WORSE),
            said.count(WORSE),
        )
        for pair, said in words.items()
    }


def scatter(
    values: Mapping[str, Sequence[tuple[Floats, Floats]]],
    names: Mapping[str, tuple[str, str]],
    measure: str,
) -> "Figure":
    """Return two models query by query, a panel for each group of data sets.

    values: by group, for each data set the values of both models, query by query; names: by group,
    what they are. Above the diagonal the second is better.
    """
    with styled():
        figure, axes_of = panels(len(values), 3.3, 3.4, across=3)
        for (group, sets), axes in zip(values.items(), axes_of, strict=True):
            x, y = (np.concatenate(some) for some in zip(*sets, strict=True))
            _dots(axes, x, y)
            wins, losses = int((y > x).sum()), int((y < x).sum())
            counts = f"{wins} better, {losses} worse, {len(x) - wins - losses} equal"
            axes.set_title(f"{group}\n{counts}", fontsize=9)
            axes.set_xlabel(f"{names[group][0]}, {measure}")
            axes.set_ylabel(f"{names[group][1]}, {measure}")
    return figure


def _dots(axes: "Axes", x: Floats, y: Floats) -> None:
    """Draw a dot for each place, as large as the queries there are many.

    Of very many places, which would hide each other, a shade for each.
    """
    from matplotlib.colors import LogNorm

    places, many = np.unique(np.round(np.stack([x, y]), 2), axis=1, return_counts=True)
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, zorder=1)
    if len(many) <= MOST:
        look: dict[str, Any] = {"color": COLOURS[0], "alpha": 0.45, "linewidth": 0, "zorder": 2}
        for count in np.unique(many):  # dots of one size are drawn once and then named
            x, y = places[:, many == count]
            axes.scatter(x, y, s=8 * np.sqrt(count), **look)
    else:
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
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")

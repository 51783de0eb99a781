"""The figures of a study, as SVG and PNG: equal tables give equal bytes.

Colours are Okabe and Ito's, told apart by all common kinds of colour vision; hatching tells the
same bars apart in grey print.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from redistil import study as studies
from redistil.errors import BadSettings
from redistil.report.leaderboard import Row
from redistil.report.statistics import Floats
from redistil.tables import aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"]
_HATCHES = ["", "//", "..", "xx", "\\\\", "--", "++", "oo"]
_DASHES = {"first stage": "--", "teacher": ":"}
_INK = "#222222"
_ENDS = ("", " low", " high")  # columns of a group: value and interval

_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "redistil",  # else every run draws other ids
    "text.parse_math": False,  # a name with two dollar signs is a name
}


def bars(leaderboard: Sequence[Row], study: Mapping[str, Any]) -> "Figure":
    """Return grouped bars, loss x student with intervals, a panel for each group of data sets.

    After Fig. 1 of arXiv 2603.03010, with the first stages and the teachers as lines across.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    grid, groups = study["grid"], list(study["groups"])
    bars_across = len(grid["students"]) * (len(grid["losses"]) + 1)
    width = min(14.0, max(6.5, 3.2 + 0.24 * bars_across))
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, 2.5 * len(groups) + 0.6), layout="constrained")
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for axes, group in zip(panels, groups, strict=True):
            _panel(axes, leaderboard, grid["students"], grid["losses"], group)
            _lines(axes, leaderboard, grid["first_stage"], group)
            axes.set_title(group)
            axes.set_ylabel(study["measures"][0])
        panels[-1].set_xticks(range(len(grid["students"])), grid["students"])
        _one_legend(figure, panels, loc="outside right upper")
    return figure


def _panel(
    axes: "Axes", board: Sequence[Row], students: Sequence[str], losses: Sequence[str], group: str
) -> None:
    found = {(row["student"], row["loss"]): row for row in board}
    width = 0.84 / len(losses)
    for place, loss in enumerate(losses):
        rows = [found[student, loss] for student in students]
        value, low, high = (np.array([row[f"{group}{key}"] for row in rows]) for key in _ENDS)
        axes.bar(
            np.arange(len(students)) + (place - (len(losses) - 1) / 2) * width,
            value,
            width * 0.92,
            # a percentile interval need not hold the mean
            yerr=[np.maximum(0, value - low), np.maximum(0, high - value)],
            label=loss,
            color=_COLOURS[place % len(_COLOURS)],
            hatch=_HATCHES[place % len(_HATCHES)],
            edgecolor="white",
            linewidth=0.3,
            error_kw={"ecolor": _INK, "elinewidth": 0.8, "capsize": 1.5},
        )
    axes.set_xlim(-0.55, len(students) - 0.45)
    axes.tick_params(axis="x", length=0)


def _lines(axes: "Axes", board: Sequence[Row], reference: str, group: str) -> None:
    """Draw every first stage and teacher as a line across; what is re-ranked is the darkest."""
    for kind, dashes in _DASHES.items():
        rows = [row for row in board if row["kind"] == kind]
        rows.sort(key=lambda row: (row["system"] != reference, row["system"]))
        for place, row in enumerate(rows):
            axes.axhline(
                row[group],
                label=f"{row['system']} ({kind})",
                linestyle=dashes,
                linewidth=1.3,
                color=str(min(0.7, 0.1 + 0.3 * place)),
                zorder=3,
            )


def curves(runs: Mapping[str, tuple[Floats, Floats]], study: Mapping[str, Any]) -> "Figure":
    """Return the training curves, a panel for each loss: losses have scales of their own.

    runs: (steps, losses) by the name of the cell; the seeds of one student share a colour.
    Raises BadSettings for a cell that the study does not have.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    cells = {cell.name: cell for cell in studies.grid_cells(study)}
    for name in runs:
        if name not in cells:
            raise BadSettings(
                f"curves: the study has no cell {name!r}{studies.nearest(name, cells)}"
            )
    students, losses = study["grid"]["students"], study["grid"]["losses"]
    columns = min(3, len(losses))
    rows = -(-len(losses) // columns)
    with rc_context(_STYLE):
        size = (max(4.0, 2.9 * columns), 2.2 * rows + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        panels = dict(zip(losses, figure.subplots(rows, columns, squeeze=False).flat, strict=False))
        for loss, axes in panels.items():
            axes.set_title(loss)
        for name, curve in runs.items():
            place = students.index(cells[name].student)
            panels[cells[name].loss].plot(
                *(_thinned(values) for values in curve),
                color=_COLOURS[place % len(_COLOURS)],
                linestyle=["-", "--", ":", "-."][place % 4],
                linewidth=1.0,
                label=cells[name].student,
            )
        for axes in figure.axes[len(losses) :]:
            axes.set_axis_off()
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("training loss", fontsize=9)
        _one_legend(figure, panels.values(), loc="outside upper center", ncols=4)
    return figure


def _one_legend(figure: "Figure", panels: Iterable["Axes"], **where: Any) -> None:
    """Name each thing once, areas before lines, for all panels together."""
    named: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            named.setdefault(label, handle)
    ordered = sorted(named.items(), key=lambda item: hasattr(item[1], "get_linestyle"))
    figure.legend([handle for _, handle in ordered], [label for label, _ in ordered], **where)


def _thinned(values: Floats, most: int = 100) -> Floats:
    """Return at most `most` means of neighbouring values: a curve needs no more ink."""
    block = -(-len(values) // most)
    whole = len(values) // block * block
    means: Floats = np.asarray(values[:whole], dtype=float).reshape(-1, block).mean(axis=1)
    return means


def points(curve: pa.Table) -> tuple[Floats, Floats]:
    """Return the steps and losses of a training curve."""
    return curve["step"].to_numpy(), curve["loss"].to_numpy()


def save(figure: "Figure", path: Path) -> None:
    """Write the figure as `path`.svg and `path`.png, without dates or versions in them."""
    from matplotlib import rc_context

    silent = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    for kind, metadata in silent.items():
        with aside(path.with_suffix(f".{kind}")) as partial, rc_context(_STYLE):
            figure.savefig(partial, format=kind, metadata=metadata, dpi=200)

"""The headline by what re-ranking cost."""

from typing import TYPE_CHECKING

from redistil.stages.report.figures.cost import by_cost
from redistil.stages.report.figures.drawing.given import Given

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "The headline measure by what it cost to re-rank all candidates of all datasets of the study: "
    "time, pairs of query and passage per second, and energy where the machine tells it. Colour is "
    "the loss, mark the student; a point is the mean over seeds."
)


def draw(given: Given) -> "Figure | str":
    """Return the headline by what re-ranking cost."""
    return by_cost(given, "reranking") or "no cost.json beside all runs of a student"

"""The figures of a study: one file each, with its caption and its drawing.

The name of a file is the name of its figure. It has `CAPTION`, the text under the figure, and
`draw`. That returns the figure, or a sentence that says why there is none.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from redistil.stages.report.figures.drawing.given import Given


class Drawing(Protocol):
    """The module of a figure."""

    CAPTION: str

    @staticmethod
    def draw(given: "Given") -> "Figure | str":
        """Return the figure, or why there is nothing to show."""


def names() -> list[str]:
    """Return the names of all figures, in the order of the alphabet, without importing them."""
    stems = []
    for module in iter_modules(__path__):
        if not module.ispkg:
            stems.append(module.name)
    return sorted(stems)


def module_of(name: str) -> Drawing:
    """Return the module of a figure."""
    return cast(Drawing, import_module(f"{__name__}.{name}"))

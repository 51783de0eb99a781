"""The folder of figures: each as SVG and PNG with its caption, and a record of those shown."""

from pathlib import Path
from typing import TYPE_CHECKING

from redistil.stages.report import figures
from redistil.stages.report.figures.drawing.style import note, save
from redistil.stages.report.numbers.sealed import sealing
from redistil.storage.lineage import Made
from redistil.storage.tables import aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from redistil.stages.report.figures.drawing.given import Given

KINDS = ("svg", "png", "rst")


def plot(given: "Given", folder: Path, made: Made) -> None:
    """Draw and write every figure; seal those that show something.

    One whose data were not given only says so. The caption NAME.rst is for the page and for
    Snakemake's own report.
    """
    drawn = _draw(given)
    files = []
    for name, figure in drawn.items():
        if not isinstance(figure, str):
            files += [f"{name}.{kind}" for kind in KINDS]
    with sealing(folder, files, made):
        for name, figure in drawn.items():
            save(note(figure) if isinstance(figure, str) else figure, folder / name)
            with aside(folder / f"{name}.rst") as partial:
                caption = figures.module_of(name).CAPTION
                partial.write_text(f"{caption}\n", encoding="utf-8")


def _draw(given: "Given") -> "dict[str, Figure | str]":
    """Return every figure by name, or why there is nothing to show."""
    from tqdm import tqdm

    drawn: dict[str, Figure | str] = {}
    for name in tqdm(figures.names(), unit="figure"):
        drawn[name] = figures.module_of(name).draw(given)
    return drawn

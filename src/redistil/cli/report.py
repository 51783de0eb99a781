"""Commands of the stage `report`: tables, figures and the page of a study."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from redistil import lineage
from redistil.cli.options import In, Json, Out, Source, making, setting, write_settings
from redistil.tables import CURVE, DEPTHS, MEASURES, TEACHER_SCORES


def several(flag: str, type: Any, help: str, **more: Any) -> Callable[..., Any]:
    """Return an option for files that may be given several times, or not at all."""
    return setting(flag, type, help, multiple=True, required=False, **more)


@click.command()
@click.argument("out", type=Out())
@setting("--settings", Json(), "The merged configuration, as JSON.")
def resolve(out: Path, settings: dict[str, Any]) -> None:
    """Write the study as it was asked for, catalogues and grid, as the YAML file OUT."""
    write_settings(settings, out)


@click.command()
@click.argument("study", type=Source())
@click.argument("out", type=Out())
@setting("--measures", In(MEASURES), "Measures of a system; once per system.", multiple=True)
@setting("--models", Source(), "Record (made.json) of a model; once per model.", multiple=True)
@setting("--published", Source(), "Published values, as CSV.")
@setting("--names", Source(), "How their names map to ours, as YAML.")
@setting("--alpha", click.FloatRange(0, 1, True, True), "Level of the tests, such as 0.05.")
@setting("--margin", click.FloatRange(0, 1, True, True), "Equivalent: at most so far apart.")
@setting("--reproduced-within", click.FloatRange(0, 1, True, True), "Likewise, of publications.")
@setting("--resamples", click.IntRange(100), "Rounds of the bootstrap and the randomisation test.")
@setting("--seed", int, "Seed of those rounds.")
@making("report")
def tabulate(
    study: Path,
    out: Path,
    measures: tuple[Path, ...],
    models: tuple[Path, ...],
    published: Path,
    names: Path,
    alpha: float,
    margin: float,
    reproduced_within: float,
    resamples: int,
    seed: int,
    made: lineage.Made,
) -> None:
    """Compare everything in a STUDY with its first stage; OUT is the folder of the tables.

    Refuses a number that is not the one the study asks for. Writes leaderboard.csv, losses.csv,
    tests.csv, cells.csv, published.csv, metrics.json, tables.json and made.json, and tables to
    paste (Markdown, LaTeX) in the folder paste.
    """
    from redistil import study as studies
    from redistil.report import leaderboard, provenance, tabulated, typeset
    from redistil.report import models as taught
    from redistil.report import published as elsewhere

    asked = studies.read(study)
    records = {path: lineage.of(path) for path in measures}
    provenance.check(asked, list(records.values()), [lineage.of(path) for path in models])
    files = {record.name: path for path, record in records.items()}
    sources = {
        record.name: {"file": str(path), "fingerprint": record.fingerprint}
        for path, record in records.items()
    }
    values = leaderboard.read(asked, files)
    how = leaderboard.Settings(alpha, resamples, seed, margin)
    tables = leaderboard.tabulate(asked, values, how)
    lines = leaderboard.entries(studies.systems(asked))
    theirs = elsewhere.read(published, names)
    beside = elsewhere.beside(theirs, asked, lines, values, reproduced_within, leaderboard.LEVEL)
    tabulated.write(
        tables,
        sources,
        out,
        made,
        published=beside,
        sizes=taught.sizes(asked, models),
        sheets=typeset.sheets(asked, tables.leaderboard, tables.losses, tables.tests, beside),
    )
    click.echo(f"leaderboard: {out / 'leaderboard.csv'}", err=True)


@click.command()
@click.argument("study", type=Source())
@click.argument("tables", type=Source())
@click.argument("out", type=Out())
@several("--curves", In(CURVE), "Training curve of a model; once each.")
@several("--models", Source(), "Record (made.json) of a model, its cost beside it; once each.")
@several("--measures", In(MEASURES), "Measures of a system; once each.")
@several("--depths", In(DEPTHS), "What `sweep` made; once per student.")
@several(
    "--teacher",
    (str, In(TEACHER_SCORES), str, Source()),
    "A teacher, its scores, and the negatives it scored with their file; once each.",
    metavar="TEACHER SCORES NEGATIVES FILE",
)
@making("report")
def plot(
    study: Path,
    tables: Path,
    out: Path,
    curves: tuple[Path, ...],
    models: tuple[Path, ...],
    measures: tuple[Path, ...],
    depths: tuple[Path, ...],
    teacher: tuple[tuple[str, Path, str, Path], ...],
    made: lineage.Made,
) -> None:
    """Draw the figures of a STUDY from its TABLES; OUT is their folder.

    Writes each figure as SVG and PNG, and made.json, which names those that show something: one
    whose data were not given only says so.
    """
    from tqdm import tqdm

    from redistil import study as studies
    from redistil.report import drawing, figures, sealed, tabulated

    given = drawing.Given(curves, models, measures, depths, teacher)
    drawn = drawing.drawn(studies.read(study), tabulated.read(tables), given)
    shown = [f"{name}.svg" for name, figure in drawn.items() if not isinstance(figure, str)]
    with sealed.sealing(out, shown, made):
        for name, figure in tqdm(drawn.items(), unit="figure"):
            said = figures.note(figure) if isinstance(figure, str) else figure
            figures.save(said, out / name)


@click.command()
@click.argument("study", type=Source())
@click.argument("tables", type=Source())
@click.argument("figures", type=Source())
@click.argument("departures", type=Source())
@click.argument("out", type=Out())
@making("report")
def publish(
    study: Path, tables: Path, figures: Path, departures: Path, out: Path, made: lineage.Made
) -> None:
    """Write one self-contained HTML page about a STUDY to OUT.

    TABLES and FIGURES are the folders that `tabulate` and `plot` wrote; DEPARTURES is Markdown.
    """
    from redistil import study as studies
    from redistil.report import page, tabulated
    from redistil.tables import aside

    text = page.render(
        studies.read(study),
        tabulated.read(tables),
        figures,
        departures.read_text(encoding="utf-8"),
        page.machine(),
    )
    with aside(out) as partial:
        partial.write_text(text, encoding="utf-8")
    click.echo(f"page: {out}", err=True)

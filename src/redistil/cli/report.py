"""Commands of the stage `report`: tables, figures and the page of a study."""

from pathlib import Path
from typing import Any

import click

from redistil import lineage
from redistil.cli.options import In, Json, Out, Source, making, setting, write_settings
from redistil.tables import CURVE, MEASURES


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
        parameters=taught.parameters(asked, models),
        sheets=typeset.sheets(asked, tables.leaderboard, tables.losses, tables.tests, beside),
    )
    click.echo(f"leaderboard: {out / 'leaderboard.csv'}", err=True)


@click.command()
@click.argument("study", type=Source())
@click.argument("tables", type=Source())
@click.argument("out", type=Out())
@setting(
    "--curves", In(CURVE), "Training curve of a model; once each.", multiple=True, required=False
)
@making("report")
def plot(
    study: Path, tables: Path, out: Path, curves: tuple[Path, ...], made: lineage.Made
) -> None:
    """Draw the figures of a STUDY from its TABLES; OUT is their folder.

    Writes bars.svg and bars.png, curves.svg and curves.png where curves are given, and made.json.
    """
    from redistil import study as studies
    from redistil.report import figures, sealed, tabulated

    asked = studies.read(study)
    drawn = {"bars": figures.bars(tabulated.read(tables).leaderboard, asked)}
    if curves:
        runs = {lineage.of(path).name: figures.points(CURVE.read(path)) for path in curves}
        drawn["curves"] = figures.curves(runs, asked)
    with sealed.sealing(out, [f"{name}.svg" for name in drawn], made):
        for name, figure in drawn.items():
            figures.save(figure, out / name)


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

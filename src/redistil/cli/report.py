"""Commands of the stage `report`: tables, figures and the page of a study."""

from collections.abc import Callable
from itertools import chain, starmap
from pathlib import Path
from typing import Any

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import How, In, Json, Out, Source, making, setting, warn, write_settings
from redistil.storage import digests, lineage
from redistil.storage.tables import (
    CONTRASTS,
    COUNTS,
    CURVE,
    DEPTHS,
    MEASURES,
    PAIRS,
    PASSAGES,
    QRELS,
    QUERIES,
    RUN,
    TEACHER_SCORES,
    VALIDATION,
)
from redistil.study.protocol import Page, Publishing, Statistics


def several(flag: str, type: Any, help: str, **more: Any) -> Callable[..., Any]:
    """Return an option for files that may be given several times, or not at all."""
    return setting(flag, type, help, multiple=True, required=False, **more)


def beside(flag: str, metavar: str, help: str) -> Callable[..., Any]:
    """Return an option for a name and a path that has a cost file beside it: told, not recorded."""
    kind = (str, click.Path(path_type=Path))
    return click.option(flag, cls=How, type=kind, metavar=metavar, multiple=True, help=help)


timed = click.option(
    "--latency",
    cls=How,
    type=click.Path(path_type=Path),
    multiple=True,
    help="What `time` wrote of a student; once each. Told, not recorded.",
)


@click.command()
@click.argument("out", type=Out())
@setting("--settings", Json(), "The merged configuration, as JSON.")
def resolve(out: Path, settings: dict[str, Any]) -> None:
    """Write the resolved study, catalogues and grid, as YAML."""
    write_settings(settings, out)


@click.command()
@click.argument("study", type=Source())
@click.argument("out", type=Out())
@setting("--measures", In(MEASURES), "Measures of a system; once per system.", multiple=True)
@several("--models", Source(), "Record (made.json) of a model; once per model.")
@several("--backbones", Source(), "Record (made.json) of a backbone built here; once each.")
@several("--gates", Source(), "What `gate` wrote of a teacher; once each.")
@beside(
    "--reranked", "SYSTEM FOLDER", "A system that re-ranks and the folder of its runs; once each."
)
@beside("--taught", "TEACHER SCORES", "A teacher of a loss and the file of its scores; once each.")
@beside(
    "--teaching", "TEACHER MODEL", "The same with the record of each model behind it; once each."
)
@several(
    "--test-set",
    (In(QRELS), In(COUNTS)),
    "The judgements of a test set, and what was left out of it; once each.",
    metavar="QRELS COUNTS",
)
@setting("--published", Source(), "Published values, as CSV.")
@setting("--names", Source(), "How their names map to ours, as YAML.")
@settings_from(Statistics, "alpha", "margin", "reproduced_within", "resamples", "seed")
@making
def tabulate(
    study: Path,
    out: Path,
    measures: tuple[Path, ...],
    models: tuple[Path, ...],
    backbones: tuple[Path, ...],
    gates: tuple[Path, ...],
    reranked: tuple[tuple[str, Path], ...],
    test_set: tuple[tuple[Path, Path], ...],
    taught: tuple[tuple[str, Path], ...],
    teaching: tuple[tuple[str, Path], ...],
    published: Path,
    names: Path,
    alpha: float,
    margin: float,
    reproduced_within: float,
    resamples: int,
    seed: int,
    made: lineage.Made,
) -> None:
    """Make the leaderboard, its tests and the other tables.

    OUT is the folder of the tables.

    Refuses a number that is not the one the study asks for. Writes the tables leaderboard, losses,
    versus, tests, cells, published, costs, machines and lines (csv). Writes metrics.json,
    tables.json and made.json. The folder paste has tables to paste (Markdown, LaTeX).
    """
    from redistil.stages.report.numbers import (
        claims,
        cost_sheet,
        costs,
        counts,
        leaderboard,
        provenance,
        sheets,
        tabulated,
    )
    from redistil.stages.report.numbers import gates as gates_of
    from redistil.stages.report.numbers import machines as machines_of
    from redistil.stages.report.numbers import models as trained
    from redistil.stages.report.numbers import published as elsewhere
    from redistil.stages.report.numbers.rows import Source as From
    from redistil.study import artefacts as studies

    planned = studies.read(study)
    records = {path: lineage.of(path) for path in measures}
    behind = list(map(lineage.of, chain(models, backbones, gates)))
    provenance.check(planned, list(records.values()), behind)
    passed_or_not = gates_of.read(gates)
    warn(gates_of.failures(planned, passed_or_not))
    measured, sources = {}, {}
    for path, record in records.items():
        measured[record.name] = path
        sources[record.name] = From(str(path), record.fingerprint)
    values = leaderboard.read(planned, measured)
    how = leaderboard.Settings(alpha, resamples, seed, margin)
    tables = leaderboard.tabulate(planned, values, how)
    lines = leaderboard.entries(studies.systems(planned))
    theirs = elsewhere.read(published, names)
    beside = elsewhere.beside(theirs, planned, lines, values, reproduced_within, leaderboard.LEVEL)
    teachers = costs.of_teachers(taught, teaching)
    spent = costs.rows(planned, models, reranked, teachers)
    trainings = [*models, *backbones, *(path for _, path in teaching)]
    files = costs.files(planned, trainings, reranked, taught)
    works = machines_of.kinds(files)
    warn(machines_of.warning(works))
    parts = (tables.leaderboard, tables.losses, tables.versus, beside, tables.tests)
    printed = sheets.sheets(planned, *parts)
    if planned.claims:
        printed["claims"] = claims.sheet(planned, tables.leaderboard, tables.tests)
    if spent:
        printed["costs"] = cost_sheet.sheet(planned, tables.leaderboard, spent)
    tabulated.write(
        tables,
        sources,
        out,
        made,
        published=beside,
        sizes=trained.sizes(planned, models),
        sheets=printed,
        gates=passed_or_not,
        spent=spent,
        taught=costs.of_all_teachers(planned, taught, teaching),
        works=works,
        waits=elsewhere.waits(theirs, planned),
        test_sets=counts.of_sets(planned, list(starmap(counts.SetFiles, test_set))),
    )
    click.echo(f"leaderboard: {out / 'leaderboard.csv'}", err=True)


@click.command()
@click.argument("study", type=Source())
@click.argument("tables", type=Source())
@click.argument("out", type=Out())
@several("--curves", In(CURVE), "Training curve of a model; once each.")
@several("--measures", In(MEASURES), "Measures of a system; once each.")
@several("--depths", In(DEPTHS), "What `sweep` made; once per student.")
@several(
    "--teacher",
    (str, In(TEACHER_SCORES), str, Source()),
    "A teacher, its scores, and the negatives it scored with their file; once each.",
    metavar="TEACHER SCORES NEGATIVES FILE",
)
@several("--validations", In(VALIDATION), "Validations of a model; once each.")
@timed
@making
def plot(
    study: Path,
    tables: Path,
    out: Path,
    curves: tuple[Path, ...],
    measures: tuple[Path, ...],
    depths: tuple[Path, ...],
    teacher: tuple[tuple[str, Path, str, Path], ...],
    validations: tuple[Path, ...],
    latency: tuple[Path, ...],
    made: lineage.Made,
) -> None:
    """Draw the figures.

    They show the TABLES of a STUDY; OUT is their folder.

    Writes each figure as SVG and PNG, its caption as .rst, and made.json, which names those that
    show something: one whose data were not given only says so.
    """
    from redistil.machine.latency import read as read_latency
    from redistil.stages.report.figures.drawing import plotting
    from redistil.stages.report.figures.drawing.given import Given, Taught
    from redistil.stages.report.numbers import tabulated
    from redistil.study import artefacts as studies

    taught = tuple(starmap(Taught, teacher))
    latencies = tuple(map(read_latency, latency))
    contents = (studies.read(study), tabulated.read(tables))
    given = Given(*contents, curves, measures, depths, taught, validations, latencies)
    plotting.plot(given, out, made)


@click.command()
@click.argument("study", type=Source())
@click.argument("out", type=Out())
@setting("--measures", In(MEASURES), "Measures of a system; once per system.", multiple=True)
@settings_from(Statistics, "resamples", "seed")
@making
def compare(
    study: Path,
    out: Path,
    measures: tuple[Path, ...],
    resamples: int,
    seed: int,
    made: lineage.Made,
) -> None:
    """Test any two lines of the leaderboard.

    OUT is a table of pairs.
    """
    from redistil.stages.report.numbers import leaderboard, pairs
    from redistil.study import artefacts as studies

    planned = studies.read(study)
    values = leaderboard.read(planned, _named(measures))
    PAIRS.write(pairs.compare(planned, values, resamples, seed), out, made)


def _named(paths: tuple[Path, ...]) -> dict[str, Path]:
    return {lineage.of(path).name: path for path in paths}


@click.command()
@click.argument("study", type=Source())
@click.argument("query_texts", type=In(QUERIES), metavar="QUERIES")
@click.argument("passages", type=In(PASSAGES))
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@setting("--dataset", str, "The dataset that QUERIES, PASSAGES and QRELS are of.")
@setting("--measures", In(MEASURES), "Measures of a system; once per system.", multiple=True)
@setting("--runs", In(RUN), "Run of a system on that dataset; once each.", multiple=True)
@setting("--queries", click.IntRange(0), "How many queries to choose.")
@settings_from(Page, "depth", "characters")
@making
def contrast(
    study: Path,
    query_texts: Path,
    passages: Path,
    qrels: Path,
    out: Path,
    dataset: str,
    measures: tuple[Path, ...],
    runs: tuple[Path, ...],
    queries: int,
    depth: int,
    characters: int,
    made: lineage.Made,
) -> None:
    """Choose the queries on which systems differ most.

    Of a student's seeds, the values are the mean and the ranking is the first seed's.
    """
    from redistil.stages.report.numbers import contrasts, leaderboard
    from redistil.study import artefacts as studies

    planned = studies.read(study)
    values = leaderboard.read(planned, _named(measures), [dataset])
    shown = contrasts.shown(planned, runs, dataset)
    texts = contrasts.TextFiles(query_texts, passages, qrels)
    sizes = contrasts.Sizes(queries, depth, characters)
    CONTRASTS.write(contrasts.contrast(planned, dataset, values, shown, texts, sizes), out, made)


@click.command()
@click.argument("study", type=Source())
@click.argument("tables", type=Source())
@click.argument("figures", type=Source())
@click.argument("captions", type=Source())
@click.argument("departures", type=Source())
@click.argument("out", type=Out())
@several("--models", Source(), "Record (made.json) of a model; once per model.")
@click.option("--pairs", type=In(PAIRS), help="What `compare` wrote.")
@setting(
    "--contrasts", In(CONTRASTS), "What `contrast` wrote; once each.", multiple=True, required=False
)
@timed
@making
def page(
    study: Path,
    tables: Path,
    figures: Path,
    captions: Path,
    departures: Path,
    out: Path,
    models: tuple[Path, ...],
    pairs: Path | None,
    contrasts: tuple[Path, ...],
    latency: tuple[Path, ...],
    made: lineage.Made,
) -> None:
    """Write the page of a study: one HTML file.

    TABLES and FIGURES are the folders that `tabulate` and `plot` wrote; CAPTIONS holds a text
    NAME.rst for tables; DEPARTURES is Markdown.
    """
    from redistil.machine.latency import read as read_latency
    from redistil.stages.report.numbers import latencies, tabulated
    from redistil.stages.report.page import illustrations, payload
    from redistil.stages.report.page import page as pages
    from redistil.stages.report.page.places import Places
    from redistil.storage.pages import comment as recorded
    from redistil.storage.tables import aside
    from redistil.study import artefacts as studies

    planned, words = studies.read(study), pages.captions(captions)
    numbers = tabulated.read(tables)
    places = {"study": study, "tables": tables, "figures": figures, "pairs": pairs}
    text = pages.render(
        planned,
        numbers,
        illustrations.illustrations(figures),
        words,
        departures.read_text(encoding="utf-8"),
        payload.comparison(planned, pairs, contrasts),
        Places.around(out, models, **places),
        latencies.sheet(list(map(read_latency, latency)), numbers.more.get("waits", [])),
    )
    with aside(out) as partial:
        digests.put_text(f"{text}\n{recorded(made)}", partial, comment=("<!-- ", " -->"))
    click.echo(f"page: {out} ({len(text.encode()) / 1e6:.1f} MB)", err=True)


@click.command()
@click.argument("study", type=Source())
@click.argument("tables", type=Source())
@click.argument("out", type=Out())
@setting("--models", Source(), "Record (made.json) of a model; once per model.", multiple=True)
@settings_from(Publishing, "licence")
@making
def publish(
    study: Path,
    tables: Path,
    out: Path,
    models: tuple[Path, ...],
    licence: str,
    made: lineage.Made,
) -> None:
    """Prepare models for a hub; upload nothing.

    A folder holds weights, tokenizer, configuration, recipe, provenance and a model card with the
    results in TABLES. Of a student's seeds the best on its validation is published; a student
    without validation is published with every seed, since a test set must not choose.
    """
    from redistil.stages.report.cards import publishing
    from redistil.stages.report.numbers import tabulated
    from redistil.study import artefacts as studies

    folders = publishing.publish(
        studies.read(study), tabulated.read(tables), models, licence, out, made
    )
    click.echo(f"models to publish: {len(folders)} folders in {out}", err=True)

"""Commands of the stage `measures`: what each run is worth, query by query."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from redistil.cli.options import In, InOrTrec, Out, making, setting, warn
from redistil.errors import BadSettings
from redistil.storage.lineage import Made
from redistil.storage.tables import DEPTHS, MEASURES, QRELS, RUN
from redistil.study.measures import grades


def _grades(context: click.Context, option: click.Parameter, words: Sequence[str]) -> Any:
    return grades(words)


relevant_from = setting(
    "--relevant-from",
    str,
    "Least grade that counts as relevant: 2, or dl19=2 for one dataset alone; repeatable.",
    multiple=True,
    callback=_grades,
)


@click.command()
@click.argument("run", type=InOrTrec(RUN), required=False)
@click.argument("qrels", type=InOrTrec(QRELS), required=False)
@setting(
    "--on",
    (str, InOrTrec(RUN), InOrTrec(QRELS)),
    "In place of RUN and QRELS: a dataset, the run to measure on it, and its qrels; repeatable.",
    multiple=True,
    required=False,
    metavar="DATASET RUN QRELS",
)
@click.option(
    "--measure",
    "measures",
    multiple=True,
    required=True,
    help="A measure: nDCG@10, RR@10, AP, or lotte=Success@5 for one dataset alone; repeatable.",
)
@relevant_from
@click.option("--out", type=Out(), help="Where the value of every query is written, as a table.")
@making
def evaluate(
    run: Path | None,
    qrels: Path | None,
    on: tuple[tuple[str, Path, Path], ...],
    measures: tuple[str, ...],
    relevant_from: dict[str, int],
    out: Path | None,
    made: Made,
) -> None:
    """Measure runs against qrels, query by query.

    RUN and QRELS are ours (.parquet) or TREC files of any system. The mean of each measure is
    printed; with --out, on standard error. Every judged query counts: one without a result is 0.
    Binary measures (RR, AP, R, P, Success) take a passage as relevant from the grade
    --relevant-from; nDCG keeps the grades. Ties are broken as trec_eval does.
    """
    import pyarrow as pa

    from redistil.stages import measures as stage
    from redistil.storage import exchange

    files = _files(run, qrels, on)
    wanted = stage.by_dataset(list(files), measures)
    levels = stage.thresholds(list(files), relevant_from)
    tables = []
    for dataset, (its_run, its_qrels) in files.items():
        inputs = exchange.run(its_run), exchange.qrels(its_qrels)
        evaluation = stage.evaluate(dataset, *inputs, wanted[dataset], levels[dataset])
        for line in evaluation.lines(dataset):
            click.echo(line, err=out is not None)
        warn(_named(dataset, evaluation.doubts))
        tables.append(evaluation.rows)
    if out is not None:
        MEASURES.write(pa.concat_tables(tables), out, _stating(made, levels))


def _named(dataset: str, sentences: Sequence[str]) -> list[str]:
    """Return sentences behind the dataset that they are about, where it has a name."""
    return [f"{dataset}: {sentence}" if dataset else sentence for sentence in sentences]


def _files(
    run: Path | None, qrels: Path | None, on: tuple[tuple[str, Path, Path], ...]
) -> dict[str, tuple[Path, Path]]:
    """Return run and qrels of each dataset; those that are of no dataset at ""."""
    if on and run is None:
        return _by_dataset(on)
    if on or run is None or qrels is None:
        got = "both" if on else "neither" if run is None else "RUN alone"
        raise BadSettings(
            f"evaluate: wanted RUN QRELS, or --on DATASET RUN QRELS for each dataset, got {got}"
        )
    return {"": (run, qrels)}


def _by_dataset(on: tuple[tuple[str, Path, Path], ...]) -> dict[str, tuple[Path, Path]]:
    files = {}
    for dataset, run, qrels in on:
        if dataset in files:
            raise BadSettings(f"--on: {dataset} is named twice: name each dataset once")
        files[dataset] = (run, qrels)
    return files


def _stating(made: Made, levels: dict[str, int]) -> Made:
    """Return a record that states the grade of every dataset, as a study does."""
    return replace(made, settings={**made.settings, "relevant_from": levels})


@click.command()
@click.argument("out", type=Out())
@setting(
    "--on",
    (str, In(RUN), In(QRELS)),
    "A dataset, its candidates and its qrels; once per dataset.",
    multiple=True,
    metavar="DATASET CANDIDATES QRELS",
)
@setting(
    "--runs",
    (str, str, In(RUN)),
    "A re-ranked run, with its system and dataset; once per run.",
    multiple=True,
    metavar="SYSTEM DATASET RUN",
)
@setting("--measure", str, "The measure, such as nDCG@10.")
@click.option(
    "--depth",
    "depths",
    type=click.IntRange(0),
    multiple=True,
    required=True,
    help="How many candidates are re-ranked; repeatable.",
)
@relevant_from
@making
def sweep(
    out: Path,
    on: tuple[tuple[str, Path, Path], ...],
    runs: tuple[tuple[str, str, Path], ...],
    measure: str,
    depths: tuple[int, ...],
    relevant_from: dict[str, int],
    made: Made,
) -> None:
    """Measure runs at several re-ranking depths.

    The others keep their place behind them. A model scores each pair by itself, so the run at the
    full depth holds all that is needed.
    """
    from tqdm import tqdm

    from redistil.stages import measures as stage

    files = _by_dataset(on)
    levels = stage.thresholds(list(files), relevant_from)
    wanted, ticks = stage.parse(measure), stage.depths(depths)
    for _, dataset, _ in runs:
        if dataset not in files:
            raise BadSettings(f"--runs: no --on gives the candidates and qrels of {dataset!r}")
    rows = []
    with tqdm(total=len(runs), unit="run", mininterval=1) as bar:
        for dataset, (candidates, qrels) in files.items():
            tables = RUN.read(candidates), QRELS.read(qrels)
            for system, of, run in runs:
                if of != dataset:
                    continue
                means = stage.sweep(dataset, RUN.read(run), *tables, wanted, levels[dataset], ticks)
                for depth, value in means:
                    rows.append((system, dataset, depth, value))
                bar.update()
    if not rows:
        raise BadSettings(f"--depth {ticks}: every run has fewer candidates: ask for fewer")
    columns = dict(zip(DEPTHS.schema.names, zip(*rows, strict=True), strict=True))
    DEPTHS.write(DEPTHS.rows(columns), out, _stating(made, levels))

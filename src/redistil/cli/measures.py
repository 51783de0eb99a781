"""Commands of the stage `measures`: what each run is worth, query by query."""

from pathlib import Path
from typing import Any

import click

from redistil.cli.options import In, InOrTrec, Json, Out, making, setting
from redistil.errors import BadSettings
from redistil.storage import lineage
from redistil.storage.tables import DEPTHS, MEASURES, QRELS, RUN


@click.command()
@click.argument("out", type=Out())
@setting(
    "--on",
    (str, InOrTrec(RUN), InOrTrec(QRELS)),
    "A data set, the run to measure on it, and its qrels; once per data set.",
    multiple=True,
    metavar="DATASET RUN QRELS",
)
@setting("--measures", Json(list[str]), 'Measures as ir_measures writes them: ["nDCG@10", "AP"].')
@setting(
    "--relevant-from", Json(dict[str, int]), 'Least grade that counts as relevant: {"dl19": 2}.'
)
@setting(
    "--more",
    Json(dict[str, list[str]]),
    'Measures of one data set alone: {"lotte": ["Success@5"]}.',
    required=False,
)
@making
def evaluate(
    out: Path,
    on: tuple[tuple[str, Path, Path], ...],
    measures: Any,
    relevant_from: Any,
    more: Any,
    made: lineage.Made,
) -> None:
    """Measure runs against qrels, query by query.

    RUN and QRELS are ours (.parquet) or TREC files of any system. Every judged query counts: one
    without a result is 0, and is counted on standard error. Binary measures (RR, AP, R, P,
    Success) take a passage as relevant from the grade --relevant-from; nDCG keeps the grades. Ties
    are broken as trec_eval does.
    """
    import pyarrow as pa

    from redistil.stages import measures as stage
    from redistil.storage import exchange

    datasets = [dataset for dataset, _, _ in on]
    if len(set(datasets)) != len(datasets):
        raise BadSettings(f"--on: a data set is named twice in {', '.join(datasets)}")
    wanted = stage.by_dataset(datasets, measures, more)
    levels = stage.thresholds(datasets, relevant_from)
    tables = []
    for dataset, run, qrels in on:
        found = stage.evaluate(
            dataset, exchange.run(run), exchange.qrels(qrels), wanted[dataset], levels[dataset]
        )
        click.echo(found.summary(dataset), err=True)
        tables.append(found.rows)
    MEASURES.write(pa.concat_tables(tables), out, made)


@click.command()
@click.argument("out", type=Out())
@setting(
    "--on",
    (str, In(RUN), In(QRELS)),
    "A data set, its candidates and its qrels; once per data set.",
    multiple=True,
    metavar="DATASET CANDIDATES QRELS",
)
@setting(
    "--runs",
    (str, str, In(RUN)),
    "A re-ranked run, with its system and data set; once per run.",
    multiple=True,
    metavar="SYSTEM DATASET RUN",
)
@setting("--measure", str, "The measure, as ir_measures writes it: nDCG@10.")
@setting("--depths", Json(list[int]), "How many candidates are re-ranked: [0, 5, 10].")
@setting(
    "--relevant-from", Json(dict[str, int]), 'Least grade that counts as relevant: {"dl19": 2}.'
)
@making
def sweep(
    out: Path,
    on: tuple[tuple[str, Path, Path], ...],
    runs: tuple[tuple[str, str, Path], ...],
    measure: str,
    depths: Any,
    relevant_from: Any,
    made: lineage.Made,
) -> None:
    """Measure runs at several re-ranking depths.

    The others keep their place behind them. A model scores each pair by itself, so the run at the
    full depth holds all that is needed.
    """
    from tqdm import tqdm

    from redistil.stages import measures as stage

    of_dataset = {dataset: (candidates, qrels) for dataset, candidates, qrels in on}
    levels = stage.thresholds(list(of_dataset), relevant_from)
    wanted, ticks = stage.parse(measure), stage.depths(depths)
    for _, dataset, _ in runs:
        if dataset not in of_dataset:
            raise BadSettings(f"--runs: no --on gives the candidates and qrels of {dataset!r}")
    rows = []
    with tqdm(total=len(runs), unit="run", mininterval=1) as bar:
        for dataset, (candidates, qrels) in of_dataset.items():
            tables = RUN.read(candidates), QRELS.read(qrels)
            for system, _, run in (one for one in runs if one[1] == dataset):
                found = stage.sweep(dataset, RUN.read(run), *tables, wanted, levels[dataset], ticks)
                rows += [(system, dataset, depth, value) for depth, value in found]
                bar.update()
    if not rows:
        raise BadSettings(f"--depths {depths}: every run has fewer candidates: ask for fewer")
    columns = dict(zip(DEPTHS.schema.names, zip(*rows, strict=True), strict=True))
    DEPTHS.write(DEPTHS.rows(columns), out, made)

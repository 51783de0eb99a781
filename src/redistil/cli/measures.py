"""Commands of the stage `measures`: what each run is worth, query by query."""

from pathlib import Path
from typing import Any

import click

from redistil import lineage
from redistil.cli.options import In, Json, Out, making, setting
from redistil.errors import BadSettings
from redistil.tables import MEASURES, QRELS, RUN


@click.command()
@click.argument("out", type=Out())
@setting(
    "--on",
    (str, In(RUN), In(QRELS)),
    "A data set, the run to measure on it, and its qrels; once per data set.",
    multiple=True,
    metavar="DATASET RUN QRELS",
)
@setting("--measures", Json(), 'Measures as ir_measures writes them: ["nDCG@10", "AP"].')
@setting("--relevant-from", Json(), 'Least grade that counts as relevant: {"dl19": 2}.')
@making("measures")
def evaluate(
    out: Path,
    on: tuple[tuple[str, Path, Path], ...],
    measures: Any,
    relevant_from: Any,
    made: lineage.Made,
) -> None:
    """Measure the runs of one model on its data sets: OUT holds a value per query and measure.

    Every judged query counts: one without a result is 0, and is counted aloud. Binary measures
    (RR, AP, R, P, Success) take a passage as relevant from the grade --relevant-from; nDCG keeps
    the grades. Ties are broken as trec_eval does.
    """
    import pyarrow as pa

    from redistil import measures as stage

    wanted = stage.distinct(measures)
    datasets = [dataset for dataset, _, _ in on]
    if len(set(datasets)) != len(datasets):
        raise BadSettings(f"--on: a data set is named twice in {', '.join(datasets)}")
    if not isinstance(relevant_from, dict):
        raise BadSettings(f"relevant_from: wanted grades by data set, got {relevant_from!r}")
    levels = {dataset: stage.threshold(dataset, relevant_from) for dataset in datasets}
    tables = []
    for dataset, run, qrels in on:
        found = stage.evaluate(dataset, RUN.read(run), QRELS.read(qrels), wanted, levels[dataset])
        _say(dataset, found)
        tables.append(found.rows)
    MEASURES.write(pa.concat_tables(tables), out, made)


def _say(dataset: str, found: Any) -> None:
    click.echo(
        f"{dataset}: {found.queries} queries, {found.unanswered} without a result (scored zero)"
        + (f"; {found.unjudged} of the run without judgements left out" if found.unjudged else ""),
        err=True,
    )

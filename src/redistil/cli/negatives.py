"""Commands of the stage negatives."""

from pathlib import Path
from typing import Any

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import In, Out, making, test_queries, warn
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, RUN
from redistil.study.candidates import MinedNegatives
from redistil.study.corpora import Dataset


@click.command()
@click.argument("candidates", type=In(RUN))
@click.argument("queries", type=In(QUERIES))
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@settings_from(
    MinedNegatives, "kind", "positives", "depth", "per_query", "seed", "at_most", "judged"
)
@settings_from(Dataset, "relevant_from")
@click.option(
    "--passages",
    type=In(PASSAGES),
    help="The corpus: a passage with the text of a relevant one is no negative.",
)
@click.option(
    "--test-qrels",
    type=In(QRELS),
    multiple=True,
    help="Judgements of a test set over the same corpus: shared answers are told; repeatable.",
)
@test_queries
@making
def mine(
    candidates: Path,
    queries: Path,
    qrels: Path,
    out: Path,
    passages: Path | None,
    test_qrels: tuple[Path, ...],
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    made: Made,
    **drawing: Any,
) -> None:
    """Draw hard negatives from the candidates."""
    from redistil.stages import negatives
    from redistil.storage import overlaps

    shared = overlaps.overlapping(queries, test, test_elsewhere)
    warn(overlaps.said(shared, QUERIES.count(queries)))
    warn(overlaps.shared_passages(qrels, test_qrels, drawing["relevant_from"]))
    how = negatives.Drawing(**drawing)
    counts = negatives.mine(candidates, qrels, out, made, how, shared.keys(), passages)
    (used, *left_out) = (f"{count} {what}" for what, count in counts.items() if count)
    click.echo(used, err=True)
    warn(left_out)

"""Commands of the stage negatives."""

from pathlib import Path

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
@settings_from(MinedNegatives, "kind", "positives", "depth", "per_query", "seed", "at_most")
@settings_from(Dataset, "relevant_from")
@click.option(
    "--passages",
    type=In(PASSAGES),
    help="The corpus: a passage with the text of a relevant one is no negative.",
)
@test_queries
@making
def mine(
    candidates: Path,
    queries: Path,
    qrels: Path,
    out: Path,
    kind: str,
    positives: str,
    relevant_from: int,
    depth: int,
    per_query: int,
    seed: int,
    at_most: int | None,
    passages: Path | None,
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    made: Made,
) -> None:
    """Draw hard negatives from the candidates."""
    from redistil.stages import negatives
    from redistil.storage import overlaps

    shared = overlaps.overlapping(queries, test, test_elsewhere)
    warn(overlaps.said(shared, QUERIES.count(queries)))
    counts = negatives.mine(
        candidates,
        qrels,
        out,
        made,
        kind=kind,
        positives=positives,
        relevant_from=relevant_from,
        depth=depth,
        per_query=per_query,
        seed=seed,
        at_most=at_most,
        leave_out=shared.keys(),
        passages=passages,
    )
    (used, *left_out) = (f"{count} {what}" for what, count in counts.items() if count)
    click.echo(used, err=True)
    warn(left_out)

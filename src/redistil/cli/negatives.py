"""Commands of the stage negatives."""

from pathlib import Path

import click

from redistil.cli.options import In, Out, making, setting
from redistil.lineage import Made
from redistil.tables import QRELS, RUN


@click.command()
@click.argument("candidates", type=In(RUN))
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@setting("--kind", click.Choice(["triples", "lists"]), "What to write.")
@setting("--depth", click.IntRange(1), "Last rank a negative may have.")
@setting("--per-query", click.IntRange(1), "Negatives drawn for each query.")
@setting("--seed", int, "Of the streams that draw them.")
@setting("--at-most", click.IntRange(1), "Queries used.", required=False)
@making("negatives")
def mine(
    candidates: Path,
    qrels: Path,
    out: Path,
    kind: str,
    depth: int,
    per_query: int,
    seed: int,
    at_most: int | None,
    made: Made,
) -> None:
    """Draw hard negatives for each training query from its candidates."""
    from redistil import negatives

    counts = negatives.mine(
        candidates,
        qrels,
        out,
        made,
        kind=kind,
        depth=depth,
        per_query=per_query,
        seed=seed,
        at_most=at_most,
    )
    for what, count in counts.items():
        click.echo(f"{count} {what}", err=True)

"""Commands of the stage runs."""

from pathlib import Path

import click

from redistil.cli.options import Folder, In, Out, Source, device, making, setting, threads
from redistil.machine.precision import PRECISIONS
from redistil.storage.lineage import Made
from redistil.storage.tables import RUN

depth = setting("--depth", click.IntRange(1), "Candidates of each query that are re-ranked.")


@click.command()
@click.argument("candidates", type=In(RUN))
@click.argument("out", type=Out())
@click.option(
    "--member",
    type=(Folder(), Source(), Source()),
    metavar="MODEL QUERIES PASSAGES",
    multiple=True,
    required=True,
    help="A model's folder with its token files; several make an ensemble.",
)
@depth
@setting("--precision", click.Choice(PRECISIONS), "Precision of the forward pass.")
@threads
@device
@making
def rerank(
    candidates: Path,
    out: Path,
    member: tuple[tuple[Path, Path, Path], ...],
    depth: int,
    precision: str,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Re-rank candidates by a model, or the mean of several."""
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.machine.processes import Processes
    from redistil.stages import runs

    members = [(model, queries, passages) for model, queries, passages in member]
    with Processes(device) as processes:
        runs.rerank(
            candidates, members, out, made, depth=depth, precision=precision, processes=processes
        )


@click.command()
@click.argument("candidates", type=In(RUN))
@click.argument("out", type=Out())
@depth
@setting("--seed", int, "Seed of the random order.")
@making
def shuffle(candidates: Path, out: Path, depth: int, seed: int, made: Made) -> None:
    """Put candidates in random order.

    This is the random re-ranker: the floor of every table.
    """
    from redistil.stages import runs

    runs.shuffle(candidates, out, made, depth=depth, seed=seed)

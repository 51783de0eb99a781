"""Commands of the stage teachers."""

from pathlib import Path

import click

from redistil.cli.options import In, Out, Source, device, making, setting, threads
from redistil.lineage import Made
from redistil.precision import PRECISIONS
from redistil.tables import TEACHER_SCORES

precision = setting("--precision", click.Choice(PRECISIONS), "Of the forward pass.")


@click.command()
@click.argument("model", type=Source())
@click.argument("queries", type=Source())
@click.argument("passages", type=Source())
@click.argument("out", type=Out())
@click.option(
    "--over", type=Source(), multiple=True, required=True, help="Triples or lists; repeatable."
)
@precision
@threads
@device
@making("teachers")
def score(
    model: Path,
    queries: Path,
    passages: Path,
    out: Path,
    over: tuple[Path, ...],
    precision: str,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Score every distinct pair of some triples or lists by a trained MODEL: raw logits.

    QUERIES and PASSAGES are token files under the model's tokenizer.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil import teachers
    from redistil.processes import Processes

    with Processes(device) as processes:
        teachers.score(model.parent, (queries, passages), over, out, made, precision, processes)


@click.command()
@click.argument("out", type=Out())
@click.argument("members", type=In(TEACHER_SCORES), nargs=-1, required=True)
@making("teachers")
def average(out: Path, members: tuple[Path, ...], made: Made) -> None:
    """Average the raw logits of MEMBERS, which must have scored the same pairs."""
    from redistil import teachers

    for line in teachers.average(members, out, made):
        click.echo(line, err=True)


@click.command()
@click.argument("source", type=Source())
@click.argument("scores", type=Out())
@click.argument("pairs", type=Out())
@setting("--format", click.Choice(["scored-triples", "trec"]), "Layout of SOURCE.")
@making("teachers")
def import_scores(source: Path, scores: Path, pairs: Path, format: str, made: Made) -> None:
    """Import a published teacher file: its SCORES, and the triples or lists (PAIRS) it scores."""
    from redistil import teachers

    teachers.import_scores(source, scores, pairs, made, format)

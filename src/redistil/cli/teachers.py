"""Commands of the stage teachers."""

from pathlib import Path

import click

from redistil.cli.options import (
    In,
    Out,
    Source,
    device,
    making,
    setting,
    test_queries,
    threads,
)
from redistil.lineage import Made
from redistil.precision import PRECISIONS
from redistil.tables import PASSAGES, QUERIES, TEACHER_SCORES

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
@click.argument("agreement", type=Out())
@click.argument("members", type=In(TEACHER_SCORES), nargs=-1, required=True)
@making("teachers")
def average(out: Path, agreement: Path, members: tuple[Path, ...], made: Made) -> None:
    """Average the raw logits of MEMBERS, which must have scored the same pairs.

    AGREEMENT, as JSON: rank correlation and share of inverted margins of each two of them.
    """
    from redistil.teachers import ensemble

    for line in ensemble.average(members, out, agreement, made):
        click.echo(line, err=True)


@click.command()
@click.argument("source", type=Source())
@click.argument("queries", type=In(QUERIES))
@click.argument("passages", type=In(PASSAGES))
@click.argument("scores", type=Out())
@click.argument("pairs", type=Out())
@setting(
    "--format",
    click.Choice(["scored-triples", "trec", "ranking", "id-lists", "margins"]),
    "Layout of SOURCE (docs/tables.md).",
)
@setting("--unknown", click.FloatRange(0, 1), "Share of rows that may name an unknown id.")
@setting("--tolerance", click.FloatRange(0), "Logits by which two scores of a pair may differ.")
@test_queries
@threads
@making("teachers")
def import_scores(
    source: Path,
    queries: Path,
    passages: Path,
    scores: Path,
    pairs: Path,
    format: str,
    unknown: float,
    tolerance: float,
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    threads: int,
    made: Made,
) -> None:
    """Import a published teacher file: its SCORES, and the triples or lists (PAIRS) it scores.

    QUERIES and PASSAGES are those of the collection that it was made for.
    """
    from redistil import overlaps
    from redistil.teachers import imported

    shared = overlaps.overlapping(queries, test, test_elsewhere)
    for line in overlaps.said(shared, QUERIES.count(queries)):
        click.echo(line, err=True)
    known = imported.Known.of(queries, passages, set(shared))
    sifted = imported.import_scores(
        source,
        known,
        scores,
        pairs,
        made,
        form=format,
        unknown=unknown,
        tolerance=tolerance,
        threads=threads,
    )
    for line in sifted.said():
        click.echo(line, err=True)

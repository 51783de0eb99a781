"""Commands of the stage `exports`: the same data in the formats of other tools."""

from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import In, Out, Source, making, setting
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, RUN, TEACHER_SCORES
from redistil.study.protocol import Export


@click.command("export-training")
@click.argument("negatives", type=Source())
@click.argument("queries", type=In(QUERIES))
@click.argument("passages", type=In(PASSAGES))
@click.argument("out", type=Out())
@click.option("--teacher", type=In(TEACHER_SCORES), help="Teacher scores of the NEGATIVES.")
@settings_from(Export, "library", per_example="passages")
@making
def export_training(
    negatives: Path,
    queries: Path,
    passages: Path,
    out: Path,
    teacher: Path | None,
    library: str,
    per_example: int | None,
    made: Made,
) -> None:
    """Export training data for another library.

    NEGATIVES are triples or lists; OUT is a folder.
    """
    from redistil.stages import exports

    files = (negatives, queries, passages)
    counts = exports.export_training(library, files, teacher, out, made, per_example)
    short = f"; {counts['left_out']} left out, shorter than {per_example}" if per_example else ""
    click.echo(f"{counts['examples']} examples{short}", err=True)


@click.command()
@click.argument("run", type=In(RUN))
@click.argument("out", type=Out())
@setting("--tag", str, "What the last column calls the system.")
def export_run(run: Path, out: Path, tag: str) -> None:
    """Export a run as a TREC file.

    A line of OUT is `query_id Q0 doc_id rank score tag`.
    """
    from redistil.storage import exchange

    exchange.write_run(RUN.read(run), out, tag)


@click.command()
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
def export_qrels(qrels: Path, out: Path) -> None:
    """Export qrels as a TREC file.

    A line of OUT is `query_id 0 doc_id relevance`.
    """
    from redistil.storage import exchange

    exchange.write_qrels(QRELS.read(qrels), out)

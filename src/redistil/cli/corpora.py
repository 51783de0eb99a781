"""Commands of the stage corpora."""

from pathlib import Path
from typing import Any

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import In, Json, Out, making, setting, test_queries, warn
from redistil.errors import BadSettings
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QUERIES
from redistil.study.candidates import DocpairNegatives

_corpus = setting(
    "--corpus",
    Json(),
    'The corpus, as JSON: {"pydocs": [...]}, {"irds": "..."} or {"folder": "..."}.',
)


@click.command("export-passages")
@click.argument("out", type=Out())
@_corpus
@making
def export_passages(out: Path, corpus: dict[str, Any], made: Made) -> None:
    """Export the passages of a corpus."""
    from redistil.stages import corpora

    corpora.export_passages(corpus, out, made)


@click.command("export-queries")
@click.argument("queries_out", type=Out())
@click.argument("qrels_out", type=Out())
@_corpus
@setting(
    "--dataset",
    Json(),
    'The dataset, as JSON: {"part": ...}, {"irds": "..."} or {"split": "..."}.',
)
@click.option(
    "--passages",
    type=In(PASSAGES),
    help="Those of the corpus: judgements of others are counted, and too many are refused.",
)
@click.option(
    "--without",
    type=In(QUERIES),
    multiple=True,
    help="Queries of a dataset that `without` of the entry names: left out; repeatable.",
)
@click.option("--counts", type=Out(), help="Where the counts of what is left out are written.")
@making
def export_queries(
    queries_out: Path,
    qrels_out: Path,
    corpus: dict[str, Any],
    dataset: dict[str, Any],
    passages: Path | None,
    without: tuple[Path, ...],
    counts: Path | None,
    made: Made,
) -> None:
    """Export the judged queries of a dataset, and the qrels."""
    from redistil.stages import corpora

    if len(without) != len(dataset.get("without", ())):
        named = ", ".join(dataset.get("without", ())) or "none"
        raise BadSettings(
            f"--without: {len(without)} files for the datasets that it is without ({named}): "
            "give the queries of each"
        )
    outputs = queries_out, qrels_out
    corpora.export_queries(corpus, dataset, passages, *outputs, made, counts, without)


@click.command("export-docpairs")
@click.argument("queries", type=In(QUERIES))
@click.argument("out", type=Out())
@settings_from(DocpairNegatives, "at_most", "seed", irds="docpairs")
@test_queries
@making
def export_docpairs(
    queries: Path,
    out: Path,
    irds: str,
    at_most: int,
    seed: int,
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    made: Made,
) -> None:
    """Export a random sample of a collection's own triples.

    QUERIES are the training queries; those that a test set has too are left out.
    """
    from redistil.stages.corpora import docpairs
    from redistil.storage import overlaps

    shared = overlaps.overlapping(queries, test, test_elsewhere)
    warn(overlaps.said(shared, QUERIES.count(queries)))
    docpairs.export_docpairs(irds, at_most, seed, out, made, shared.keys())

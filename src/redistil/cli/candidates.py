"""Commands of the stage candidates."""

from pathlib import Path

import click

from redistil.cli.options import In, Out, Source, device, making, setting, threads
from redistil.lineage import Made
from redistil.tables import PASSAGES, QUERIES, VECTORS

depth = setting("--depth", click.IntRange(1), "Passages kept for each query.")
drop_identical = setting(
    "--drop-identical", click.BOOL, "Drop passages whose doc_id is the query_id, as BEIR does."
)


@click.command()
@click.argument("checkpoint", type=Source())
@click.argument("tokens", type=Source())
@click.argument("out", type=Out())
@setting("--passage-length", click.IntRange(4), "Tokens of a passage, special ones included.")
@threads
@device
@making("candidates")
def encode(
    checkpoint: Path,
    tokens: Path,
    out: Path,
    passage_length: int,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Encode the passages of a token file as sparse SPLADE vectors."""
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.candidates import splade
    from redistil.processes import device_of

    splade.encode(
        checkpoint.parent,
        tokens,
        out,
        made,
        passage_length=passage_length,
        device=device_of(device),
    )


@click.command()
@click.argument("checkpoint", type=Source())
@click.argument("tokens", type=Source())
@click.argument("vectors", type=In(VECTORS))
@click.argument("out", type=Out())
@setting("--query-length", click.IntRange(4), "Tokens of a query, special ones included.")
@depth
@drop_identical
@threads
@making("candidates")
def retrieve(
    checkpoint: Path,
    tokens: Path,
    vectors: Path,
    out: Path,
    query_length: int,
    depth: int,
    drop_identical: bool,
    threads: int,
    made: Made,
) -> None:
    """Retrieve the best passages of each query by exact search over SPLADE vectors."""
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.candidates import splade

    splade.retrieve(
        checkpoint.parent,
        tokens,
        vectors,
        out,
        made,
        query_length=query_length,
        depth=depth,
        drop_identical=drop_identical,
        threads=threads,
    )


@click.command()
@click.argument("passages", type=In(PASSAGES))
@click.argument("queries", type=In(QUERIES))
@click.argument("out", type=Out())
@setting("--k1", click.FloatRange(0), "Term frequency saturation.")
@setting("--b", click.FloatRange(0, 1), "Length normalisation.")
@setting("--stemmer", str, "A Snowball stemmer.")
@depth
@drop_identical
@making("candidates")
def retrieve_bm25(
    passages: Path,
    queries: Path,
    out: Path,
    k1: float,
    b: float,
    stemmer: str,
    depth: int,
    drop_identical: bool,
    made: Made,
) -> None:
    """Retrieve the best passages of each query under BM25."""
    from redistil.candidates import bm25

    bm25.retrieve_bm25(
        passages,
        queries,
        out,
        made,
        k1=k1,
        b=b,
        stemmer=stemmer,
        depth=depth,
        drop_identical=drop_identical,
    )


@click.command()
@click.argument("source", type=Source())
@click.argument("out", type=Out())
@drop_identical
@making("candidates")
def import_run(source: Path, out: Path, drop_identical: bool, made: Made) -> None:
    """Turn a TREC run file into a table of candidates."""
    from redistil.candidates import imported

    imported.import_run(source, out, made, drop_identical=drop_identical)

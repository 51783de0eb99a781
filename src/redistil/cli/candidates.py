"""Commands of the stage candidates."""

from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import Folder, In, Out, Source, device, making, setting, threads
from redistil.errors import BadSettings
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES, VECTORS
from redistil.study.candidates import Bm25Stage, SpladeStage
from redistil.study.corpora import Dataset
from redistil.study.study import Study


@click.command()
@click.argument("checkpoint", type=Folder())
@click.argument("tokens", type=Source())
@click.argument("out", type=Out())
@settings_from(SpladeStage, "passage_length")
@setting("--shard", click.IntRange(0), "Which stretch of the passages to encode, from 0.")
@setting("--shards", click.IntRange(1), "Into how many stretches the passages are divided.")
@threads
@device
@making
def encode(
    checkpoint: Path,
    tokens: Path,
    out: Path,
    passage_length: int,
    shard: int,
    shards: int,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Encode passages as sparse SPLADE vectors.

    The passages are those of a token file, or a shard of them.
    """
    from redistil.cli.runtime import quiet

    if shard >= shards:
        raise BadSettings(f"--shard {shard}: wanted one of 0 to {shards - 1} (--shards {shards})")

    quiet(threads)
    from redistil.machine.processes import device_of
    from redistil.stages.candidates import splade

    splade.encode(
        checkpoint,
        tokens,
        out,
        made,
        passage_length=passage_length,
        shard=shard,
        shards=shards,
        device=device_of(device),
    )


@click.command()
@click.argument("checkpoint", type=Folder())
@click.argument("tokens", type=Source())
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@click.argument("vectors", type=In(VECTORS), nargs=-1, required=True)
@settings_from(SpladeStage, "query_length", "depth")
@settings_from(Dataset, "drop_identical")
@settings_from(Study, "least_success")
@threads
@making
def retrieve(
    checkpoint: Path,
    tokens: Path,
    qrels: Path,
    out: Path,
    vectors: tuple[Path, ...],
    query_length: int,
    depth: int,
    drop_identical: bool,
    least_success: float,
    threads: int,
    made: Made,
) -> None:
    """Retrieve candidates by exact SPLADE search.

    The search runs over all shards of VECTORS.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.stages.candidates import splade

    splade.retrieve(
        checkpoint,
        tokens,
        qrels,
        out,
        vectors,
        made,
        query_length=query_length,
        depth=depth,
        drop_identical=drop_identical,
        least_success=least_success,
        threads=threads,
    )


@click.command()
@click.argument("passages", type=In(PASSAGES))
@click.argument("queries", type=In(QUERIES))
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@settings_from(Bm25Stage, "k1", "b", "stemmer", "depth")
@settings_from(Dataset, "drop_identical")
@settings_from(Study, "least_success")
@making
def retrieve_bm25(
    passages: Path,
    queries: Path,
    qrels: Path,
    out: Path,
    k1: float,
    b: float,
    stemmer: str,
    depth: int,
    drop_identical: bool,
    least_success: float,
    made: Made,
) -> None:
    """Retrieve candidates with BM25."""
    from redistil.stages.candidates import bm25

    bm25.retrieve_bm25(
        passages,
        queries,
        qrels,
        out,
        made,
        k1=k1,
        b=b,
        stemmer=stemmer,
        depth=depth,
        drop_identical=drop_identical,
        least_success=least_success,
    )


@click.command()
@click.argument("source", type=Source())
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@settings_from(Dataset, "drop_identical")
@settings_from(Study, "least_success")
@making
def import_run(
    source: Path,
    qrels: Path,
    out: Path,
    drop_identical: bool,
    least_success: float,
    made: Made,
) -> None:
    """Import a published run as candidates.

    SOURCE is a TREC file or Parquet. QRELS is our Parquet table (`redistil export-queries`).
    """
    from redistil.stages.candidates import imported

    imported.import_run(
        source, qrels, out, made, drop_identical=drop_identical, least_success=least_success
    )

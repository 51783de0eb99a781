"""Commands of the stage retrieved."""

from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import Folder, Out, Source, device, making, setting, threads
from redistil.cli.scored import precision
from redistil.errors import BadSettings
from redistil.storage.lineage import Made
from redistil.study.corpora import Dataset
from redistil.study.protocol import Retrieval, States


@click.command()
@click.argument("model", type=Folder())
@click.argument("tokens", type=Source())
@click.argument("out", type=Out())
@settings_from(States, "numbers")
@precision
@setting("--shard", click.IntRange(0), "Which part of the passages to encode, from 0.")
@setting("--shards", click.IntRange(1), "Into how many parts the passages are divided.")
@threads
@device
@making
def embed(
    model: Path,
    tokens: Path,
    out: Path,
    numbers: str,
    precision: str,
    shard: int,
    shards: int,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Store what a model computes of passages alone.

    TOKENS are those of a corpus under the model's tokenizer. Of a bi-encoder a passage has one
    vector; of other architectures one row for each of its tokens.
    """
    from redistil.cli.runtime import quiet

    if shard >= shards:
        raise BadSettings(f"--shard {shard}: wanted one of 0 to {shards - 1} (--shards {shards})")

    quiet(threads)
    from redistil.machine.processes import device_of
    from redistil.stages.retrieved import embed as stage

    stage.embed(
        model,
        tokens,
        out,
        made,
        numbers=numbers,
        precision=precision,
        shard=shard,
        shards=shards,
        device=device_of(device),
    )


@click.command()
@click.argument("model", type=Folder())
@click.argument("tokens", type=Source())
@click.argument("out", type=Out())
@click.argument("vectors", type=Source(), nargs=-1, required=True)
@settings_from(Retrieval, "depth")
@settings_from(Dataset, "drop_identical")
@precision
@threads
@making
def search(
    model: Path,
    tokens: Path,
    out: Path,
    vectors: tuple[Path, ...],
    depth: int,
    drop_identical: bool,
    precision: str,
    threads: int,
    made: Made,
) -> None:
    """Retrieve passages by exact search of dense vectors.

    TOKENS are those of queries under the model's tokenizer. The search runs over all shards of
    VECTORS, which `embed` wrote with this model.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.stages.retrieved import search as stage

    stage.search(
        model,
        tokens,
        out,
        vectors,
        made,
        precision=precision,
        depth=depth,
        drop_identical=drop_identical,
        threads=threads,
    )

"""Commands of the stage backbones."""

from pathlib import Path
from typing import Any

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import In, Json, Out, making, setting, test_queries, threads, warn
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QRELS, QUERIES
from redistil.study.backbones import FAMILIES, Build, Words
from redistil.study.corpora import Dataset


@click.command()
@click.argument("out", type=Out())
@setting(
    "--source",
    Json(),
    '{"hub": ID, "revision": R} or {"folder": PATH}; optional "lower_case", and "form" of others.',
)
@making
def fetch(out: Path, source: dict[str, Any], made: Made) -> None:
    """Fetch a checkpoint with its tokenizer.

    It comes from the hub or a local folder; OUT is its folder here.
    """
    from redistil.stages import backbones

    backbones.fetch(source, out, made)


@click.command()
@click.argument("passages", type=In(PASSAGES))
@click.argument("queries", type=In(QUERIES))
@click.argument("qrels", type=In(QRELS))
@click.argument("out", type=Out())
@setting("--family", click.Choice(list(FAMILIES)), "Kind of encoder and tokenizer.")
@settings_from(Build, "vocabulary", "layers", "width", "heads")
@setting("--warmup", Json(), "Steps, queries, negatives, rates, lengths and seed of the warm-up.")
@settings_from(Dataset, "relevant_from")
@test_queries
@threads
@making
def build(
    passages: Path,
    queries: Path,
    qrels: Path,
    out: Path,
    family: str,
    vocabulary: int,
    layers: int,
    width: int,
    heads: int,
    warmup: dict[str, Any],
    relevant_from: int,
    test: tuple[Path, ...],
    test_elsewhere: tuple[Path, ...],
    threads: int,
    made: Made,
) -> None:
    """Build a tiny checkpoint and warm it up.

    It learns from a corpus and its training queries; OUT is its folder.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.stages import backbones
    from redistil.storage import overlaps

    shared = overlaps.overlapping(queries, test, test_elsewhere)
    warn(overlaps.said(shared, QUERIES.count(queries)))
    backbones.build(
        (passages, queries, qrels),
        out,
        made,
        family=family,
        vocabulary_size=vocabulary,
        shape={"layers": layers, "width": width, "heads": heads},
        warmup=warmup,
        relevant_from=relevant_from,
        leave_out=shared.keys(),
    )


@click.command()
@click.argument("out", type=Out())
@click.argument("passages", type=In(PASSAGES), nargs=-1, required=True)
@settings_from(Words, "width", "least", "vectors", "seed")
@making
def collect_words(
    out: Path,
    passages: tuple[Path, ...],
    width: int,
    least: int,
    vectors: str | None,
    seed: int,
    made: Made,
) -> None:
    """Collect the words of corpora, with vectors.

    PASSAGES are the corpora; OUT is the folder of a backbone for TK.
    """
    from redistil.stages.backbones import words

    words.collect(passages, out, made, width=width, least=least, vectors=vectors, seed=seed)

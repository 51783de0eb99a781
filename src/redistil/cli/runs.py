"""Commands of the stage runs."""

from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import In, Out, Source, making
from redistil.cli.scored import by_bm25, by_model
from redistil.storage.lineage import Made
from redistil.storage.tables import RUN
from redistil.study.protocol import Reranking
from redistil.study.study import Study
from redistil.study.teachers import AveragedTeacher

depth = settings_from(Reranking, "depth")


@click.command()
@click.argument("candidates", type=In(RUN))
@by_model
@depth
@click.option(
    "--states",
    type=Source(),
    multiple=True,
    help="States of the passages, as `embed` stored them: all shards, in order; repeatable.",
)
@making
def rerank(
    candidates: Path,
    model: Path,
    queries: Path,
    passages: Path,
    out: Path,
    depth: int,
    states: tuple[Path, ...],
    precision: str,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Re-rank candidates by a model.

    QUERIES and PASSAGES are token files under the model's tokenizer. With --states passages are
    not encoded again.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.machine.processes import Processes
    from redistil.stages import runs

    chosen = runs.Model(model, queries, passages, states)
    with Processes(device) as processes:
        runs.rerank(
            candidates, chosen, out, made, depth=depth, precision=precision, processes=processes
        )


@click.command()
@click.argument("candidates", type=In(RUN))
@by_bm25
@depth
@making
def rerank_bm25(
    candidates: Path,
    queries: Path,
    passages: Path,
    out: Path,
    depth: int,
    k1: float,
    b: float,
    stemmer: str,
    made: Made,
) -> None:
    """Re-rank candidates by BM25.

    PASSAGES are all those of the corpus: they say how frequent a word is.
    """
    from redistil.stages import runs

    runs.rerank_bm25(
        candidates, queries, passages, out, made, depth=depth, k1=k1, b=b, stemmer=stemmer
    )


@click.command()
@click.argument("out", type=Out())
@click.argument("members", type=In(RUN), nargs=-1, required=True)
@settings_from(AveragedTeacher, "standardise")
@making
def fuse(out: Path, members: tuple[Path, ...], standardise: str | None, made: Made) -> None:
    """Fuse runs into that of an ensemble, by mean score.

    MEMBERS must have re-ranked the same candidates.
    """
    from redistil.stages import runs

    runs.fuse(members, out, made, standardise)


@click.command()
@click.argument("candidates", type=In(RUN))
@click.argument("out", type=Out())
@depth
@settings_from(Study, seed="random_seed")
@making
def shuffle(candidates: Path, out: Path, depth: int, seed: int, made: Made) -> None:
    """Put candidates in random order.

    This is the random re-ranker: the floor of every table.
    """
    from redistil.stages import runs

    runs.shuffle(candidates, out, made, depth=depth, seed=seed)

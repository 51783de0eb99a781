"""Command of the stage latency."""

from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import Folder, Out, Source, device, making, threads
from redistil.cli.scored import precision
from redistil.storage.lineage import Made
from redistil.study.protocol import Latency


@click.command()
@click.argument("model", type=Folder())
@click.argument("query_tokens", type=Source(), metavar="QUERIES")
@click.argument("passage_tokens", type=Source(), metavar="PASSAGES")
@click.argument("out", type=Out())
@settings_from(Latency, "queries", "passages")
@precision
@threads
@device
@making
def time(
    model: Path,
    query_tokens: Path,
    passage_tokens: Path,
    out: Path,
    queries: int,
    passages: int,
    precision: str,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Time a student's re-ranking, query by query.

    QUERIES and PASSAGES are token files under the model's tokenizer. OUT is a JSON file; what a
    student can encode ahead of the query is stored before the clock starts.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.machine.processes import Processes
    from redistil.stages import latency

    with Processes(device) as processes:
        latency.time_student(
            model,
            query_tokens,
            passage_tokens,
            out,
            made=made,
            queries=queries,
            passages=passages,
            precision=precision,
            processes=processes,
        )

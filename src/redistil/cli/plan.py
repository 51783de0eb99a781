"""The question what a study asks of a machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from redistil.cli.commands import COMMANDS
from redistil.storage import settings
from redistil.storage.tables import PASSAGES, QUERIES
from redistil.study import overlays
from redistil.study import plan as planning
from redistil.study.corpora import IrdsCorpus, IrdsDataset
from redistil.study.plan import Counts, Machine, Work
from redistil.study.study import Study

GIGA = 1e9


@click.command()
@click.argument("study")
@click.option(
    "--on",
    multiple=True,
    metavar="NAME=RANKED,LEARNT",
    help="A GPU with the pairs that it re-ranks and learns from in a second; repeatable.",
)
def plan(study: str, on: tuple[str, ...]) -> None:
    """Tell the jobs, GPU hours and disk of a study before it runs.

    STUDY is the name of a file in studies/; run this in the project's folder.
    """
    machines = [planning.machine(words) for words in on]
    asked, left_out = overlays.planned(_config(study), {})
    counts = _counts(asked)
    for line in [*left_out, *_table(asked, counts, machines), *planning.ASSUMED]:
        click.echo(line)
    if missing := planning.unknown(asked, counts):
        click.echo(f"Unknown until they are made, and not counted: {', '.join(missing)}.")


def _config(study: str) -> dict[str, object]:
    config = settings.mapping(Path("params.yaml"))
    return config | {"study": study}


def _table(study: Study, counts: Counts, machines: Sequence[Machine]) -> Iterator[str]:
    """Yield the lines of the plan, stage by stage."""
    works = list(_works(study, counts))
    heads = [f"GPU hours on {machine.name}" for machine in machines]
    yield " | ".join(["stage", "jobs", "pairs learnt", "pairs scored", *heads, "disk, GB"])
    for work in works:
        yield _row(work, machines)
    whole = Work(
        "all",
        sum(work.jobs for work in works),
        sum(work.learnt for work in works),
        sum(work.scored for work in works),
        sum(work.disk for work in works),
    )
    yield _row(whole, machines)


def _row(work: Work, machines: Sequence[Machine]) -> str:
    hours = [f"{work.hours(machine):.1f}" for machine in machines]
    pairs = [f"{work.learnt:,}", f"{work.scored:,}"]
    return " | ".join([work.stage, str(work.jobs), *pairs, *hours, f"{work.disk / GIGA:.1f}"])


def _works(study: Study, counts: Counts) -> Iterator[Work]:
    """Yield the work of every stage that has any, in the order of the pipeline."""
    known = {
        "models": planning.trainings(study, counts),
        "runs": planning.rerankings(study, counts),
        "tokens": planning.tokens(study, counts),
    }
    jobs = planning.jobs(study)
    for stage in dict.fromkeys(COMMANDS.values()):
        number = 0
        for command, count in jobs.items():
            number += count if COMMANDS[command] == stage else 0
        work = known.get(stage, Work(stage, number))
        if number:
            yield Work(stage, number, work.learnt, work.scored, work.disk)


def _counts(study: Study) -> Counts:
    """Return what is known of the sizes: what is made already, or what ir_datasets says."""
    queries: dict[str, int] = {}
    for name, dataset in study.datasets.items():
        path = Path("data/corpora/queries") / f"{name}.parquet"
        if path.exists():
            queries[name] = QUERIES.count(path)
        elif isinstance(dataset, IrdsDataset):
            queries |= _told(name, dataset.irds, "queries")
    passages: dict[str, int] = {}
    for name, corpus in study.corpora.items():
        path = Path("data/corpora/passages") / f"{name}.parquet"
        if path.exists():
            passages[name] = PASSAGES.count(path)
        elif isinstance(corpus, IrdsCorpus):
            passages |= _told(name, corpus.irds, "docs")
    return Counts(queries, passages)


def _told(name: str, irds_id: str, what: str) -> dict[str, int]:
    """Return the count of a collection under its name, if ir_datasets has one."""
    from redistil.stages.corpora.counted import counted

    count = counted(irds_id, what)
    return {} if count is None else {name: count}

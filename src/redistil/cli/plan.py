"""The question what a study asks of a machine."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from redistil.cli.commands import COMMANDS
from redistil.storage import settings
from redistil.storage.tables import PASSAGES, QUERIES, Table
from redistil.study import overlays
from redistil.study import plan as planning
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
    heads = [f"GPU hours on {machine.name}" for machine in machines]
    yield " | ".join(["stage", "jobs", "pairs learnt", "pairs scored", *heads, "disk, GB"])
    works = list(_works(study, counts))
    for work in [*works, planning.together(works)]:
        yield _row(work, machines)


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
    jobs: Counter[str] = Counter()
    for command, count in planning.jobs(study).items():
        jobs[COMMANDS[command]] += count
    for stage in dict.fromkeys(COMMANDS.values()):
        if jobs[stage]:
            yield replace(known.get(stage, Work(stage, 0)), jobs=jobs[stage])


def _counts(study: Study) -> Counts:
    """Return the sizes of collections: of what is made already, or what ir_datasets says."""
    queries: dict[str, int] = {}
    for name in study.datasets:
        queries |= _queries(study, name)
    passages: dict[str, int] = {}
    for name, corpus in study.corpora.items():
        path = Path("data/corpora/passages") / f"{name}.parquet"
        passages |= _counted(name, PASSAGES, path, getattr(corpus, "irds", None))
    return Counts(queries, passages)


def _queries(study: Study, name: str) -> dict[str, int]:
    """Return the number of a dataset's queries under its name, if it is known.

    Where it is not made yet, the queries of others are taken to be among those that it is without.
    """
    dataset = study.datasets[name]
    path = Path("data/corpora/queries") / f"{name}.parquet"
    found = _counted(name, QUERIES, path, dataset.get("irds"))
    if found and not path.exists():
        for other in dataset.get("without", []):
            found[name] -= _queries(study, other).get(other, 0)
        found[name] = min(found[name], dataset.get("at_most", found[name]))
    return found


def _counted(name: str, table: Table, path: Path, irds_id: str | None) -> dict[str, int]:
    """Return the size of a collection under its name, if it is known."""
    from redistil.stages.corpora.counted import counted

    if path.exists():
        return {name: table.count(path)}
    what = "queries" if table is QUERIES else "docs"
    count = counted(irds_id, what) if irds_id else None
    return {} if count is None else {name: count}

"""The question what a study asks of a machine."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click

from redistil.cli.commands import COMMANDS
from redistil.cli.options import Source
from redistil.storage import settings
from redistil.storage.tables import PASSAGES, QUERIES, Table
from redistil.study import overlays, submissions
from redistil.study import plan as planning
from redistil.study.plan import Counts, Machine, Work
from redistil.study.study import Study
from redistil.study.submissions import Job, Sharing

GIGA = 1e9


class Planned(NamedTuple):
    """The work of a study by stage and in all, and the collections that nobody has counted."""

    works: list[Work]
    whole: Work
    unknown: list[str]


@click.command()
@click.argument("study", required=False)
@click.option(
    "--on",
    multiple=True,
    metavar="NAME=RANKED,LEARNT",
    help="A GPU with the pairs that it re-ranks and learns from in a second; repeatable.",
)
@click.option(
    "--profile",
    type=Source(),
    default="profiles/slurm",
    show_default=True,
    help="The profile of a cluster, which says what jobs share a submission.",
)
def plan(study: str | None, on: tuple[str, ...], profile: Path) -> None:
    """Tell the jobs, GPU hours and disk of a study before it runs.

    STUDY is the name of a file in studies/; without it, each of them has a line. Run this in the
    project's folder.
    """
    machines = [planning.machine(words) for words in on]
    sharing = Sharing.of(settings.mapping(profile / "config.yaml"))
    lines = _of_all(machines, sharing) if study is None else _of_one(study, machines, sharing)
    for line in lines:
        click.echo(line)


def _of_one(name: str, machines: Sequence[Machine], sharing: Sharing) -> Iterator[str]:
    """Yield the plan of a study, stage by stage, with what it assumes and leaves out."""
    study, left_out = overlays.planned(_config(name), {})
    planned = _planned(study, sharing)
    yield from left_out
    heads = [f"GPU hours on {machine.name}" for machine in machines]
    pairs = ["pairs learnt", "pairs scored", "passages encoded"]
    yield " | ".join(["stage", "jobs", "submissions", *pairs, *heads, "disk, GB"])
    for work in [*planned.works, planned.whole]:
        yield _row(work, machines)
    yield _starting_up(planned.whole, machines)
    yield from planning.ASSUMED
    if planned.unknown:
        yield f"Unknown until they are made, and not counted: {', '.join(planned.unknown)}."


def _of_all(machines: Sequence[Machine], sharing: Sharing) -> Iterator[str]:
    """Yield a row for each study, as Markdown; a plus where collections are not counted yet."""
    heads = ["study", "jobs", "submissions", "disk, GB"]
    for machine in machines:
        heads += [f"GPU hours on {machine.name}", "with starting up, one after another"]
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for path in sorted(Path("studies").glob("*.yaml")):
        study, _ = overlays.planned(_config(path.stem), {})
        planned = _planned(study, sharing)
        whole, more = planned.whole, " +" if planned.unknown else ""
        cells = [f"`{path.stem}`", f"{whole.jobs:,}", f"{whole.started.submissions:,}"]
        cells.append(f"{whole.disk / GIGA:.1f}{more}")
        for machine in machines:
            hours = whole.hours(machine)
            cells += [f"{hours:.1f}{more}", f"{hours + whole.started.hours:.1f}{more}"]
        yield f"| {' | '.join(cells)} |"


def _config(study: str) -> dict[str, object]:
    config = settings.mapping(Path("params.yaml"))
    return config | {"study": study}


def _row(work: Work, machines: Sequence[Machine]) -> str:
    hours = [f"{work.hours(machine):.1f}" for machine in machines]
    pairs = [f"{work.learnt:,}", f"{work.scored:,}", f"{work.encoded:,}"]
    jobs = [str(work.jobs), str(work.started.submissions)]
    return " | ".join([work.stage, *jobs, *pairs, *hours, f"{work.disk / GIGA:.1f}"])


def _starting_up(whole: Work, machines: Sequence[Machine]) -> str:
    """Return the hours of starting, with the arithmetic, beside those of each machine."""
    started = whole.started
    shares = []
    for machine in machines:
        if hours := whole.hours(machine):
            share = started.hours / (hours + started.hours)
            shares.append(f", {share:.1%} of all hours with {machine.name}")
    return (
        f"Starting up: ({started.submissions} submissions + {started.jobs} jobs) x a start of "
        f"Snakemake of {submissions.SNAKEMAKE} s + {started.imports} imports of torch x "
        f"{submissions.TORCH} s = {started.hours:.1f} CPU hours (measured on other machines)"
        f"{''.join(shares)}."
    )


def _planned(study: Study, sharing: Sharing) -> Planned:
    counts = _counts(study)
    works = list(_works(study, counts, sharing))
    return Planned(works, planning.together(works), planning.unknown(study, counts))


def _works(study: Study, counts: Counts, sharing: Sharing) -> Iterator[Work]:
    """Yield the work of every stage that has any, in the order of the pipeline."""
    kinds = (
        planning.trainings,
        planning.rerankings,
        planning.tokens,
        planning.scorings,
        planning.encodings,
        planning.states,
    )
    works = {work.stage: work for work in [kind(study, counts) for kind in kinds]}
    by_stage: dict[str, list[Job]] = defaultdict(list)
    for job in submissions.of_tasks(study, planning.tasks(study)):
        by_stage[COMMANDS[job.command]].append(job)
    for stage in dict.fromkeys(COMMANDS.values()):
        if jobs := by_stage[stage]:
            started = submissions.started(jobs, sharing)
            yield replace(works.get(stage, Work(stage, 0)), jobs=len(jobs), started=started)


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
    counts = _counted(name, QUERIES, path, dataset.get("irds"))
    if counts and not path.exists():
        for other in dataset.get("without", []):
            counts[name] -= _queries(study, other).get(other, 0)
        counts[name] = min(counts[name], dataset.get("at_most", counts[name]))
    return counts


def _counted(name: str, table: Table, path: Path, irds_id: str | None) -> dict[str, int]:
    """Return the size of a collection under its name, if it is known."""
    from redistil.stages.corpora.counted import counted

    if path.exists():
        return {name: table.count(path)}
    what = "queries" if table is QUERIES else "docs"
    count = counted(irds_id, what) if irds_id else None
    return {} if count is None else {name: count}

"""The submissions that a study is to a cluster, and what it takes to start them.

A profile lets short jobs share a submission (`groups`, `group-components` of Snakemake).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from redistil.machine.warm import WORTH
from redistil.study.grid import grid_cells, systems
from redistil.study.study import Study

# measured (docs/cluster.md, docs/running.md), CPU seconds
SNAKEMAKE = 2.3  # of a start of Snakemake: one of a submission, and one of each of its jobs
TORCH = 4.0  # of an import of torch and its libraries
SECONDS = 3600

# rules whose jobs hold a GPU: those that share a submission share one import of torch
ON_GPU = frozenset({"encode", "score", "rank", "train", "embed", "rerank", "time"})
# commands that import torch
LOADS_TORCH = ON_GPU | {"fetch", "build", "collect-words", "adopt", "retrieve", "search"}


class Job(NamedTuple):
    """A job: its rule, its command, and the words that a group may be named by."""

    rule: str
    command: str
    words: Mapping[str, str]


@dataclass(frozen=True)
class Sharing:
    """Which rules' jobs share a submission: the group of each, and how many jobs one takes."""

    groups: Mapping[str, str]
    sizes: Mapping[str, int]

    @staticmethod
    def of(profile: Mapping[str, Any]) -> "Sharing":
        """Return what a profile of Snakemake says of it."""
        return Sharing(profile.get("groups") or {}, profile.get("group-components") or {})

    def group(self, job: Job) -> tuple[str, int] | None:
        """Return the name of a job's group and how many of its jobs share a submission."""
        pattern = self.groups.get(job.rule)
        if pattern is None:
            return None
        return pattern.format(**job.words), self.sizes.get(pattern, 1)


@dataclass(frozen=True)
class Started:
    """How often something is started for some jobs: submissions, the jobs, imports of torch."""

    submissions: int = 0
    jobs: int = 0
    imports: int = 0

    def __add__(self, more: "Started") -> "Started":
        return Started(
            self.submissions + more.submissions,
            self.jobs + more.jobs,
            self.imports + more.imports,
        )

    @property
    def hours(self) -> float:
        """CPU hours of starting."""
        of_snakemake = (self.submissions + self.jobs) * SNAKEMAKE
        return (of_snakemake + self.imports * TORCH) / SECONDS


def started(jobs: Iterable[Job], sharing: Sharing) -> Started:
    """Return what starts for jobs that a profile lets share submissions."""
    whole, groups = Started(), Counter[tuple[str, int, bool, bool]]()
    for job in jobs:
        group, loads = sharing.group(job), job.command in LOADS_TORCH
        if group is None:
            whole += Started(1, 1, int(loads))
        else:
            groups[*group, loads, job.rule in ON_GPU] += 1
    for (_, size, loads, is_warm), count in groups.items():
        full, rest = divmod(count, size)
        imports = full * _imports(size, is_warm) + _imports(rest, is_warm)
        whole += Started(ceil(count / size), count, imports if loads else 0)
    return whole


def _imports(jobs: int, is_warm: bool) -> int:
    """Return how often the jobs of one submission import torch: once where they start warm."""
    return 1 if is_warm and jobs >= WORTH else jobs


def of_tasks(study: Study, tasks: Iterable[tuple[str, str]]) -> list[Job]:
    """Return the job of each command and name, with the rule that makes it."""
    runs: dict[str, Mapping[str, str]] = {}
    for cell in grid_cells(study):
        words = {"student": cell.student, "loss": cell.loss, "seed": str(cell.seed)}
        for dataset in study.grid.datasets:
            runs[f"{cell.name}/{dataset}"] = words
    first_stages = {one.name for one in systems(study) if one.kind == "first stage"}
    jobs: list[Job] = []
    for command, name in tasks:
        rule = command.replace("-", "_")
        if command == "rerank" and name not in runs:
            rule = "rerank_teacher"  # or rerank_checkpoint: neither shares a submission
        elif command == "evaluate" and name in first_stages:
            rule = "evaluate_first_stage"
        jobs.append(Job(rule, command, runs.get(name, {})))
    return jobs

"""Short jobs in groups, in arrays and one by one: `python -m benchmarks.submissions`.

Starts the small SLURM of the tests (root, Debian's packages) and runs the miniature study on it
once each way. Prints how many submissions and array tasks there were, the CPU seconds of all jobs
as `sacct` has them, and how long the study took.
"""

import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml

from benchmarks.arithmetic import table
from tests.cluster.conftest import STUDY, Cluster
from tests.cluster.slurm import Slurm, missing
from tests.pipeline.conftest import clone, commit

WAYS: Mapping[str, Mapping[str, Any]] = {
    "groups": {},
    "arrays": {"groups": None, "group-components": None, "slurm-array-jobs": "all"},
    "one by one": {"groups": None, "group-components": None},
}


class Ran(NamedTuple):
    """A study on SLURM: its jobs for SLURM, their CPU seconds, and the seconds until its end."""

    submissions: int
    cpu_seconds: float
    seconds: float


def house_of(root: Path, way: Mapping[str, Any]) -> Cluster:
    """Return a clone whose small profile submits in one of the ways."""
    house = Cluster(clone(root).root)
    house.study(STUDY)
    house.profile()
    file = house.root / "profiles/small/config.yaml"
    profile = yaml.safe_load(file.read_text()) | way
    kept = {key: value for key, value in profile.items() if value is not None}
    file.write_text(yaml.safe_dump(kept, sort_keys=False))
    commit(house, "the study")
    return house


def ran(slurm: Slurm, house: Cluster) -> Ran:
    """Run the study of a clone to its end."""
    before = set(jobs_of(slurm))
    begun = time.monotonic()
    house.ends(house.submit())
    seconds = time.monotonic() - begun
    jobs = {job: spent for job, spent in jobs_of(slurm).items() if job not in before}
    return Ran(len(jobs), sum(jobs.values()), seconds)


def jobs_of(slurm: Slurm) -> dict[str, float]:
    """Return the CPU seconds of every job and array task that SLURM has seen."""
    spent = dict.fromkeys(slurm.said("sacct -n -X -a -P -o JobID").splitlines(), 0.0)
    for line in slurm.said("sacct -n -a -P -o JobID,TotalCPU").splitlines():
        step, used = line.split("|")
        job, _, part = step.partition(".")
        if part and job in spent:  # a job's own line repeats what its steps spent
            spent[job] += seconds_in(used)
    return spent


def seconds_in(used: str) -> float:
    """Return the seconds of SLURM's time, as `1-02:03:04` or `03:04.567`."""
    days, _, clock = used.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds + 86_400 * int(days or 0)


@click.command()
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), default=list(WAYS))
def main(ways: tuple[str, ...]) -> None:
    """Run the miniature study on the small SLURM, and print what each way of submitting costs."""
    if reason := missing():
        raise click.ClickException(reason)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        slurm = Slurm(Path(scratch) / "slurm")
        try:
            slurm.start()
            for way in ways:
                house = house_of(Path(scratch) / re.sub(" ", "-", way), WAYS[way])
                done = ran(slurm, house)
                numbers = [done.submissions, round(done.cpu_seconds), round(done.seconds)]
                rows.append([way, *map(str, numbers)])
        finally:
            slurm.stop()
    print(table(["", "submissions", "CPU seconds", "seconds"], rows))


if __name__ == "__main__":
    main()

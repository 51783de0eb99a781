"""How much work it is for Snakemake to plan the largest study: `python -m benchmarks.planning`.

Copies the project to a scratch folder and plans the study there with nothing made. `--seeds` makes
it larger: 14 seeds in place of its three are four times as many jobs, 58 sixteen times. `--idle`
plans it again with every file in place and on record, when there is nothing to do. The files are
empty: what is measured is the plan. Prints CPU seconds and peak resident memory of `snakemake -n`.
Before the second plan `snakemake --touch` records the files, a tenth of a second for each job.
"""

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click
import yaml

PROJECT = Path(__file__).parents[1]
LARGER = "larger"  # the study with other seeds


class Planned(NamedTuple):
    """Cost and words of a plan."""

    seconds: float  # of the CPU, all threads
    gib: float
    said: str

    @property
    def jobs(self) -> int:
        total = re.search(r"^total +(\d+)", self.said, re.M)
        return int(total[1]) if total else 0

    def row(self, what: str) -> str:
        return f"{what} | {self.jobs:,} | {self.seconds:.1f} | {self.gib:.2f}"


class Copy:
    """A copy of the working tree, without anything made, where licensed texts seem in place."""

    def __init__(self, root: Path, study: str, seeds: int) -> None:
        self.root = root
        self.command = [sys.executable, "-m", "snakemake", "--config", f"study={LARGER}"]
        named = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(named, cwd=PROJECT, capture_output=True, check=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (PROJECT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(PROJECT / name, root / name)
        licensed = root / "irds/disks45/corpus/texts"
        licensed.parent.mkdir(parents=True)
        licensed.touch()
        overlay = {"like": study, "title": LARGER, "grid": {"seeds": [*range(1, seeds + 1)]}}
        (root / f"studies/{LARGER}.yaml").write_text(yaml.safe_dump(overlay))

    def run(self, *more: str) -> Planned:
        """Run Snakemake there; stop if it fails."""
        env = os.environ | {"PYTHONPATH": str(self.root / "src")}
        env |= {"IR_DATASETS_HOME": str(self.root / "irds")}
        with (self.root / "said").open("w+") as out:
            job = subprocess.Popen(
                [*self.command, *more], cwd=self.root, env=env, stdout=out, stderr=out
            )
            _, status, used = os.wait4(job.pid, 0)
            seconds = used.ru_utime + used.ru_stime
            out.seek(0)
            output = out.read()
        if status:
            raise click.ClickException(f"{' '.join(self.command)} failed: {output[-2000:]}")
        return Planned(seconds, used.ru_maxrss / 2**20, output)

    def fake(self) -> None:
        """Put an empty file at every path that the study makes, and record it."""
        rows = self.run("--summary").said.split("output_file\t")[1].splitlines()[1:]
        paths = [self.root / row.split("\t")[0] for row in rows if row.count("\t") > 3]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
        self.run("--touch", "--forceall")

    def idle(self) -> Planned:
        """Plan with everything made."""
        self.fake()
        plan = self.run("-n")
        if "Nothing to be done" not in plan.said:
            raise click.ClickException(f"the second plan is not idle: {plan.said[-2000:]}")
        return plan


@click.command()
@click.option("--study", default="morand2026", show_default=True)
@click.option("--seeds", multiple=True, type=int, default=(3,), show_default=True)
@click.option("--idle", is_flag=True, help="plan again with everything made")
def main(study: str, seeds: tuple[int, ...], idle: bool) -> None:
    """Plan a study with nothing made, and with everything made."""
    snakemake = importlib.metadata.version("snakemake")
    print(f"{study}; Python {platform.python_version()}, Snakemake {snakemake}")
    print("plan | jobs | CPU seconds | peak GiB\n---|---|---|---")
    for count in seeds:
        with tempfile.TemporaryDirectory() as place:
            copy = Copy(Path(place), study, count)
            print(copy.run("-n").row(f"{count} seeds, nothing made"), flush=True)
            if idle:
                print(copy.idle().row(f"{count} seeds, everything made"), flush=True)


if __name__ == "__main__":
    main()

"""How much work it is for Snakemake to plan the largest study: `python -m benchmarks.planning`.

Copies the project to a scratch folder and plans the study there twice: with nothing made, then
with every file in place and on record, when there is nothing to do. The files are empty: what is
measured is the plan. Prints CPU seconds and peak resident memory of `snakemake -n` for both.
In between `snakemake --touch` records the files, a tenth of a second for each job: ten minutes.
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

PROJECT = Path(__file__).parents[1]


class Planned(NamedTuple):
    """What a plan took and said."""

    seconds: float  # of the CPU, all threads
    gib: float
    said: str


class Copy:
    """A copy of the working tree, without anything made, where licensed texts seem in place."""

    def __init__(self, root: Path, study: str) -> None:
        self.root = root
        self.command = ["snakemake", "--config", f"study={study}"]
        named = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(named, cwd=PROJECT, capture_output=True, check=True, text=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (PROJECT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(PROJECT / name, root / name)
        licensed = root / "irds/disks45/corpus/texts"
        licensed.parent.mkdir(parents=True)
        licensed.touch()

    def run(self, *more: str) -> Planned:
        """Run Snakemake there; stop if it fails."""
        env = os.environ | {"PYTHONPATH": str(self.root / "src")}
        env |= {"IR_DATASETS_HOME": str(self.root / "irds")}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        with (self.root / "said").open("w+") as out:
            job = subprocess.Popen(
                [*self.command, *more], cwd=self.root, env=env, stdout=out, stderr=out
            )
            _, status, used = os.wait4(job.pid, 0)
            seconds = used.ru_utime + used.ru_stime
            out.seek(0)
            said = out.read()
        if status:
            raise click.ClickException(f"{' '.join(self.command)} failed: {said[-2000:]}")
        return Planned(seconds, used.ru_maxrss / 2**20, said)

    def fake(self) -> int:
        """Put an empty file at every path that the study makes, and record it; return how many."""
        header, *rows = self.run("--summary").said.split("output_file\t")[1].splitlines()
        paths = [self.root / row.split("\t")[0] for row in rows if row.count("\t") > 3]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
        self.run("--touch", "--forceall")
        return len(paths)


@click.command()
@click.option("--study", default="morand2026", show_default=True)
def main(study: str) -> None:
    """Plan a study with nothing made, and with everything made."""
    with tempfile.TemporaryDirectory() as place:
        copy = Copy(Path(place), study)
        first = copy.run("-n")
        jobs = re.search(r"^total +(\d+)", first.said, re.M)
        files = copy.fake()
        idle = copy.run("-n")
        if "Nothing to be done" not in idle.said:
            raise click.ClickException(f"the second plan is not idle: {idle.said[-2000:]}")
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("snakemake",))
    print(f"{study}: {jobs[1] if jobs else 0} jobs, {files} files; ", end="")
    print(f"Python {platform.python_version()}, {versions}")
    print("plan | CPU seconds | peak GiB\n---|---|---")
    for what, plan in (("nothing made", first), ("everything made: nothing to do", idle)):
        print(f"{what} | {plan.seconds:.1f} | {plan.gib:.2f}")


if __name__ == "__main__":
    main()

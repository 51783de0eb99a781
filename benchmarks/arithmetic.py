"""Verdicts of a study under several arithmetics: `python -m benchmarks.arithmetic`.

Runs the study once under each arithmetic, in a copy of the project, by `snakemake` alone. Another
processor sums in another order; a verdict that this turns round is no result. Prints the decided
comparisons with their verdicts, then each system with its values. A copy that is complete is not
run again; a broken one goes on. Every run takes as long as the study does.
"""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import yaml

from benchmarks.arithmetics import ARITHMETICS, Arithmetic

PROJECT = Path(__file__).parents[1]
OUT = PROJECT / "benchmarks" / "out" / "arithmetic"
MINIATURE = PROJECT / "tests" / "pipeline" / "miniature.yaml"
# rules whose jobs compute with torch
TORCH_RULES = (
    "build",
    "encode",
    "retrieve",
    "train",
    "train_teacher",
    "score",
    "rerank",
    "rerank_teacher",
)


class Comparison(NamedTuple):
    """Two systems, and what they are compared on; the order of the fields sorts the table."""

    group: str
    family: str
    system: str
    against: str


class Place(NamedTuple):
    """A system on a group of datasets."""

    group: str
    system: str


Verdicts = Mapping[Comparison, Sequence[str]]


# --- one run -------------------------------------------------------------------------------------


def copied(folder: Path) -> None:
    """Copy the working tree as Git lists it, beside data and results that are there already."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=PROJECT, capture_output=True, check=True, text=True)
    for name in filter(None, done.stdout.split("\0")):
        source, target = PROJECT / name, folder / name
        if not source.exists() or _equal(source, target):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    shutil.copyfile(MINIATURE, folder / "studies" / MINIATURE.name)


def _equal(source: Path, target: Path) -> bool:
    return target.exists() and source.read_bytes() == target.read_bytes()


def run(folder: Path, study: str, arithmetic: Arithmetic) -> None:
    """Run the study in the copy, under the arithmetic; what it prints goes to `snakemake.log`."""
    words = [sys.executable, "-m", "snakemake", "--config", f"study={study}"]
    if arithmetic.threads > 1:
        words += ["--set-threads", *(f"{rule}={arithmetic.threads}" for rule in TORCH_RULES)]
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
    }
    environment = os.environ | paths | arithmetic.environment
    with open(folder / "snakemake.log", "w") as log:
        done = subprocess.run(
            words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    if done.returncode:
        sys.exit(f"the study failed: {log.name}")


# --- what the runs say ---------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table of the report."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def verdicts(tables: Iterable[Path]) -> dict[Comparison, list[str]]:
    """Return the verdicts of every comparison, in the order of the runs."""
    gathered: dict[Comparison, list[str]] = {}
    for table in tables:
        for row in rows(table / "tests.csv"):
            comparison = Comparison(*(row[field] for field in Comparison._fields))
            gathered.setdefault(comparison, []).append(row["verdict"])
    return gathered


def values(tables: Iterable[Path], groups: Sequence[str]) -> dict[Place, list[float]]:
    """Return the means of every system, in the order of the runs."""
    gathered: dict[Place, list[float]] = {}
    for table in tables:
        for row in rows(table / "leaderboard.csv"):
            for group in groups:
                place = Place(group, row["system"])
                gathered.setdefault(place, []).append(float(row[group]))
    return gathered


def agreed(of: Verdicts) -> dict[Comparison, str]:
    """Return the comparisons of one verdict under every arithmetic, with it."""
    return {comparison: words[0] for comparison, words in of.items() if len(set(words)) == 1}


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return the lines as a table in Markdown."""
    rule = "|".join("---" for _ in head)
    return "\n".join([" | ".join(head), rule, *(" | ".join(line) for line in lines)])


def verdict_lines(of: Verdicts) -> list[list[str]]:
    """Return a line for each comparison that any run decides, and whether all runs agree."""
    lines = []
    for comparison, words in sorted(of.items()):
        if set(words) == {"not distinguishable"}:
            continue
        same = "yes" if len(set(words)) == 1 else "NO"
        lines.append([*comparison, *words, same])
    return lines


def value_lines(of: Mapping[Place, Sequence[float]]) -> list[list[str]]:
    """Return a line for each system: its means, and the widest difference of two runs."""
    lines = []
    for place, means in sorted(of.items()):
        spread = max(means) - min(means)
        lines.append([*place, *(f"{mean:.3f}" for mean in means), f"{spread:.3f}"])
    return lines


def report(results: Sequence[Path], names: Sequence[str]) -> str:
    """Return both tables, and how many verdicts agree."""
    tables = [folder / "report" / "tables" for folder in results]
    study = yaml.safe_load((results[0] / "study.yaml").read_text())
    compared = verdicts(tables)
    _refuse_partial(compared, len(names))
    same = agreed(compared)
    decided = [verdict for verdict in same.values() if verdict != "not distinguishable"]
    return "\n\n".join(
        [
            table([*Comparison._fields, *names, "agree"], verdict_lines(compared)),
            table([*Place._fields, *names, "spread"], value_lines(values(tables, _groups(study)))),
            f"{len(same)} of {len(compared)} verdicts agree under {len(names)} arithmetics; "
            f"{len(decided)} of these decide something",
        ]
    )


def _refuse_partial(of: Verdicts, runs: int) -> None:
    """End where a comparison lacks the verdict of a run: the reports are not of one code."""
    partial = [comparison for comparison, words in sorted(of.items()) if len(words) < runs]
    if partial:
        sys.exit(f"{len(partial)} comparisons are not in every run, first {' '.join(partial[0])}")


def _groups(study: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Return the groups whose datasets the study tests on, as the leaderboard names them."""
    tested = set(study["grid"]["datasets"])
    return [group for group, datasets in study["groups"].items() if tested & set(datasets)]


# --- the command ---------------------------------------------------------------------------------


@click.command()
@click.option("--study", default="embedded", show_default=True)
@click.option("--arithmetics", default=",".join(ARITHMETICS), show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), default=OUT, show_default=True)
def main(study: str, arithmetics: str, folder: Path) -> None:
    """Run a study under several arithmetics; print whether its verdicts agree."""
    names = arithmetics.split(",")
    unknown = sorted(set(names) - ARITHMETICS.keys())
    if unknown:
        choices = ", ".join(ARITHMETICS)
        raise click.BadParameter(f"no arithmetic {unknown[0]!r} (there is: {choices})")
    results = []
    for name in names:
        copy = folder.resolve() / name
        copied(copy)
        print(f"{study} under {name}: {copy}", file=sys.stderr)
        run(copy, study, ARITHMETICS[name])
        results.append(copy / "results" / study)
    print(report(results, names))


if __name__ == "__main__":
    main()

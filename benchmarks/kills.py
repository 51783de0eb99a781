"""A study killed again and again: `python -m benchmarks.kills --kills 40 --seed 1`.

Runs the miniature of the tests once to its end. Then runs it anew, kills the whole process group
(SIGKILL) at drawn moments, and starts it again by the same command, until it ends. Every fourth
kill waits for a work whose cost is metered, a training or a re-ranking. Whatever is
not a cost must have the bytes of the first run. A cost must hold what its work had noted when it
was killed, and say that it was interrupted. A study that ended is begun anew while kills are left.
"""

import contextlib
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from benchmarks.arithmetic import OUT as ARITHMETIC
from benchmarks.arithmetic import copied
from redistil.machine.energy import SO_FAR
from redistil.storage import digests

OUT = ARITHMETIC.with_name("kills")
MADE = ("data", "results", ".snakemake", "logs")
COMMAND = [sys.executable, "-m", "snakemake", "--config", "study=miniature"]
# what tells costs, and the records with the digests of such files
COSTS = ("*cost*", "reranking.*", "machines.csv", "index.html", "tables.json", "*/paste/*")
RECORDS = ("*/report/figures/made.json", "*/report/tables/made.json")


@dataclass(frozen=True)
class Killed:
    """A copy of the study that was killed, and came to its end.

    after: the seconds from each start to its kill; noted: of each work that was killed, by the path
    of its cost, the seconds that it had noted last; held: the costs that were held to such a note.
    """

    folder: Path
    after: list[float] = field(default_factory=list)
    noted: dict[Path, float] = field(default_factory=dict)
    held: list[Path] = field(default_factory=list)
    lacking: list[Path] = field(default_factory=list)

    def note(self) -> None:
        """Read the notes that a kill left, after the costs of works that had ended by then.

        Snakemake may not know yet that such a work has ended. It then makes it again, and the
        second cost does not tell of the first.
        """
        left = notes(self.folder)
        for path in [path for path in self.noted if path.exists() and path not in left]:
            self._hold(path)
            del self.noted[path]
        self.noted.update(left)

    def unpaid(self) -> list[Path]:
        """Return the costs that lack seconds spent before a kill, or do not tell of it."""
        for path in self.noted:
            self._hold(path)
        return self.lacking

    def _hold(self, path: Path) -> None:
        cost = digests.read_json(path)
        self.held.append(path)
        if cost["seconds"] < round(self.noted[path], 3) or not cost["interruptions"]:
            self.lacking.append(path)


def started(folder: Path) -> "subprocess.Popen[bytes]":
    """Start the study in a process group of its own; what it says goes to `snakemake.log`."""
    paths = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
    }
    with open(folder / "snakemake.log", "a") as log:
        return subprocess.Popen(
            COMMAND,
            cwd=folder,
            env=os.environ | paths,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def ended(folder: Path) -> float:
    """Run the study to its end; return the seconds that it took."""
    begun = time.monotonic()
    if started(folder).wait():
        sys.exit(f"the study failed: {folder / 'snakemake.log'}")
    return time.monotonic() - begun


def killed(folder: Path, kills: int, seed: int, longest: float) -> Iterator[Killed]:
    """Yield each copy of the study when it has ended, after kills at most `longest` s apart."""
    rng = np.random.default_rng(seed)
    left = kills
    while left:
        study = Killed(folder)
        while left:
            begun = time.time()
            process = started(folder)
            seconds = float(rng.uniform(0, longest))
            if left % 4 == 0:
                ends = not meters(folder, begun, process)
            else:
                ends = ended_within(process, seconds)
            if not ends:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                wait_for_jobs(folder)
                study.after.append(time.time() - begun)
                study.note()
                left -= 1
                continue
            if process.returncode:
                sys.exit(f"a start after a kill failed: {folder / 'snakemake.log'}")
            break
        else:
            ended(folder)
        yield study
        begin_anew(folder)


def ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Return whether a study ends within some seconds; wait for it that long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def meters(folder: Path, begun: float, process: "subprocess.Popen[bytes]") -> bool:
    """Return whether a work has noted its cost since `begun`; wait for one, or for the end."""
    while not ended_within(process, 0.1):
        for path in _noting(folder):
            with contextlib.suppress(FileNotFoundError):  # the work has ended meanwhile
                if path.stat().st_mtime > begun:
                    return True
    return False


def wait_for_jobs(folder: Path) -> None:
    """Return when no process works in a folder: warm starts have a group of their own."""
    while any(_works_in(folder, process) for process in Path("/proc").glob("[0-9]*")):
        time.sleep(0.05)


def _works_in(folder: Path, process: Path) -> bool:
    try:
        return (process / "cwd").resolve() == folder.resolve()
    except OSError:  # it has ended, or is another user's
        return False


def notes(folder: Path) -> dict[Path, float]:
    """Return the seconds that killed works have noted, by the path of the cost to come."""
    noted: dict[Path, float] = {}
    for path in _noting(folder):
        cost = path.with_name(path.name.removeprefix(".").removesuffix(SO_FAR))
        noted[cost] = digests.read_json(path)["spent"]["seconds"]
    return noted


def _noting(folder: Path) -> list[Path]:
    files: list[Path] = []
    for top in ("data", "results"):
        files += (folder / top).rglob(f".*{SO_FAR}")
    return files


def begin_anew(folder: Path) -> None:
    """Take away what a study made, but for what Git keeps."""
    for top in MADE:
        for path in (folder / top).glob("*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != "README.md":
                path.unlink()


def bytes_made(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file that tells no cost, by its path."""
    made: dict[str, bytes] = {}
    for top in ("data", "results"):
        for path in sorted((folder / top).rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_file() and not _tells_costs(name):
                made[name] = path.read_bytes()
    return made


def _tells_costs(name: str) -> bool:
    return any(fnmatch.fnmatch(name, f"*/{pattern}") for pattern in COSTS) or any(
        fnmatch.fnmatch(name, pattern) for pattern in RECORDS
    )


def differing(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Return the files that are not the same in both, or only in one."""
    return sorted(
        name for name in first.keys() | second.keys() if first.get(name) != second.get(name)
    )


@click.command()
@click.option("--kills", default=40, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=1, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), default=OUT, show_default=True)
def main(kills: int, seed: int, folder: Path) -> None:
    """Kill a small study at drawn moments; print what was killed, and whether a byte differs."""
    whole, disturbed = (folder.resolve() / name for name in ("whole", "killed"))
    for copy in (whole, disturbed):
        copied(copy)
        begin_anew(copy)
    seconds = ended(whole)
    wanted = bytes_made(whole)
    bad = 0
    for study in killed(disturbed, kills, seed, seconds / 4):
        others = differing(wanted, bytes_made(study.folder))
        unpaid = study.unpaid()
        bad += len(others) + len(unpaid)
        times = ", ".join(f"{each:.1f}" for each in study.after)
        print(f"killed after {times} s: {len(others)} of {len(wanted)} files differ {others[:5]}")
        print(f"works killed: {len(study.held)}; their costs are incomplete: {unpaid}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()

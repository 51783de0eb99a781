"""A house in miniature: a clone of this project that runs a small study through the same rules."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from redistil.study.overlays import merged

PROJECT = Path(__file__).parents[2]
SECRET = "a-secret-that-nobody-writes-down"
SECRETS = {"HF_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}


def cut_off() -> list[str]:
    """Return the words that run a command without any network, or none where they do not work."""
    words = ["unshare", "--net"]
    try:
        done = subprocess.run([*words, "true"], capture_output=True)
    except OSError:
        return []
    return words if done.returncode == 0 else []


@dataclass(frozen=True)
class House:
    """A clone, and what one does in it; env: what its environment has besides ours."""

    root: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return the environment of its commands."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ours = {"PATH": path, "PYTHONPATH": str(self.root / "src"), "DVC_NO_ANALYTICS": "1"}
        return {**os.environ, **ours, **self.env}

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command in the clone, with its own sources; return all that it printed."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode == 0) == ok, done.stdout[-5000:]
        return done.stdout

    def planned(self, *flags: str) -> Counter[str]:
        """Return how many jobs of each rule `snakemake -n` would run."""
        said = self.run("snakemake", "-n", *flags)
        if "Nothing to be done" in said:
            return Counter()
        table = said.split("Job stats:")[1].split("total")[0]
        counts = Counter({r: int(n) for r, n in re.findall(r"^(\w+) +(\d+)$", table, re.M)})
        del counts["all"]
        return counts

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the clone; the text must be there."""
        path = self.root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def study(self, change: Mapping[str, Any]) -> None:
        """Lay `change` over the miniature study."""
        path = self.root / "studies/miniature.yaml"
        path.write_text(yaml.safe_dump(merged(yaml.safe_load(path.read_text()), change)))

    def leaderboard(self) -> str:
        return (self.root / "results/miniature/report/tables/leaderboard.csv").read_text()


def clone(root: Path) -> House:
    """Return a fresh clone of the working tree whose study is the miniature."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, root / name)  # a program stays one
    house = House(root)
    shutil.copyfile(PROJECT / "tests/pipeline/miniature.yaml", root / "studies/miniature.yaml")
    house.edit("params.yaml", "study: embedded", "study: miniature")
    house.run("git", "init", "--quiet")
    commit(house, "a clone")
    return house


def commit(house: House, message: str) -> None:
    house.run("git", "add", "--all")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    house.run("git", *who, "commit", "--quiet", "--message", message)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A clone whose study `dvc repro` built once, with secrets around and without a network."""
    house = clone(tmp_path_factory.mktemp("house"))
    (house.root / "dry.json").write_text(json.dumps(house.planned()))
    House(house.root, SECRETS).run(*cut_off(), "dvc", "repro")
    commit(house, "the study, built")
    return house

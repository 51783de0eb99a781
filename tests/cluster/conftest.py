"""A study on a real SLURM, which `make cluster` starts on loopback."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from redistil.study.overlays import merged
from tests.cluster.slurm import Slurm, missing, wait_for
from tests.pipeline.conftest import House, clone, commit

PATIENCE = float(
    os.environ.get("REDISTIL_CLUSTER_PATIENCE", "240")
)  # seconds, on a busy machine more
LEADERBOARD = "results/miniature/report/tables/leaderboard.csv"
LOSSES = ("hinge", "infonce")
SETS = ("pydocs-test", "few", "fewer")  # as many re-rankings of a model as start warm
STUDY = {  # fewer jobs than the miniature, and trainings that last long enough to be disturbed
    "datasets": {
        "few": {"like": "pydocs-test", "at_most": 10},
        "fewer": {"like": "pydocs-test", "at_most": 5},
    },
    "grid": {"losses": [*LOSSES], "datasets": [*SETS], "baselines": [], "teachers": []},
    "negatives": {"pydocs-triples": {"first_stage": "bm25"}},
    "training": {
        "checkpoint_every": 5,
        "log_every": 100,
        "validation": {"first_stage": "bm25", "every": 1000},
        "sizes": {"tiny": {"steps": 120, "warmup_steps": 1}},
    },
}
REMADE = ("models", "runs", "measures", "report/tables")
UNLIKE = re.compile(r"cost|machines\.csv$|tables/made\.json$")  # they tell seconds and machines
SOON = Path(__file__).with_name("soon.py")
PYTHON = f"""#!/bin/sh
shift 2  # -m snakemake
exec {sys.executable} {SOON} "$@"
"""
SMALL: dict[str, Any] = {  # a profile for minutes on two small nodes
    "jobs": 6,
    "latency-wait": 5,
    "slurm-init-seconds-before-status-checks": 2,
    "slurm-efficiency-report": False,
    "slurm-keep-successful-logs": True,
}


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    if "REDISTIL_CLUSTER" not in os.environ:
        pytest.skip("SLURM is started by `make cluster` alone")
    if reason := missing():
        pytest.skip(f"NOT TRIED ON A CLUSTER: {reason}")
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


def cell(loss: str) -> str:
    return f"results/miniature/models/tiny-bert/{loss}/1"


def run_of(loss: str) -> str:
    return f"results/miniature/runs/tiny-bert/{loss}/1/pydocs-test.parquet"


@dataclass(frozen=True)
class Cluster(House):
    """A clone whose jobs go to SLURM; controllers: the Snakemakes that were left at work."""

    controllers: list["subprocess.Popen[str]"] = field(default_factory=list)

    def profile(self, **rules: Mapping[str, Any]) -> None:
        """Write the project's profile in small; rules: what they ask for besides."""
        profile = yaml.safe_load((self.root / "profiles/slurm/config.yaml").read_text())
        profile["default-resources"] |= {"mem_mb": "1500 * attempt", "runtime": "10 * attempt"}
        asked = profile["set-resources"]
        for rule in asked:
            asked[rule] = {key: asked[rule][key] for key in asked[rule] if key == "slurm_extra"}
        # of runs that start warm, the memory that they share is counted for each
        asked["rerank"] = {"mem_mb": 4000}
        profile["set-resources"] = merged(asked, rules)
        folder = self.root / "profiles/small"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(profile | SMALL, sort_keys=False))

    def submit(self, *targets: str) -> "subprocess.Popen[str]":
        """Start Snakemake on SLURM, and leave it at work."""
        snakemake = [sys.executable, str(SOON), "--profile", "profiles/small"]
        return self._start([*snakemake, *targets])

    def control(self, left: str, *targets: str, starter: str = "bash") -> "subprocess.Popen[str]":
        """Start the project's own controller, which finds what an earlier one left."""
        python = self.root / "python"
        python.write_text(PYTHON)
        python.chmod(0o755)
        chosen = {"LEFT": left, "PROFILE": "profiles/small", "PYTHON": str(python), "AGAIN": "2"}
        return self._start([*starter.split(), "profiles/slurm/controller", *targets], chosen)

    def _start(
        self, command: list[str], more: Mapping[str, str] = MappingProxyType({})
    ) -> "subprocess.Popen[str]":
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = os.environ | {"PATH": path, "PYTHONPATH": str(self.root / "src")} | dict(more)
        with self._log.open("w") as log:
            started = subprocess.Popen(
                command,
                cwd=self.root,
                env=env,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.controllers.append(started)
        return started

    @property
    def _log(self) -> Path:
        return self.root / "controller.log"

    def said(self) -> str:
        """Return what the last controller has said so far."""
        return self._log.read_text()

    def ends(self, controller: "subprocess.Popen[str]") -> str:
        """Wait for a controller, which must end well; return what it said."""
        code = controller.wait(3 * PATIENCE)
        assert code == 0, self.said()[-5000:]
        return self.said()

    def went_on(self, loss: str) -> bool:
        """Whether a training was interrupted, and went on from a state that it had saved."""
        cost = json.loads((self.root / cell(loss) / "cost.json").read_text())
        log = (self.root / f"logs/{cell(loss).removeprefix('results/')}/train.log").read_text()
        return cost["interruptions"] >= 1 and "the training goes on after step" in log

    def forget(self, loss: str) -> None:
        """Take away a training and what follows from it, as if they had never been made."""
        for path in (self.root / cell(loss)).iterdir():
            if path.name != "recipe.yaml":
                path.unlink()
        for path in (self.root / run_of(loss)).parent.iterdir():
            path.unlink()
        (self.root / f"results/miniature/measures/tiny-bert/{loss}/1.parquet").unlink()
        (self.root / LEADERBOARD).unlink(missing_ok=True)

    def finish(self) -> dict[str, str]:
        """Remake the tables here, without SLURM; return the digests of all that was made."""
        self.run("snakemake", "--", LEADERBOARD)
        return self.made()

    def freeze(self, loss: str) -> int:
        """Stop a training in its tracks when it has saved its state; return its process."""
        folder = self.root / cell(loss)

        def begun() -> bool:
            assert self.controllers[-1].poll() is None, self.said()[-5000:]
            return (folder / "checkpoint.safetensors").exists()

        wait_for(begun, PATIENCE, f"a state of the training with {loss}")
        claim = json.loads((folder / "../.1.claim").read_text())
        os.kill(claim["process"], signal.SIGSTOP)
        return int(claim["process"])

    def kill(self, controller: "subprocess.Popen[str]") -> None:
        """Kill a controller at once, with all of its session."""
        os.killpg(controller.pid, signal.SIGKILL)
        controller.wait()

    def end(self) -> None:
        """Kill the controllers that a failed test left."""
        for controller in self.controllers:
            if controller.poll() is None:
                self.kill(controller)

    def made(self) -> dict[str, str]:
        """Return a digest of every table, model, run and measure; what they cost is left out."""
        digests: dict[str, str] = {}
        for place in ("data", *(f"results/miniature/{name}" for name in REMADE)):
            for path in sorted((self.root / place).rglob("*.*")):
                name = str(path.relative_to(self.root))
                if path.is_file() and not UNLIKE.search(name) and ".snakemake" not in name:
                    digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return digests


@pytest.fixture(scope="session")
def undisturbed(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The study from nothing to its page, all on SLURM; meanwhile `alone` builds it here."""
    house = Cluster(clone(tmp_path_factory.mktemp("cluster")).root)
    house.study(STUDY)
    house.profile()
    commit(house, "the study")
    alone = Cluster(house.root.with_name("alone"))
    shutil.copytree(house.root, alone.root)
    controller = house.submit()
    alone.run("snakemake")
    (house.root / "said.txt").write_text(house.ends(controller))
    assert house.made() == alone.made()
    return house


@pytest.fixture
def house(undisturbed: Cluster, slurm: Slurm, tmp_path: Path) -> Iterator[Cluster]:
    """A copy of what was built, without one training and what follows from it."""
    logs = shutil.ignore_patterns("slurm_logs")
    shutil.copytree(undisturbed.root, tmp_path / "house", symlinks=True, ignore=logs)
    copied = Cluster(tmp_path / "house")
    copied.forget("hinge")
    yield copied
    copied.end()
    slurm.clear()

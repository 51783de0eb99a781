"""A study on a real SLURM, which `make cluster` starts on loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from redistil.study.overlays import merged
from tests.cluster.slurm import Slurm, missing, wait_for
from tests.pipeline.conftest import House, clone, commit

PATIENCE = float(
    os.environ.get("REDISTIL_CLUSTER_PATIENCE", "240")
)  # seconds, on a busy machine more
CELL = "results/miniature/models/tiny-bert/hinge/1"
RUN = "results/miniature/runs/tiny-bert/hinge/1/pydocs-test.parquet"
LEFT = ("model.safetensors", "curve.parquet", "validation.parquet", "made.json")
LONGER = {  # a training that lasts long enough to be disturbed
    "training": {
        "checkpoint_every": 20,
        "log_every": 100,
        "validation": {"every": 1000},
        "sizes": {"tiny": {"steps": 600, "warmup_steps": 1}},
    }
}
SMALL: dict[str, Any] = {  # a profile for minutes on two small nodes
    "jobs": 6,
    "latency-wait": 5,
    "slurm-init-seconds-before-status-checks": 2,
    "seconds-between-status-checks": 2,
    "slurm-efficiency-report": False,
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


class Cluster(House):
    """A clone whose jobs go to SLURM."""

    def profile(self, **rules: Mapping[str, Any]) -> None:
        """Write the project's profile in small; rules: what they ask for besides."""
        profile = yaml.safe_load((self.root / "profiles/slurm/config.yaml").read_text())
        profile["default-resources"] |= {"mem_mb": "1500 * attempt", "runtime": "5 * attempt"}
        asked = profile["set-resources"]
        for rule in asked:
            asked[rule] = {key: asked[rule][key] for key in asked[rule] if key == "slurm_extra"}
        profile["set-resources"] = merged(asked, rules)
        folder = self.root / "profiles/small"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(profile | SMALL, sort_keys=False))

    def submit(self, *targets: str, ok: bool = True) -> str:
        """Run Snakemake on SLURM to its end; return what it said."""
        return self.run("snakemake", "--profile", "profiles/small", *targets, ok=ok)

    def start(self, *targets: str) -> "subprocess.Popen[str]":
        """Start Snakemake on SLURM, and leave it at work."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/small", *targets]
        log = (self.root / "controller.log").open("w")
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(self.root / "src")},
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )

    def said(self) -> str:
        return (self.root / "controller.log").read_text()

    def forget(self) -> None:
        """Take away one training and its run, as if they had never been made."""
        for path in (self.root / CELL).iterdir():
            if path.name != "recipe.yaml":
                path.unlink()
        (self.root / RUN).unlink()

    def freeze(self, process: "subprocess.Popen[str]") -> None:
        """Stop the training in its tracks when it has saved its state at least once."""
        saved = self.root / CELL / "checkpoint.safetensors"

        def begun() -> bool:
            assert process.poll() is None, self.said()[-5000:]
            return saved.exists()

        wait_for(begun, PATIENCE, "a state of the training")
        os.kill(self.trainer(), signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.trainer(), signal.SIGCONT)

    def trainer(self) -> int:
        """Return the process of the training, which its claim names."""
        claim = (self.root / CELL).with_name(".1.claim")
        return int(json.loads(claim.read_text())["process"])

    def kill(self, process: "subprocess.Popen[str]") -> None:
        """Kill a controller at once, with all of its session."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def control(self, left: str, *targets: str) -> str:
        """Run the project's own controller, which finds what an earlier one left."""
        chosen = {"LEFT": left, "PROFILE": "profiles/small", "PYTHON": sys.executable, "AGAIN": "2"}
        env = self.env | chosen
        return House(self.root, env).run("bash", "profiles/slurm/controller", *targets)

    def bytes_made(self) -> dict[str, bytes]:
        """Return the bytes of the training and its run, which costs are no part of."""
        made = {name: (self.root / CELL / name).read_bytes() for name in LEFT}
        return made | {"run": (self.root / RUN).read_bytes()}


@pytest.fixture(scope="session")
def built(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The study from nothing to its page, all on SLURM."""
    house = Cluster(clone(tmp_path_factory.mktemp("cluster")).root)
    house.study(LONGER)
    house.profile()
    commit(house, "longer")
    (house.root / "said.txt").write_text(house.submit())
    return house


@pytest.fixture
def house(built: Cluster, tmp_path: Path) -> Cluster:
    """A copy of what was built, without one training and what follows from it."""
    shutil.copytree(built.root, tmp_path / "house", symlinks=True)
    copied = Cluster(tmp_path / "house")
    copied.forget()
    return copied

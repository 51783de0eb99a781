"""How often Snakemake looks for jobs, how many hold a GPU, and how those of a submission start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.conftest import clone

PROJECT = Path(__file__).parents[2]
SNAKEFILE = f"""
rule all:
    input: "one", "two", "three", "four"

rule sleep:
    output: touch("{{name}}")
    wildcard_constraints: name="one|two|three|four"
    shell: "sleep 2"

include: "{PROJECT}/workflow/machine.smk"

onstart:
    look_for_jobs_when_one_ends()
"""


@pytest.mark.parametrize(
    ("options", "often"), [([], False), (["--max-jobs-per-timespan", "50/1s"], True)]
)
def test_it_looks_when_a_job_ends_unless_a_limit_is_stated(
    options: list[str], often: bool, tmp_path: Path
):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    words = [sys.executable, "-m", "snakemake", "--verbose", "--cores", "1", *options]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    looks = said.count("Ready jobs:")
    assert (looks > 1 + 5) is often, f"it looked {looks} times for 5 jobs"


JOB = """
import os, sys, time
from redistil.machine import gpus
with gpus.in_turn("auto"):
    begun = time.time()
    time.sleep(0.5)
    print(os.environ[gpus.VISIBLE], begun, time.time())
"""
COMPUTING = f"""
NAMES = "abcdefgh"

rule all:
    input: list(NAMES)

rule compute:
    output: "{{name}}"
    wildcard_constraints: name="[a-h]"
    resources: gpu=1
    shell: "{sys.executable} job.py > {{output}}"

include: "{PROJECT}/workflow/machine.smk"
"""


def test_jobs_have_a_gpu_each(tmp_path: Path):
    (tmp_path / "Snakefile").write_text(COMPUTING)
    (tmp_path / "job.py").write_text(JOB)
    driver = tmp_path / "bin/nvidia-smi"
    driver.parent.mkdir()
    here = tmp_path.name  # the locks lie below /tmp, for all runs of the tests
    driver.write_text("#!/bin/sh\nprintf 'GPU-%s\\n' " + " ".join(f"{n}-{here}" for n in range(4)))
    driver.chmod(0o755)
    env = {name: text for name, text in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    env["PATH"] = f"{driver.parent}{os.pathsep}{env['PATH']}"
    words = [sys.executable, "-m", "snakemake", "--cores", "8", "--resources", "gpu=4"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spans: dict[str, list[tuple[float, float]]] = {}
    for name in "abcdefgh":
        gpu, begun, ended = (tmp_path / name).read_text().split()
        spans.setdefault(gpu, []).append((float(begun), float(ended)))
    assert len(spans) == 4
    for computed in spans.values():
        computed.sort()
        for earlier, later in zip(computed, computed[1:], strict=False):
            assert earlier[1] <= later[0]


def test_the_cluster_profile_plans_the_largest_study(tmp_path: Path):
    study = ("--config", "study=morand2026")
    planned = clone(tmp_path).planned("--profile", "profiles/slurm", *study)
    assert planned["train"] == 9 * 6 * 3 and planned.total() > 4000


SUBMISSION = f"""
include: "{PROJECT}/workflow/machine.smk"

rule rerank:
    output: "{{name}}"
    resources: gpu=1
    shell: "redistil plan --help > {{output}}"
"""


def test_jobs_of_a_submission_start_warm(tmp_path: Path):
    """As the cluster's executor calls Snakemake on a node: its mode, and no hook."""
    (tmp_path / "Snakefile").write_text(SUBMISSION)
    names = ["first", "second", "third"]
    words = [sys.executable, "-m", "snakemake", "--mode", "remote", "--no-hooks", "--nolock"]
    words += ["--cores", "1", "--target-jobs", *(f"rerank:name={name}" for name in names)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all("STUDY" in (tmp_path / name).read_text() for name in names)
    # the first may begin before the process listens that the others ask
    assert done.stderr.splitlines().count("plan") >= 2
    assert not (tmp_path / ".snakemake/warm").exists()  # other machines use this folder

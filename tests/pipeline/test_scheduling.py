"""How often Snakemake looks for jobs while others run."""

import subprocess
import sys
from pathlib import Path

import pytest

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

"""A plan is not searched for garbage again and again."""

import os
import re
import subprocess
import sys

from tests.made.configs import ROOT

SNAKEFILE = f"""
include: "{ROOT}/workflow/machine.smk"

import gc
before = [generation["collections"] for generation in gc.get_stats()]
plan = [[] for _ in range(200_000)]  # as many things as hundreds of jobs have
after = [generation["collections"] for generation in gc.get_stats()]
print("looks", after[0] - before[0], "at all", after[2] - before[2])
"""


def test_thousands_of_jobs_are_kept_without_a_look_at_all_of_them(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    looks = re.search(r"^looks (\d+) at all (\d+)$", done.stdout, re.M)
    assert looks, done.stderr
    assert int(looks[1]) <= 5 and int(looks[2]) == 0

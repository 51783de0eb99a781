"""The guard against a fault of the SLURM executor."""

import os
import subprocess

import pytest

from redistil.machine import guard
from tests.made.configs import ROOT

GUARD = ROOT / "profiles/slurm/guard"


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Output of `sacct` behind the guard, where the cluster's own prints some words."""

    def run(words, code=0):
        cluster = tmp_path / "sacct"
        cluster.write_text(f"#!/bin/sh\nprintf '{words}'\nexit {code}\n")
        cluster.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        guard.put_before(GUARD)
        return subprocess.run(["sacct", "-X"], capture_output=True, text=True, check=code == 0)

    return run


def test_a_placeholder_is_no_node(said):
    assert said("   None assigned \\n").stdout == ""


def test_a_cancelled_job_has_ended(said):
    assert said("42|CANCELLED by 0\\n").stdout == "42|CANCELLED\n"


def test_nodes_and_states_pass(said):
    assert said("n1\\n12|RUNNING\\n").stdout == "n1\n12|RUNNING\n"


def test_a_failure_of_sacct_is_kept(said):
    assert said("", code=3).returncode == 3


def test_without_a_cluster_nothing_changes(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    guard.put_before(GUARD)
    assert os.environ["PATH"] == "/nowhere"

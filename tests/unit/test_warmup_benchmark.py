"""The benchmark of warm-ups, in small."""

import subprocess

import pytest
from click.testing import CliRunner

from benchmarks import warmup

BOTH = ["--arithmetics", "default,mkl-avx", "--first", "10"]


def table(folder, *more):
    words = ["--quick", "--backbones", "tiny-bert", "--seeds", "1", "--folder", str(folder), *more]
    done = CliRunner().invoke(warmup.main, words)
    assert done.exit_code == 0, done.output
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("tiny-")]
    return rows, done.stdout


def test_a_row_runs_once(tmp_path, monkeypatch):
    rows, output = table(tmp_path, *BOTH)
    assert [row[:3] for row in rows] == [["tiny-bert", "1", a] for a in ("default", "mkl-avx")]
    losses = [float(loss) for loss in rows[0][3].split()]
    assert len(losses) == 10 and losses[0] > 0
    assert rows[0][6] == "yes" and "0 did not learn" in output

    def run(*words, **how):
        raise AssertionError(f"run again: {words}")

    monkeypatch.setattr(subprocess, "run", run)
    again, _ = table(tmp_path, *BOTH)
    assert again == rows


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arithmetics", "sse"], "no arithmetic 'sse' (there is: default, mkl-avx"),
        (["--backbones", "bert-base"], "builds no cross-encoder 'bert-base'"),
        (["--backbones", "tiny-splade"], "builds no cross-encoder 'tiny-splade'"),
    ],
)
def test_unknown_names_are_refused(tmp_path, words, message):
    done = CliRunner().invoke(warmup.main, ["--folder", str(tmp_path), *words])
    assert done.exit_code == 2
    assert message in done.output.replace("\n", " ")

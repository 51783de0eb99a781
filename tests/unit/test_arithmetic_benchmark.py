"""The benchmark of arithmetics: how it reads and joins what its runs say."""

import csv

import pytest
import yaml
from click.testing import CliRunner

from benchmarks import arithmetic
from benchmarks.arithmetic import Comparison

HINGE = Comparison("In domain", "losses", "tiny/hinge", "tiny/bce")
INFONCE = Comparison("In domain", "losses", "tiny/infonce", "tiny/bce")


def result(folder, said, value):
    """Write what a run leaves: its study, its tests with these verdicts, its leaderboard."""
    tables = folder / "report/tables"
    tables.mkdir(parents=True)
    with open(tables / "tests.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*Comparison._fields, "verdict"])
        writer.writerows([*comparison, verdict] for comparison, verdict in said.items())
    (tables / "leaderboard.csv").write_text(f"system,In domain\ntiny/hinge,{value}\n")
    groups = {"In domain": ["one"], "Elsewhere": ["two"]}
    study = {"grid": {"datasets": ["one"]}, "groups": groups}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder


@pytest.fixture
def two(tmp_path):
    first = result(tmp_path / "a", {HINGE: "better", INFONCE: "better"}, 0.4)
    second = result(tmp_path / "b", {HINGE: "worse", INFONCE: "better"}, 0.375)
    return [first, second]


def test_a_turned_verdict_shows(two):
    lines = arithmetic.report(two, ["default", "mkl-avx"]).splitlines()
    assert f"{' | '.join(HINGE)} | better | worse | NO" in lines
    assert f"{' | '.join(INFONCE)} | better | better | yes" in lines
    assert lines[-1].startswith("1 of 2 verdicts agree under 2 arithmetics; 1 of these decide")


def test_values_show_their_spread(two):
    assert "In domain | tiny/hinge | 0.400 | 0.375 | 0.025" in arithmetic.report(two, ["a", "b"])


def test_undecided_comparisons_are_left_out(tmp_path):
    folder = result(tmp_path / "a", {HINGE: "not distinguishable"}, 0.4)
    assert "hinge | tiny/bce" not in arithmetic.report([folder], ["default"])


def test_runs_of_different_comparisons_are_refused(tmp_path):
    first = result(tmp_path / "a", {HINGE: "better", INFONCE: "better"}, 0.4)
    second = result(tmp_path / "b", {HINGE: "better"}, 0.4)
    with pytest.raises(SystemExit, match="1 comparisons are not in every run, first In domain lo"):
        arithmetic.report([first, second], ["a", "b"])


def test_the_copy_is_the_working_tree(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/kept").write_text("kept")
    arithmetic.copied(tmp_path)
    for name in ("Snakefile", "params.yaml", "src/redistil/errors.py"):
        assert (tmp_path / name).read_bytes() == (arithmetic.PROJECT / name).read_bytes()
    assert (tmp_path / "data/kept").read_text() == "kept"
    assert (tmp_path / "studies/miniature.yaml").exists()


def test_unknown_arithmetics_are_refused(tmp_path):
    words = ["--arithmetics", "sse", "--folder", str(tmp_path)]
    done = CliRunner().invoke(arithmetic.main, words)
    assert done.exit_code == 2
    assert "no arithmetic 'sse' (there is: default, mkl-avx" in done.output.replace("\n", " ")

"""Commands in turn: the second of two writers takes what the first made, if it is the same."""

import sys

import pytest

import redistil.cli
from redistil.machine import gpus
from redistil.storage.claims import claimed
from redistil.storage.lineage import Made
from redistil.storage.tables import RUN
from tests.made.rankings import run_of


@pytest.fixture(autouse=True)
def own_arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])


@pytest.fixture
def candidates(tmp_path):
    path = tmp_path / "candidates.parquet"
    RUN.write(run_of({"q1": {"a": 2.0, "b": 1.0}, "q2": {"c": 1.0}}), path, Made("test", "t"))
    return path


def shuffle(candidates, out, seed=1):
    """Run `redistil shuffle` and return its exit status."""
    sys.argv = ["redistil", "shuffle", str(candidates), str(out)]
    sys.argv += ["--name", "random/1/d", "--seed", str(seed), "--depth", "2"]
    with pytest.raises(SystemExit) as ended:
        redistil.cli.main()
    return ended.value.code or 0


@pytest.mark.parametrize("seed, taken", [(1, True), (2, False)], ids=["same", "other settings"])
def test_a_second_writer_takes_what_fits(tmp_path, candidates, monkeypatch, seed, taken):
    out = tmp_path / "out.parquet"
    assert shuffle(candidates, out, seed) == 0
    before = out.stat().st_ino
    monkeypatch.setattr("redistil.cli.turns.claims.claimed", lambda *_, **__: waited())
    assert shuffle(candidates, out, 1) == 0
    assert (out.stat().st_ino == before) == taken


class waited:
    """The claim of a job that waited for another."""

    def __enter__(self):
        return True

    def __exit__(self, *error):
        pass


def test_a_held_output_is_left_alone(tmp_path, candidates, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # launched processes cannot wait for long
    monkeypatch.setenv("RANK", "0")
    out = tmp_path / "out.parquet"
    with claimed(out):
        assert shuffle(candidates, out) == 2
    assert not out.exists()


def test_only_what_computes_holds_a_gpu(tmp_path, candidates, monkeypatch):
    def refused(device):
        raise AssertionError("a shuffle held a GPU")

    monkeypatch.setattr(gpus, "in_turn", refused)
    assert shuffle(candidates, tmp_path / "out.parquet") == 0


def test_what_writes_nothing_claims_nothing(tmp_path, candidates, monkeypatch, capsys):
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("q1 0 a 1\n")
    words = [
        "evaluate",
        str(candidates),
        str(qrels),
        "--measure",
        "nDCG@10",
        "--relevant-from",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", ["redistil", *words])
    monkeypatch.setattr("redistil.cli.turns.claims.claimed", None)
    with pytest.raises(SystemExit) as ended:
        redistil.cli.main()
    assert not ended.value.code and "nDCG@10" in capsys.readouterr().out

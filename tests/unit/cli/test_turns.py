"""Commands in turn: the second of two writers takes what the first made, if it is the same."""

import sys

import pyarrow as pa
import pytest

import redistil.cli
from redistil.machine import gpus
from redistil.storage import digests
from redistil.storage.claims import claimed
from redistil.storage.lineage import Made
from redistil.storage.tables import QRELS, RUN
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


def import_run(candidates, judged, out):
    """Run `redistil import-run` where one passage is judged; return its exit status."""
    qrels = out.with_name("qrels.parquet")
    rows = [{"query_id": "q1", "doc_id": judged, "relevance": 1}]
    rows.append({"query_id": "q2", "doc_id": judged, "relevance": 1})
    QRELS.write(pa.Table.from_pylist(rows, QRELS.schema), qrels, Made("test", "q"))
    sys.argv = ["redistil", "import-run", str(candidates), str(qrels), str(out)]
    sys.argv += ["--name", "x/d", "--drop-identical", "no", "--least-success", "0.1"]
    with pytest.raises(SystemExit) as ended:
        redistil.cli.main()
    return ended.value.code or 0


def test_a_first_stage_tells_its_cost(tmp_path, candidates):
    out = tmp_path / "out.parquet"
    assert import_run(candidates, "a", out) == 0
    cost = digests.read_json(tmp_path / "out.cost.json")
    assert cost["pairs"] == RUN.count(out) == 3 and cost["seconds"] > 0
    assert cost["machine"]["Python"] and cost["ended"].startswith("20")


def test_a_refused_first_stage_leaves_nothing(tmp_path, candidates):
    assert import_run(candidates, "nowhere", tmp_path / "out.parquet") == 2
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".claim")}
    assert left == {"candidates.parquet", "qrels.parquet"}


def test_a_first_stage_refused_by_the_system_leaves_nothing(tmp_path, candidates, monkeypatch):
    """Its sources may be folders in which a file comes and goes."""

    def gone(*_, **__):
        raise FileNotFoundError(2, "No such file", "somewhere")

    monkeypatch.setattr("redistil.stages.candidates.imported.import_run", gone)
    assert import_run(candidates, "a", tmp_path / "out.parquet") == 2
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".claim")}
    assert left == {"candidates.parquet", "qrels.parquet"}

"""Costs of work, gathered from beside models and runs and put beside effectiveness."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redistil.stages.report.numbers import cost_sheet, costs, wording
from redistil.storage import digests
from tests.made import report_study
from tests.made.report_study import board_line

CELL = "small-bert/hinge/1"
VALUES = {"In domain": 0.51239, "Out of domain": 0.4}


@pytest.fixture
def told(tmp_path: Path) -> tuple[dict[str, Any], list[Path], list[tuple[str, Path]]]:
    """A study with its models, and folders of runs that tell nothing yet."""
    study = report_study.config()
    options = report_study.write(tmp_path, study)
    names = ["both", *(f"{s}/{x}/{n}" for s in study["grid"]["students"]
                       for x in study["grid"]["losses"] for n in (1, 2))]  # fmt: skip
    runs = [(name, tmp_path / "runs" / name) for name in names]
    for _, folder in runs:
        folder.mkdir(parents=True)
    return study, [Path(path) for path in options["models"]], runs


def tell(path: Path, seconds: float, pairs: int, **more: Any) -> None:
    said = {"seconds": seconds, "pairs": pairs, "device": "an abacus"} | more
    digests.write_json({"processor_joules": None, "gpu_joules": None} | said, path)


def tell_all(folder: Path, seconds: float, pairs: int, **more: Any) -> None:
    """Tell of every dataset of the study, a third of it each."""
    for dataset in report_study.config()["grid"]["datasets"]:
        tell(folder / f"{dataset}.cost.json", seconds / 3, pairs // 3, **more)


def row_of(rows: list[dict[str, Any]], system: str) -> dict[str, Any]:
    (row,) = [row for row in rows if row.system == system]
    return row


def with_energy(row: costs.Cost, **joules: float) -> costs.Cost:
    return replace(row, reranking=replace(row.reranking, **joules))


def test_a_systems_runs_are_summed_and_its_training_is_told_apart(told: Any, tmp_path: Path):
    study, models, runs = told
    folder = dict(runs)[CELL]
    tell(folder / "test.cost.json", 2.0, 100, processor_joules=10.0)
    tell(folder / "hard.cost.json", 2.0, 300, processor_joules=4.0)
    tell(folder / "away.cost.json", 1.0, 100, processor_joules=1.0)
    tell(tmp_path / "models" / CELL / "cost.json", 60.0, 1200, gpu_joules=7.5)
    tell_all(dict(runs)["both"], 6.0, 60)
    rows = costs.rows(study, models, runs)
    assert [row.system for row in rows] == ["both", CELL]
    row = row_of(rows, CELL)
    assert (row.reranking.seconds, row.reranking.pairs_per_second) == (5.0, 100.0)
    assert (row.reranking.processor_joules, row.reranking.gpu_joules) == (15.0, None)
    assert (row.training.seconds, row.training.pairs_per_second) == (60.0, 20.0)
    assert (row.training.processor_joules, row.training.gpu_joules) == (None, 7.5)
    assert (row.student, row.loss, row.seed) == ("small-bert", "hinge", 1)
    both = row_of(rows, "both")
    assert both.training.seconds is None and both.reranking.device == "an abacus"


def test_a_student_has_its_teachers_cost(told: Any, tmp_path: Path, monkeypatch: Any):
    study, models, runs = told
    monkeypatch.setattr(costs, "teacher_of", lambda study, loss: "both" if loss == "hinge" else "")
    tell(tmp_path / "both.cost.json", 10.0, 50, device_seconds=20.0)
    (tmp_path / "member").mkdir()
    tell(tmp_path / "member/cost.json", 30.0, 900, device_seconds=60.0)
    for loss in ("hinge", "infonce"):
        tell(tmp_path / f"models/small-bert/{loss}/1/cost.json", 60.0, 9, device_seconds=120.0)
    scores = [("both", tmp_path / "both.parquet")]
    taught = costs.of_teachers(scores, [("both", tmp_path / "member/made.json")])
    rows = costs.rows(study, models, runs, taught)
    hinge, infonce = row_of(rows, CELL), row_of(rows, "small-bert/infonce/1")
    assert (hinge.teacher.work, hinge.share) == (80.0, 0.4)
    assert (infonce.teacher.work, infonce.share) == (None, None)
    board = [board_line(f"small-bert/{loss}", **VALUES) for loss in ("hinge", "infonce")]
    sheet = cost_sheet.sheet(study, board, rows)
    assert list(sheet.header[3:]) == ["teacher s", "train s", "train pairs/s", "teacher's share"]
    cells = [[cell.text for cell in row][3:] for row in sheet.rows if row]
    assert cells == [["80", "120", "0.1", "40%"], ["–", "120", "0.1", "–"]]


def test_a_work_that_two_teachers_share_counts_once(
    told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study, _, _ = told
    teachers = {"hinge": "one", "infonce": "both"}
    monkeypatch.setattr(costs, "teacher_of", lambda study, loss: teachers[loss])
    scores, seconds = [], {"one": 1.0, "both": 2.0, "other": 4.0, "unread": 8.0}
    for name, spent in seconds.items():
        tell(tmp_path / f"{name}.cost.json", spent, 50, device_seconds=spent)
        scores.append((name, tmp_path / f"{name}.parquet"))
    (tmp_path / "member").mkdir()
    tell(tmp_path / "member/cost.json", 100.0, 900, device_seconds=100.0)
    models = [("one", tmp_path / "member/made.json"), ("both", tmp_path / "member/made.json")]
    assert costs.of_all_teachers(study, scores, models).work == 103.0
    assert costs.of_all_teachers(study, scores, [("one", tmp_path / "no/made.json")]).work == 2.0


def test_a_teacher_that_tells_half_is_unknown(tmp_path: Path):
    tell(tmp_path / "both.cost.json", 10.0, 50, device_seconds=20.0)
    scores = [("both", tmp_path / "both.parquet")]
    found = costs.of_teachers(scores, [("both", tmp_path / "missing/made.json")])
    assert found["both"] == costs.Spent()


def test_runs_on_other_data_sets_do_not_count_and_some_are_not_all(told: Any):
    study, models, runs = told
    folder = dict(runs)[CELL]
    tell_all(folder, 6.0, 300)
    tell(folder / "left.cost.json", 100.0, 100)  # of a dataset that left the grid
    assert row_of(costs.rows(study, models, runs), CELL).reranking.seconds == 6.0
    (folder / "hard.cost.json").unlink()
    assert costs.rows(study, models, runs) == []


def test_joules_that_one_run_does_not_tell_are_not_those_of_all(told: Any):
    study, models, runs = told
    folder = dict(runs)[CELL]
    tell_all(folder, 6.0, 300, processor_joules=10.0)
    tell(folder / "hard.cost.json", 3.0, 400)
    row = row_of(costs.rows(study, models, runs), CELL)
    assert row.reranking.processor_joules is None and row.reranking.seconds == 7.0


def test_what_is_written_is_read(told: Any, tmp_path: Path):
    study, models, runs = told
    assert costs.read(tmp_path) == []
    tell_all(dict(runs)[CELL], 7.5, 300)
    rows = costs.rows(study, models, runs)
    costs.write(rows, tmp_path)
    (found,) = costs.read(tmp_path)
    assert found == rows[0]
    costs.write([], tmp_path)
    assert costs.read(tmp_path) == []


def test_a_line_has_the_mean_of_its_seeds_and_the_table_what_is_known(told: Any):
    study, models, runs = told
    for seed, seconds in ((1, 2.0), (2, 6.0)):
        tell_all(dict(runs)[f"small-bert/hinge/{seed}"], seconds, 1200)
    rows = costs.rows(study, models, runs)
    mean = costs.over_seeds(study, rows)["small-bert/hinge"]
    assert (mean.reranking.seconds, mean.reranking.pairs_per_second) == (4.0, 400.0)
    board = [board_line(name, **VALUES) for name in ("small-bert/hinge", "random")]
    sheet = cost_sheet.sheet(study, board, rows)
    heads = ["rank s", "rank pairs/s"]
    assert list(sheet.header) == ["system", "In domain", "Out of domain", *heads]
    assert [[cell.text for cell in row] for row in sheet.rows if row] == [
        ["small-bert/hinge", "0.512", "0.400", "4", "400"]
    ]
    assert "an abacus" in sheet.caption
    assert "Energy: not readable on this machine." in sheet.caption
    rows = [with_energy(row, processor_joules=12345.6) for row in rows]
    sheet = cost_sheet.sheet(study, board, rows)
    assert sheet.header[-1] == "rank J" and sheet.rows[0] and sheet.rows[0][-1].text == "12,346"
    rows = [with_energy(row, gpu_joules=100.0) for row in rows]
    joules = costs.amounts(study, rows, "reranking")["joules"]
    assert joules == {"small-bert/hinge": pytest.approx(12445.6)}
    assert "processors and GPUs" in costs.energy(rows)
    assert "not readable" not in sheet.caption and "machine's processors mean" in sheet.caption


def test_interruptions_are_told(told: Any, tmp_path: Path):
    study, models, runs = told
    tell_all(dict(runs)[CELL], 6.0, 60, interruptions=0)
    assert cost_sheet.interruptions(costs.rows(study, models, runs)) == ""
    tell(tmp_path / "models" / CELL / "cost.json", 60.0, 1200, interruptions=2)
    rows = costs.rows(study, models, runs)
    costs.write(rows, tmp_path)
    assert costs.read(tmp_path) == rows
    sheet = cost_sheet.sheet(study, [board_line(CELL, **VALUES)], rows)
    assert "Interrupted 2 times; the seconds hold what that lost." in sheet.caption


def test_amounts_are_read_at_a_glance():
    said = [wording.amount_in_words(value) for value in (None, 0.01234, 5.0, 99.94, 123456.7)]
    assert said == ["–", "0.0123", "5", "99.9", "123,457"]

"""Tables and figures of an invented study, from the commands that the rules call."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from redistil.errors import Damaged, Stale
from redistil.storage import lineage
from redistil.study import artefacts as studies
from tests.made import report_study
from tests.made.report_study import ended_well, named, page, plot, rows_of, tabulate


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A study through both commands."""
    folder = tmp_path_factory.mktemp("study")
    options = report_study.write(folder, report_study.config(title="A study of $x$"))
    ended_well(tabulate(folder, options))
    ended_well(plot(folder, options, *named(options, "curves")))
    return folder, options


def test_the_tables_are_written_with_their_record(built: tuple[Path, Any]):
    folder = built[0] / "tables"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells.csv", "costs.csv", "leaderboard.csv", "lines.csv", "losses.csv", "machines.csv",
        "made.json", "metrics.json", "paste", "published.csv", "tables.json", "tests.csv",
        "versus.csv",
    ]  # fmt: skip
    told = report_study.command("tabulate", "--help").output
    assert [path.name for path in folder.iterdir() if path.stem not in told] == []
    assert len(rows_of(folder / "leaderboard.csv")) == 8
    assert len(rows_of(folder / "losses.csv")) == 4
    made = lineage.of(folder)
    assert (made.command, made.name, made.settings["alpha"]) == ("tabulate", "small", 0.05)
    assert "evaluate small-bert/hinge/1" in made.inputs


def test_every_cell_names_the_file_and_fingerprint_it_comes_from(built: tuple[Path, Any]):
    cells = rows_of(built[0] / "tables" / "cells.csv")
    assert len(cells) == 12 * 3 * 2
    for cell in cells:
        made = lineage.of(Path(cell["file"]))
        assert (made.name, made.fingerprint) == (cell["system"], cell["fingerprint"])


def test_the_same_study_gives_the_same_bytes(built: tuple[Path, Any], tmp_path: Path):
    folder, options = built
    (tmp_path / "figures").mkdir()
    ended_well(tabulate(tmp_path, options))
    ended_well(plot(tmp_path, options, *named(options, "curves")))
    for path in [*(folder / "tables").glob("*.*"), *(folder / "figures").glob("*.[sp][vn]g")]:
        assert (tmp_path / path.parent.name / path.name).read_bytes() == path.read_bytes(), path


def test_a_stale_measure_stops_everything_before_a_file_is_written(tmp_path: Path):
    study = report_study.config()
    asked = studies.settings_of(study)["train", "small-bert/hinge/1"]
    stale = {("train", "small-bert/hinge/1"): asked | {"learning_rate": 0.5}}
    result = tabulate(tmp_path, report_study.write(tmp_path, study, made_otherwise=stale))
    assert isinstance(result.exception, Stale)
    assert "learning_rate = 0.5" in str(result.exception)
    assert not (tmp_path / "tables").exists()


def test_systems_measured_on_different_queries_are_refused(tmp_path: Path):
    def fewer(system: studies.System, dataset: str) -> np.ndarray:
        found = report_study.values(system, dataset)
        return found[:-1] if (system.name, dataset) == ("bm25", "away") else found

    result = tabulate(tmp_path, report_study.write(tmp_path, report_study.config(), fewer))
    assert isinstance(result.exception, Stale)
    assert "bm25.parquet" in str(result.exception) and "away has 39 queries" in str(
        result.exception
    )


def test_a_measure_that_is_missing_is_refused(tmp_path: Path):
    def none(system: studies.System, dataset: str) -> np.ndarray:
        return report_study.values(system, dataset)[: 0 if dataset == "away" else None]

    result = tabulate(tmp_path, report_study.write(tmp_path, report_study.config(), none))
    assert isinstance(result.exception, Stale)
    assert "away has 0 queries" in str(result.exception)


def test_a_student_may_have_fewer_seeds(tmp_path: Path):
    study = report_study.config()
    study["grid"]["fewer_seeds"] = {study["grid"]["students"][-1]: 1}
    ended_well(tabulate(tmp_path, report_study.write(tmp_path, study)))
    seeds = {row["seeds"] for row in rows_of(tmp_path / "tables" / "losses.csv")}
    assert seeds == {"1"} and len(study["grid"]["seeds"]) > 1


def test_losses_meet_on_the_students_of_both(tmp_path: Path):
    study = report_study.config()
    last, students = study["grid"]["losses"][-1], study["grid"]["students"]
    study["grid"]["fewer_students"] = {last: students[:1]}
    options = report_study.write(tmp_path, study)
    for done in (tabulate(tmp_path, options), plot(tmp_path, options), page(tmp_path, options)):
        ended_well(done)
    losses = rows_of(tmp_path / "tables/losses.csv")
    assert {row["students"] for row in losses if row["loss"] == last} == {"1"}
    means = {row["system"]: row for row in rows_of(tmp_path / "tables/leaderboard.csv")}
    assert f"{students[1]}/{last}" not in means
    for row in rows_of(tmp_path / "tables/versus.csv"):
        one, other = (means[f"{students[0]}/{row[key]}"] for key in ("loss", "against"))
        apart = float(one[row["group"]]) - float(other[row["group"]])
        assert (row["against"] != last) or float(row["difference"]) == pytest.approx(apart)
    assert f"({last}: {students[0]} alone)" in (tmp_path / "index.html").read_text()


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, dict[str, list[str]]]:
    """Tables, and figures without curves, of a study of its own, to be spoiled."""
    options = report_study.write(tmp_path, report_study.config())
    ended_well(tabulate(tmp_path, options))
    ended_well(plot(tmp_path, options))
    return tmp_path, options


def test_tables_edited_by_hand_are_refused(small: tuple[Path, Any]):
    folder, options = small
    path = folder / "tables" / "tables.json"
    path.write_text(path.read_text().replace('"better"', '"best"'))
    for result in (plot(folder, options), page(folder, options)):
        assert isinstance(result.exception, Damaged)
        assert "tables.json is damaged" in str(result.exception)
    assert not (folder / "index.html").exists()


def test_tables_of_another_version_of_the_study_are_refused(small: tuple[Path, Any]):
    folder, options = small
    study = report_study.config(title="Another title")
    (folder / "study.yaml").write_text(yaml.safe_dump(dict(study)), encoding="utf-8")
    result = page(folder, options)
    assert isinstance(result.exception, Stale)
    assert "study.yaml" in str(result.exception)


def test_figures_of_other_tables_are_refused(small: tuple[Path, Any]):
    folder, options = small
    again = tabulate(folder, options | {"models": options["models"][::-1]})
    ended_well(again)  # the same inputs in another order are the same tables
    ended_well(page(folder, options))
    ended_well(tabulate(folder, options, alpha=0.01))
    result = page(folder, options)
    assert isinstance(result.exception, Stale)
    assert "tabulate small" in str(result.exception)


def test_a_folder_without_a_record_is_refused(small: tuple[Path, Any]):
    folder, options = small
    (folder / "tables" / "made.json").unlink()
    result = plot(folder, options)
    assert isinstance(result.exception, Stale)
    assert "does not hold what `redistil tabulate` writes" in str(result.exception)


def test_a_figure_left_over_from_an_earlier_study_is_not_published(small: tuple[Path, Any]):
    folder, options = small
    (folder / "figures" / "earlier.svg").write_text("<svg/>")
    ended_well(page(folder, options))
    sealed = lineage.of(folder / "figures").settings["sha256"]
    assert "earlier.svg" not in sealed
    assert (folder / "index.html").read_text().count("<figure>") == len(
        {Path(name).stem for name in sealed}
    )


def test_figures_are_drawn_with_every_name_and_no_date(built: tuple[Path, Any]):
    folder = built[0] / "figures"
    forest, curves = ((folder / f"{name}.svg").read_text() for name in ("forest", "curves"))
    for word in ("small-bert", "small-electra", "hinge", "infonce", "splade (first stage)"):
        assert word in forest
    assert "both (teacher)" in forest and "Out of domain" in forest
    assert "training loss" in curves and "hinge" in curves
    assert "<dc:date>" not in forest + curves
    assert (folder / "forest.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_are_plain_numbers(built: tuple[Path, Any]):
    found = json.loads((built[0] / "tables" / "metrics.json").read_text())
    assert all(isinstance(value, float) for group in found.values() for value in group.values())

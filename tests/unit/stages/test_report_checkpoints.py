"""Checkpoints of others on the page: beside students, and in a study that trains nothing."""

from pathlib import Path
from typing import Any

import pytest

from redistil.stages.report.numbers import published
from redistil.stages.report.numbers.entries import Values, entries
from redistil.study.artefacts import systems
from tests.made import report_study
from tests.made.configs import resolved
from tests.made.report_study import RESOURCES, ended_well, named, only, rows_of

THEIRS = {"hub": "a/b", "revision": "main", "form": "plain", "architecture": "cat"}
THEIRS |= {"query_length": 9, "passage_length": 9, "pair_length": 20, "pair_form": "native"}


def config(*, alone: bool) -> Any:
    """Return the small study with two checkpoints; alone: and nothing that is trained."""
    study = report_study.config(checkpoints={"good": THEIRS, "fair": THEIRS})
    study["grid"]["checkpoints"] = ["good", "fair"]
    if alone:
        study["grid"] |= {"students": [], "losses": [], "seeds": [], "teachers": []}
        del study["training"]
    return study


def built(folder: Path, study: Any) -> dict[str, Any]:
    """Run every command of the report up to the page."""
    options: dict[str, Any] = report_study.write(folder, study)
    ended_well(report_study.tabulate(folder, options))
    ended_well(report_study.plot(folder, options, *named(options, "curves")))
    report_study.compare(folder, options, report_study.write_texts(folder, study))
    ended_well(report_study.page(folder, options))
    return options


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    built(folder, config(alone=True))
    return folder


def test_the_page_names_the_best(alone: Path):
    html = (alone / "index.html").read_text()
    board = rows_of(alone / "tables/leaderboard.csv")
    best = max(board, key=lambda row: float(row["In domain"]))
    assert f"In domain: the {best['kind']} {best['system']} is best" in html
    assert "No student was trained, so no loss is compared." in html
    assert "2 checkpoints of others, used to re-rank the top" in " ".join(html.split())
    assert 'id="losses"' not in html and "Loss against loss" not in html


def test_checkpoints_are_tested_against_first_stages(alone: Path):
    tests = rows_of(alone / "tables/tests.csv")
    pairs = {(row["system"], row["against"]) for row in tests}
    assert pairs == {(c, f) for c in ("good", "fair") for f in ("splade", "bm25")}
    assert {row["family"] for row in tests} == {"baselines"}


def test_the_main_table_has_no_students(alone: Path):
    main = (alone / "tables/paste/main.md").read_text()
    assert "nothing trained, re-ranking the top 5 of splade" in main
    assert "| good | checkpoint |" in " ".join(main.split())


def test_students_are_tested_against_checkpoints(tmp_path: Path):
    study = config(alone=False)
    options = report_study.write(tmp_path, study)
    ended_well(report_study.tabulate(tmp_path, options))
    tests = rows_of(tmp_path / "tables/tests.csv")
    pairs = {(row["system"], row["against"]) for row in tests if row["family"] == "baselines"}
    assert ("small-bert/hinge", "good") in pairs and ("good", "splade") in pairs
    assert ("good", "fair") not in pairs and ("good", "both") not in pairs


# --- theirs as published, and as measured here ----------------------------------------------------


def beside(students: list[str], checkpoints: list[str]) -> list[Any]:
    """Return the published rows; students have 0.7 everywhere, checkpoints 0.75."""
    study = report_study.config(checkpoints={name: THEIRS for name in checkpoints})
    study["students"] = {name: study["students"]["small-bert"] for name in students}
    seeds = [1, 2, 3] if students else []
    losses = ["infonce"] if students else []
    study["grid"] |= {"students": students, "losses": losses, "seeds": seeds}
    study["grid"] |= {"checkpoints": checkpoints, "datasets": ["dl19"]}
    study["grid"] |= {"first_stage": "splade-v3-distilbert"}
    means = {}
    for system in systems(study):
        value = 0.75 if system.kind == "checkpoint" else 0.7
        means[system.name, "dl19", "nDCG@10"] = value
    theirs = published.read(RESOURCES / "published.csv", RESOURCES / "published.yaml")
    lines = entries(systems(study))
    return published.beside(theirs, study, lines, Values({}, means, {}), 0.01, 0.95)


def test_three_values_stand_in_one_row():
    row = only(beside(["bert-base"], ["xpmir-bert-base-infonce"]), column="trec2019")
    assert row.system == "bert-base/infonce" and row.student == "bert-base"
    assert (row.ours, row.measured) == (pytest.approx(0.7), pytest.approx(0.75))
    assert row.theirs == pytest.approx(0.759, abs=5e-4)


def test_a_checkpoint_alone_has_its_row():
    row = only(beside([], ["xpmir-bert-base-infonce"]), column="trec2019")
    assert row.system == "xpmir-bert-base-infonce" and row.student is None
    assert row.ours == row.measured == pytest.approx(0.75)
    assert row.seeds == 1 and row.low is None


def test_other_checkpoints_have_no_value():
    row = only(beside(["bert-base"], ["ettin-reranker-17m"]), column="trec2019")
    assert row.measured is None


def test_every_mapped_name_is_known():
    theirs = published.read(RESOURCES / "published.csv", RESOURCES / "published.yaml")
    known = {(row["student"], row["loss_or_teacher"]) for row in theirs.rows}
    catalogue = resolved("published-checkpoints").checkpoints
    for names in theirs.names.values():
        for checkpoint, about in names.get("checkpoints", {}).items():
            assert checkpoint in catalogue
            assert all(tuple(pair) in known for pair in about), checkpoint

"""Students that retrieve, in the report: a line each, beside the first stages and apart from the
family of their losses.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redistil.errors import Stale
from redistil.stages.report.numbers import comparisons, provenance
from redistil.stages.report.numbers.comparisons import Group, Settings
from redistil.stages.report.numbers.entries import entries
from redistil.study.artefacts import systems
from tests.made import report_study
from tests.made.report_study import ended_well, named, only, rows_of

RETRIEVED = ("retrieved/small-bert/hinge", "retrieved/small-bert/infonce")


def config(*, retrieving: bool = True) -> Any:
    """Return the small study, a student of which is a bi-encoder."""
    study = report_study.config()
    study["students"]["small-bert"]["architecture"] = "dot"
    if retrieving:
        asked = {"students": ["small-bert"], "depth": 5, "shard": 9, "numbers": "float16"}
        study["retrieval"] = asked
    return study


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every command of the report up to the page."""
    folder, study = tmp_path_factory.mktemp("retrieving"), config()
    options: dict[str, Any] = report_study.write(folder, study)
    ended_well(report_study.tabulate(folder, options))
    ended_well(report_study.plot(folder, options, *named(options, "curves")))
    report_study.compare(folder, options, report_study.write_texts(folder, study))
    ended_well(report_study.page(folder, options))
    return folder


def test_each_has_a_line_over_its_seeds(built: Path):
    board = rows_of(built / "tables/leaderboard.csv")
    found = {row["system"]: row for row in board if row["kind"] == "retriever"}
    assert found.keys() == set(RETRIEVED)
    assert {row["seeds"] for row in found.values()} == {"2"}
    main = (built / "tables/paste/main.md").read_text()
    assert "| retrieved/small-bert/hinge" in main


def test_they_are_tested_against_first_stages_alone(built: Path):
    found = rows_of(built / "tables/tests.csv")
    pairs = {(row["system"], row["against"]) for row in found if "retrieved" in str(row)}
    assert pairs == {(r, f) for r in RETRIEVED for f in ("splade", "bm25")}
    assert {row["family"] for row in found if row["system"] in RETRIEVED} == {"baselines"}


def test_recall_at_their_depth_is_measured(built: Path):
    cells = rows_of(built / "tables/cells.csv")
    assert {row["measure"] for row in cells} == {"nDCG@10", "AP", "R@5"}


def test_the_page_shows_them(built: Path):
    html = (built / "index.html").read_text()
    assert 'data-kind="retriever"' in html and "retrieved/small-bert/infonce" in html


def families(study: Any) -> list[tuple[str, str, str]]:
    """Return who is tested against whom in the family of losses, with the corrected p."""
    values, lines = report_study.values_of(study), entries(systems(study))
    group = Group("In domain", ["test", "hard"], lines, "splade", values)
    found = comparisons.tests([group], Settings(0.05, 200, 1, 0.005))["In domain"]
    kept = [test for test in found if test.family == "losses"]
    return [(test.system, test.against, f"{test.p_holm:.12f}") for test in kept]


def test_the_family_of_losses_is_what_it_is_without_them():
    assert families(config()) == families(config(retrieving=False))


def test_their_seeds_are_a_pool_of_their_own():
    study = config()
    values, lines = report_study.values_of(study), entries(systems(study))
    group = Group("In domain", ["test", "hard"], lines, "splade", values)
    pools = {line.name: group.scope.cells[line.name].pool for line in lines}
    assert {pools[name] for name in RETRIEVED} == {"retrieved/small-bert"}
    assert pools["small-bert/hinge"] == "small-bert" and pools["splade"] is None
    over = group.scope.over([RETRIEVED[0]], ["splade"])
    assert over == "queries and seeds"


def test_measures_without_the_model_behind_them_are_refused():
    study = config()
    made = report_study.records(study)[f"evaluate {RETRIEVED[0]}/1"]
    system = only(systems(study), name=f"{RETRIEVED[0]}/1")
    provenance._check_descent(system, made, study["grid"]["datasets"])
    with pytest.raises(Stale, match="does not descend from the model small-bert/hinge/1"):
        provenance._check_descent(system, replace(made, ancestors={}), study["grid"]["datasets"])


def test_a_retriever_is_only_one_line_of_its_name():
    lines = entries(systems(config()))
    assert only(lines, name=RETRIEVED[0]).kind == "retriever"

"""The leaderboard of an invented study: what is aggregated, tested and corrected, and over what."""

from typing import Any

import numpy as np
import pytest

from redistil.stages.report.numbers import leaderboard, statistics
from redistil.stages.report.numbers.entries import Values
from redistil.stages.report.numbers.leaderboard import Entry, Settings, Tables
from redistil.stages.report.numbers.rows import flat
from redistil.study import artefacts as studies
from redistil.study.checks import COLUMNS
from tests.made import report_study
from tests.made.report_study import only, values_of

HOW = Settings(alpha=0.05, resamples=200, seed=1, margin=0.005)


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return report_study.config()


@pytest.fixture(scope="module")
def values(study: dict[str, Any]) -> Values:
    return values_of(study)


@pytest.fixture(scope="module")
def tables(study: dict[str, Any], values: Values) -> Tables:
    return leaderboard.tabulate(study, values, HOW)


def per_seed(values: Values, cell: str, datasets: list[str]) -> list[float]:
    return [
        float(np.mean([values.per_query[f"{cell}/{seed}", d].mean() for d in datasets]))
        for seed in (1, 2)
    ]


# --- entries ----------------------------------------------------------------------------------


def test_an_entry_is_a_student_and_loss_over_its_seeds(study: dict[str, Any]):
    lines = leaderboard.entries(studies.systems(study))
    assert [entry.name for entry in lines] == [
        "random", "splade", "bm25", "both",
        "small-bert/hinge", "small-bert/infonce", "small-electra/hinge", "small-electra/infonce",
    ]  # fmt: skip
    seeds = ("small-bert/hinge/1", "small-bert/hinge/2")
    assert lines[4] == Entry("small-bert/hinge", "student", "small-bert", "hinge", seeds)


# --- leaderboard ------------------------------------------------------------------------------


def test_a_group_is_aggregated_for_each_seed_and_then_summarised(tables: Tables, values: Values):
    row = only(tables.leaderboard, system="small-bert/hinge")
    seeds = per_seed(values, "small-bert/hinge", ["test", "hard"])
    assert row.seeds == 2
    assert row.value("In domain") == pytest.approx(np.mean(seeds))
    assert row.groups["In domain"].spread == pytest.approx(np.std(seeds, ddof=1))
    assert row.value("test") == pytest.approx(
        np.mean(per_seed(values, "small-bert/hinge", ["test"]))
    )
    assert row.groups["In domain"].low < row.value("In domain") < row.groups["In domain"].high


def test_every_baseline_stands_in_the_table_without_a_test(tables: Tables):
    kinds = {row.system: row.kind for row in tables.leaderboard if row.kind != "student"}
    assert kinds == {
        "random": "random", "splade": "first stage", "bm25": "first stage", "both": "teacher"
    }  # fmt: skip
    teacher = only(tables.leaderboard, system="both")
    assert teacher.groups["In domain"].difference > 0
    assert teacher.groups["In domain"].p is None and teacher.groups["In domain"].verdict is None
    assert teacher.groups["In domain"].spread is None
    assert only(tables.leaderboard, system="splade").groups["In domain"].difference is None


def test_the_best_in_the_first_group_comes_first(tables: Tables):
    column = [row.value("In domain") for row in tables.leaderboard]
    assert column == sorted(column, reverse=True)


def test_a_cell_is_tested_on_its_mean_over_seeds_against_the_first_stage(
    tables: Tables, values: Values
):
    row = only(tables.tests, group="Out of domain", family="cells", system="small-bert/infonce")
    cell = [values.per_query[f"small-bert/infonce/{seed}", "away"] for seed in (1, 2)]
    test = statistics.paired_t([np.mean(cell, axis=0) - values.per_query["splade", "away"]])
    assert (row.difference, row.p) == pytest.approx((test.difference, test.p))
    assert (row.against, row.queries) == ("splade", report_study.QUERIES)
    line = only(tables.leaderboard, system="small-bert/infonce")
    assert line.groups["Out of domain"].difference == pytest.approx(test.difference)
    assert line.groups["Out of domain"].p_holm == row.p_holm


@pytest.mark.parametrize("group", ["In domain", "Out of domain"])
@pytest.mark.parametrize(
    ("family", "size"), [("cells", 4), ("losses", 2), ("pairs", 2), ("loss pairs", 1)]
)
def test_a_family_is_corrected_within_its_group(tables: Tables, group: str, family: str, size: int):
    rows = [r for r in tables.tests if (r.group, r.family) == (group, family)]
    assert len(rows) == size
    assert [r.p_holm for r in rows] == statistics.holm([r.p for r in rows])


def test_equivalence_is_claimed_over_seeds_and_after_holm(study: dict[str, Any], values: Values):
    wide = Settings(alpha=0.05, resamples=200, seed=1, margin=0.25)
    tests = leaderboard.tabulate(study, values, wide).tests
    rows = [r for r in tests if (r.group, r.family) == ("Out of domain", "cells")]
    raw = []
    for row in rows:
        seeds = np.stack([values.per_query[f"{row.system}/{s}", "away"] for s in (1, 2)])
        of = statistics.uncertainty([[seeds - values.per_query["splade", "away"]]])
        raw.append(statistics.equivalence(row.difference, of, 0.25))
        assert row.p_seeds == pytest.approx(of.p(row.difference))
    assert [r.p_equivalence for r in rows] == pytest.approx(statistics.holm(raw))
    assert raw != statistics.holm(raw)
    assert {r.equivalence for r in rows if r.p_equivalence < 0.05} == {"equivalent"}
    assert {r.equivalence for r in rows if r.p_equivalence >= 0.05} <= {"not shown"}


def test_a_loss_is_tested_over_all_its_students_and_seeds(tables: Tables, values: Values):
    row = only(tables.losses, group="Out of domain", loss="hinge")
    cells = [
        values.per_query[f"{student}/hinge/{seed}", "away"]
        for student in ("small-bert", "small-electra")
        for seed in (1, 2)
    ]
    differences = np.mean(cells, axis=0) - values.per_query["splade", "away"]
    assert row.value == pytest.approx(np.mean(cells))
    assert row.p == pytest.approx(statistics.paired_t([differences]).p)
    assert (row.students, row.seeds) == (2, 2)
    assert row.verdict == "worse"
    best = only(tables.leaderboard, system=f"{row.best_student}/hinge")
    assert best.value("Out of domain") == row.best_value
    assert row.best_value >= row.value
    assert row.best_p_holm == best.groups["Out of domain"].p_holm


@pytest.mark.parametrize("group", ["In domain", "Out of domain"])
def test_a_difference_has_a_paired_interval_of_its_own(tables: Tables, group: str):
    """Hard queries are hard for both systems, so the difference is surer than either value."""
    rows = [row for row in tables.leaderboard if row.kind == "student"] + tables.losses
    for row in rows:
        if getattr(row, "group", group) == group:
            found = row if hasattr(row, "group") else row.groups[group]
            low, high = found.difference_low, found.difference_high
            assert low < found.difference < high
            assert high - low < 0.9 * (found.high - found.low)


def test_a_verdict_needs_the_corrected_p():
    def barely(system: studies.System, dataset: str) -> np.ndarray:
        away = np.tile([0.1, -0.1], report_study.QUERIES // 2) + 0.0352  # t = 2.2 for 40 queries
        return 0.5 + away * (system.kind == "student")

    study = report_study.config(groups={"One": ["test"]})
    found = leaderboard.tabulate(study, values_of(study, barely), HOW)
    cells = [row for row in found.tests if row.family == "cells"]
    assert all(row.p < 0.05 < row.p_holm for row in cells)
    assert {row.verdict for row in cells} == {"not distinguishable"}


def test_verdicts_follow_the_invented_truth(tables: Tables):
    """hinge was invented below the first stage, infonce above it."""
    words = {row.loss: row.verdict for row in tables.losses if row.group == "In domain"}
    assert words == {"hinge": "worse", "infonce": "better"}


def test_students_that_equal_the_first_stage_are_not_distinguishable(study: dict[str, Any]):
    def same(system: studies.System, dataset: str) -> np.ndarray:
        return np.linspace(0, 1, report_study.QUERIES)

    found = leaderboard.tabulate(study, values_of(study, same), HOW)
    assert {row.verdict for row in found.tests} == {"not distinguishable"}
    assert {row.p for row in found.tests} == {1}


def test_the_same_seed_gives_the_same_tables_and_another_other_intervals(
    study: dict[str, Any], values: Values, tables: Tables
):
    assert leaderboard.tabulate(study, values, HOW) == tables
    other = leaderboard.tabulate(study, values, Settings(0.05, 200, 2, 0.005))
    assert (
        other.leaderboard[0].groups["In domain"].low
        != tables.leaderboard[0].groups["In domain"].low
    )
    assert [row.p for row in other.tests] == [row.p for row in tables.tests]


def test_a_new_system_does_not_move_the_intervals_of_the_others(tables: Tables):
    study = report_study.config()
    study["grid"]["seeds"] = [1, 2, 3]
    wider = leaderboard.tabulate(study, values_of(study), HOW)
    for column in ("In domain low", "In domain high", "Out of domain low"):
        here, there = (only(found.leaderboard, system="splade") for found in (tables, wider))
        assert flat(here)[column] == pytest.approx(flat(there)[column])


def test_the_metrics_name_the_best_student_the_baselines_and_each_loss(tables: Tables):
    best = max(row.value("In domain") for row in tables.leaderboard if row.kind == "student")
    found = tables.metrics["In domain"]
    assert found["best student"] == best
    assert set(found) == {"best student", "random", "splade", "bm25", "both", "hinge", "infonce"}


def test_the_columns_that_no_group_may_be_called_are_those_before_the_numbers(tables: Tables):
    columns = list(flat(tables.leaderboard[0]))
    assert tuple(columns[: columns.index("In domain")]) == COLUMNS

"""The leaderboard of an invented study: what is aggregated, tested and corrected, and over what."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from redistil.stages.report.numbers import inference, leaderboard
from redistil.stages.report.numbers.entries import Values
from redistil.stages.report.numbers.leaderboard import Entry, Settings, Tables
from redistil.stages.report.numbers.rows import Verdicts, flat
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


def test_teachers_alone_of_baselines_are_tested(tables: Tables):
    kinds = {row.system: row.kind for row in tables.leaderboard if row.kind != "student"}
    assert kinds == {
        "random": "random", "splade": "first stage", "bm25": "first stage", "both": "teacher"
    }  # fmt: skip
    teacher = only(tables.leaderboard, system="both")
    assert teacher.groups["In domain"].difference > 0
    assert teacher.groups["In domain"].verdict == "better"
    for name in ("random", "bm25"):
        assert only(tables.leaderboard, system=name).groups["In domain"].verdict is None
    assert teacher.groups["In domain"].spread is None
    assert only(tables.leaderboard, system="splade").groups["In domain"].difference is None


def test_the_best_in_the_first_group_comes_first(tables: Tables):
    column = [row.value("In domain") for row in tables.leaderboard]
    assert column == sorted(column, reverse=True)


def test_a_line_shows_the_record_of_its_test(tables: Tables):
    test = only(
        tables.tests, group="Out of domain", family="baselines", system="small-bert/infonce",
        against="splade",
    )  # fmt: skip
    line = only(tables.leaderboard, system="small-bert/infonce").groups["Out of domain"]
    assert (line.difference, line.difference_low) == (test.difference, test.low)
    assert (line.p, line.p_holm, line.verdict) == (test.p, test.p_holm, test.verdict)
    assert test.queries == report_study.QUERIES and test.over == "queries and seeds"


@pytest.mark.parametrize(("family", "size"), [("losses", 4), ("baselines", 28)])
def test_a_family_is_corrected_over_all_groups(tables: Tables, family: str, size: int):
    """Two pairs of losses; four cells with three baselines, a teacher with two; on two groups."""
    tests = [test for test in tables.tests if test.family == family]
    assert [test.size for test in tests] == [size] * size
    p = np.array([test.p for test in tests])
    assert [test.p_holm for test in tests] == pytest.approx(list(inference.holm(p)))


def test_a_loss_is_over_all_its_students_and_seeds(tables: Tables, values: Values):
    row = only(tables.losses, group="Out of domain", loss="hinge")
    cells = [
        values.per_query[f"{student}/hinge/{seed}", "away"]
        for student in ("small-bert", "small-electra")
        for seed in (1, 2)
    ]
    lead = np.mean(cells) - values.per_query["splade", "away"].mean()
    assert (row.value, row.difference) == pytest.approx((np.mean(cells), lead))
    assert row.difference_low < row.difference < row.difference_high
    assert (row.students, row.seeds, row.verdicts) == (2, 2, Verdicts(0, 0, 0, 2))
    best = only(tables.leaderboard, system=f"{row.best_student}/hinge").groups["Out of domain"]
    assert (row.best_value, row.best_p_holm) == (pytest.approx(best.value), best.p_holm)


def test_two_losses_are_compared_student_by_student(tables: Tables):
    row = only(tables.versus, group="In domain")
    tests = [t for t in tables.tests if (t.family, t.group) == ("losses", "In domain")]
    assert (row.loss, row.against, row.verdicts) == ("hinge", "infonce", Verdicts(0, 0, 0, 2))
    assert row.difference == pytest.approx(np.mean([test.difference for test in tests]))
    assert row.low < row.difference < row.high and str(row.verdicts.turned) == "2/0/0"


@pytest.mark.parametrize("group", ["In domain", "Out of domain"])
def test_a_difference_is_surer_than_its_values(tables: Tables, group: str):
    """Hard queries are hard for both systems."""
    for line in tables.leaderboard:
        if line.kind == "student":
            on = line.groups[group]
            assert on.difference_low < on.difference < on.difference_high
            assert on.difference_high - on.difference_low < 0.9 * (on.high - on.low)
            assert on.low <= on.queries_low < on.value < on.queries_high <= on.high


def test_a_verdict_needs_the_corrected_p():
    def barely(system: studies.System, dataset: str) -> np.ndarray:
        away = np.tile([0.1, -0.1], report_study.QUERIES // 2) + 0.0352  # t = 2.2 for 40 queries
        return 0.5 + away * (system.kind == "student")

    study = report_study.config(groups={"One": ["test"]})
    found = leaderboard.tabulate(study, values_of(study, barely), HOW)
    students = {line.system for line in found.leaderboard if line.kind == "student"}
    beside = [row for row in found.tests if row.against == "splade"]
    tests = [row for row in beside if row.system in students]
    assert all(row.p < 0.05 < row.p_holm for row in tests)
    assert {row.verdict for row in tests} == {"not distinguishable"}


def test_verdicts_follow_the_invented_truth(tables: Tables):
    """hinge was invented below the first stage, infonce above it."""
    words = {row.loss: str(row.verdicts) for row in tables.losses if row.group == "In domain"}
    assert words == {"hinge": "0/0/2", "infonce": "2/0/0"}


def test_students_that_equal_the_first_stage_are_not_distinguishable(study: dict[str, Any]):
    def same(system: studies.System, dataset: str) -> np.ndarray:
        return np.linspace(0, 1, report_study.QUERIES)

    found = leaderboard.tabulate(study, values_of(study, same), HOW)
    assert {row.verdict for row in found.tests} <= {"not distinguishable", "equivalent"}
    assert {row.p for row in found.tests} == {1}


def test_a_seed_moves_the_randomisation_test_alone(
    study: dict[str, Any], values: Values, tables: Tables
):
    assert leaderboard.tabulate(study, values, HOW) == tables
    other = leaderboard.tabulate(study, values, Settings(0.05, 200, 2, 0.005))
    assert other.leaderboard == tables.leaderboard
    for one, two in zip(other.tests, tables.tests, strict=True):
        assert replace(one, p_randomisation=0) == replace(two, p_randomisation=0)


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

"""The first screen in words: who wins on which student, how sure, and at what cost."""

from dataclasses import replace
from typing import Any

import pytest

from redistil.stages.report.numbers import costs, leaderboard, rows
from redistil.stages.report.numbers.costs import Cost, Spent
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.page import summary
from redistil.storage.lineage import Made
from tests.made import report_study

SETTINGS = leaderboard.Settings(0.05, 200, 1, 0.005)
NAMES = ["a", "b", "c"]
LINES = {f"small/{loss}": loss for loss in NAMES}


@pytest.fixture(scope="module")
def study() -> Any:
    return report_study.config()


@pytest.fixture(scope="module")
def found(study: Any) -> Tabulated:
    tables = leaderboard.tabulate(study, report_study.values_of(study), SETTINGS)
    compared = (tables.leaderboard, tables.losses, tables.versus, tables.tests)
    return Tabulated(*compared, [], {}, {}, Made("tabulate", "small"), {})


def between(one: str, other: str, verdict: str, p: float = 0.5) -> rows.Test:
    """Return a test of two losses of the student `small`."""
    words = dict.fromkeys(rows.Test.__dataclass_fields__, 0.0)
    words |= {"family": "losses", "system": f"small/{one}", "against": f"small/{other}"}
    return rows.Test(**{**words, "verdict": verdict, "p_holm": p})


def standing(*tests: rows.Test) -> str:
    return summary._said(summary.standing(tests, LINES, NAMES))


def test_winners_beat_one_and_are_unbeaten():
    tests = between("a", "b", "worse", 0.03), between("b", "c", "equivalent")
    said = standing(*tests, between("a", "c", "worse", 0.0001))
    assert said == "b and c win and a loses (2 of 3 comparisons, p at most 0.030)"


def test_a_loss_between_two_neither_wins_nor_loses():
    tests = between("a", "b", "better", 0.01), between("b", "c", "better", 0.02)
    assert standing(*tests) == "a wins and c loses (2 of 2 comparisons, p at most 0.020)"


def test_a_circle_has_no_winner():
    tests = between("a", "b", "better", 0.01), between("b", "c", "better", 0.02)
    said = standing(*tests, between("a", "c", "worse", 0.0001))
    assert said.startswith("losses beat each other and none wins (3 of 3")


def test_students_that_agree_count_together():
    one = summary.Standing(("a",), ("b",), 3, 1, 0.01)
    other = summary.Standing(("a",), ("b",), 3, 2, 0.04)
    assert one.is_like(other)
    assert one.with_another(other) == summary.Standing(("a",), ("b",), 6, 3, 0.04)
    assert not one.is_like(other._replace(losers=()))


def test_nothing_shown_is_said_so():
    said = standing(between("a", "b", "not distinguishable"))
    assert said == "no loss is shown to be better than another in 1 comparisons"


def test_students_that_agree_are_one(study: Any, found: Tabulated):
    tests = [test for test in found.tests if test.group == "In domain"]
    said = summary.losses(study, found, tests)
    assert said == (
        "on every student, infonce wins and hinge loses (2 of 2 comparisons, p at most 0.001)."
    )


def test_students_that_differ_are_named(study: Any, found: Tabulated):
    tests = []
    for test in found.tests:
        is_electra = test.family == "losses" and test.system.startswith("small-electra")
        verdict = "not distinguishable" if is_electra else test.verdict
        if test.group == "In domain":
            tests.append(replace(test, verdict=verdict))
    said = summary.losses(study, found, tests)
    assert said.startswith("on small-bert, infonce wins and hinge loses (1 of 1 comparisons, p ")
    assert said.endswith("; on small-electra, no loss is shown to be better than another in 1 "
                         "comparisons.")  # fmt: skip


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (["queries and seeds"] * 2, "other queries and other seeds: at most 5%"),
        (["queries, of one training"] * 2, "other queries, of these trainings alone: at most"),
        (["queries and seeds", "queries, of one training"], "that were trained more than once:"),
    ],
)
def test_the_words_hold_over_what_the_tests_hold_over(study: Any, over: list[str], words: str):
    tests = []
    for name in over:
        tests.append(replace(between("a", "b", "better"), over=name))
    assert words in summary.blind_spot(study, tests)


def cost(loss: str, seed: int, teacher: float | None = None) -> Cost:
    who = (f"small-bert/{loss}/{seed}", "student", "small-bert", loss, seed)
    taught = Spent(device_seconds=teacher)
    return Cost(*who, Spent(seconds=1.0, device_seconds=60.0), Spent(), taught)


def test_costs_have_the_teachers_share(study: Any, found: Tabulated, monkeypatch: Any):
    monkeypatch.setattr(costs, "teacher_of", lambda study, loss: "both")
    spent = [cost("hinge", 1), cost("infonce", 1, 40.0), cost("infonce", 2, 40.0)]
    taught = Spent(device_seconds=40.0)
    assert summary.cost(study, replace(found, spent=spent, taught=taught)) == [
        "The 3 trainings took 3 minutes of processor or GPU time, 60 seconds each; their teacher "
        "took 0.67 minutes, 18% of both."
    ]
    alone = replace(found, spent=[cost("hinge", 1)])
    assert summary.cost(study, alone) == [
        "The training took 1 minutes of processor or GPU time, 60 seconds each."
    ]
    assert summary.cost(study, found) == []


def test_teachers_stand_beside_first_stages(study: Any, found: Tabulated, monkeypatch: Any):
    teachers = [line.system for line in found.leaderboard if line.kind == "teacher"]
    monkeypatch.setattr(costs, "teacher_of", lambda study, loss: teachers[0])
    tests = [test for test in found.tests if test.group == "In domain"]
    said = summary.teachers(study, found.leaderboard, tests)
    beside = [test for test in tests if test.system == teachers[0]]
    assert {test.against for test in beside} >= {"splade"}
    assert said.startswith(f"The teacher {teachers[0]} is {beside[0].verdict} ")
    monkeypatch.setattr(costs, "teacher_of", lambda study, loss: "")
    assert summary.teachers(study, found.leaderboard, tests) == ""

"""Every two lines of the leaderboard tested against each other, as the leaderboard tests them."""

from typing import Any

import numpy as np
import pytest

from redistil.stages.report.numbers import inference, leaderboard, pairs, statistics
from redistil.stages.report.numbers.leaderboard import Settings
from tests.made import report_study
from tests.made.report_study import SYSTEMS, values_of


@pytest.fixture(scope="module")
def tested() -> list[dict[str, Any]]:
    study = report_study.config()
    rows: list[dict[str, Any]] = pairs.compare(study, values_of(study), 2000, 1).to_pylist()
    return rows


def test_every_pair_of_lines_is_tested_in_every_group_and_data_set(tested: list[dict[str, Any]]):
    scopes = ["In domain", "Out of domain", "test", "hard", "away"]
    assert list(dict.fromkeys(row["scope"] for row in tested)) == scopes
    for scope in scopes:
        found = {(r["system"], r["against"]) for r in tested if r["scope"] == scope}
        assert len(found) == SYSTEMS * (SYSTEMS - 1) / 2


def pair(tested: list[dict[str, Any]], scope: str, one: str, other: str) -> dict[str, Any]:
    wanted = (scope, one, other)
    (row,) = [r for r in tested if (r["scope"], r["system"], r["against"]) == wanted]
    return row


def test_a_declared_pair_has_the_record_of_its_family(tested: list[dict[str, Any]]):
    """The first stage comes before the students, so the signs are turned."""
    study = report_study.config()
    tables = leaderboard.tabulate(study, values_of(study), Settings(0.05, 2000, 1, 0.005))
    turned = {"better": "worse", "worse": "better"}
    for test in tables.tests:
        if test.family == "baselines":
            row = pair(tested, test.group, test.against, test.system)
            assert (row["difference"], row["low"]) == (-test.difference, -test.high)
            assert row["verdict"] == turned.get(test.verdict, test.verdict)
        else:
            row = pair(tested, test.group, test.system, test.against)
            assert (row["difference"], row["low"]) == (test.difference, test.low)
            assert row["verdict"] == test.verdict
        assert (row["p"], row["p_holm"], row["family"]) == (test.p, test.p_holm, test.family)
        assert row["p_randomisation"] == pytest.approx(test.p_randomisation, abs=0.03)


def test_other_pairs_are_corrected_over_their_scope(tested: list[dict[str, Any]]):
    explored = [row for row in tested if row["family"] == "explored" and row["scope"] == "away"]
    assert len(explored) == SYSTEMS * (SYSTEMS - 1) / 2
    p = np.array([row["p"] for row in explored])
    assert [row["p_holm"] for row in explored] == pytest.approx(list(inference.holm(p)))


def test_between_two_baselines_it_is_the_paired_t_test(tested: list[dict[str, Any]]):
    from scipy import stats

    values = values_of(report_study.config()).per_query
    row = pair(tested, "away", "splade", "bm25")
    differences = values["splade", "away"] - values["bm25", "away"]
    test = stats.ttest_1samp(differences, 0)
    interval = test.confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert (row["p"], row["over"]) == (pytest.approx(test.pvalue), "queries")
    assert row["wins"] == (differences > 0).sum() and row["losses"] == (differences < 0).sum()


def test_signing_systems_is_signing_their_differences():
    """The shortcut by linearity gives the p values of the plain randomisation test."""
    rng = np.random.default_rng(1)
    strata = [rng.random((3, 30)) + np.array([[0], [0.05], [0.3]]), rng.random((3, 20))]
    couples = [(0, 1), (0, 2), (1, 2)]
    fast = pairs.randomised(strata, couples, 4000, np.random.default_rng(2))
    plain = statistics.paired_randomisation(
        [np.stack([s[a] - s[b] for a, b in couples]) for s in strata],
        4000,
        np.random.default_rng(3),
    )
    assert fast == pytest.approx(plain, abs=0.03)
    assert fast[1] < 0.05 < fast[0]

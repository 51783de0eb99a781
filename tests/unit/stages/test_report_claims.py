"""Claims of a study: read off the tests between losses, whichever way round they stand."""

from dataclasses import replace
from typing import Any

import pytest

from redistil.stages.report.numbers import claims, leaderboard
from redistil.stages.report.numbers.leaderboard import Tables
from redistil.study.protocol import Claim
from tests.made import report_study
from tests.made.configs import config_of, refusal
from tests.made.report_study import only

GROUP = "In domain"
CLAIM = {"says": "lists beat triples", "better": "infonce", "than": "hinge"}


@pytest.fixture(scope="module")
def study() -> Any:
    return report_study.config(claims=[CLAIM, CLAIM | {"gap_to": "small-bert"}])


@pytest.fixture(scope="module")
def tables(study: Any) -> Tables:
    settings = leaderboard.Settings(0.05, 200, 1, 0.005)
    return leaderboard.tabulate(study, report_study.values_of(study), settings)


def found_for(study: Any, tables: Tables, claim: Claim) -> list[claims.Tested]:
    return claims.tested(study, claim, GROUP, tables.leaderboard, tables.tests)


def test_a_claim_is_the_test_of_two_losses_of_each_student(study: Any, tables: Tables):
    plain, _ = study.claims
    found = found_for(study, tables, plain)
    assert [one.student for one in found] == ["small-bert", "small-electra"]
    for one in found:
        test = only(tables.tests, group=GROUP, family="losses", against=f"{one.student}/infonce")
        assert (one.test.system, one.test.against) == (test.against, test.system)
        assert one.test.difference == -test.difference > 0
        assert (one.test.low, one.test.high) == (-test.high, -test.low)
        assert (one.test.verdict, test.verdict) == ("better", "worse")
        assert one.share is None


def test_a_claim_the_other_way_round_is_contradicted(study: Any, tables: Tables):
    plain, _ = study.claims
    turned = plain.model_copy(update={"better": plain.than, "than": plain.better})
    assert {one.test.verdict for one in found_for(study, tables, turned)} == {"worse"}


def test_the_share_of_the_gap_is_of_what_lacked_before(study: Any, tables: Tables):
    _, gap = study.claims
    values = {"small-bert/hinge": 0.5, "small-electra/hinge": 0.3}
    lines = []
    for line in tables.leaderboard:
        value = values.get(line.system, 0.4)
        group = replace(line.groups[GROUP], value=value)
        lines.append(replace(line, groups={**line.groups, GROUP: group}))
    tests = [replace(test, difference=-0.15, verdict="worse") for test in tables.tests]
    (one,) = claims.tested(study, gap, GROUP, lines, tests)
    assert one.student == "small-electra" and one.share == pytest.approx(0.15 / 0.2)
    values["small-bert/hinge"] = 0.3  # no gap, so nothing of it is closed
    lines = [replace(line, groups=lines[0].groups) for line in lines]
    (one,) = claims.tested(study, gap, GROUP, lines, tests)
    assert one.share is None


def test_a_sentence_says_where_a_claim_is_shown(study: Any, tables: Tables):
    plain, gap = claims.sentences(study, tables.leaderboard, tables.tests)
    assert plain.startswith(
        "Claim, lists beat triples. In domain: shown on 2 of 2 students (small-bert, "
        "small-electra); contradicted on 0. Out of domain: shown on"
    )
    assert "In domain: shown on 1 of 1 students (small-electra); contradicted on 0" in gap


def test_the_part_of_a_gap_is_a_mean_over_students(study: Any, tables: Tables):
    values = {"small-bert/hinge": 0.4, "small-electra/hinge": 0.2}
    lines = []
    for line in tables.leaderboard:
        group = replace(line.groups[GROUP], value=values.get(line.system, 0.6))
        lines.append(replace(line, groups={**line.groups, GROUP: group}))
    tests = []
    for test in tables.tests:
        lead = {"small-bert": -0.1, "small-electra": -0.3}.get(test.system.split("/")[0], 0.0)
        tests.append(replace(test, difference=lead))
    gap = study.claims[0].model_copy(update={"gap_to": "reference"})
    reference = replace(lines[0], system="reference/hinge")
    shares = []
    for one in claims.tested(study, gap, GROUP, [*lines, reference], tests):
        shares.append(one.share)
    assert shares == pytest.approx([0.1 / 0.2, 0.3 / 0.4])
    study = study.model_copy(update={"claims": [gap]})
    (said,) = claims.sentences(study, [*lines, reference], tests)
    assert "there 62% of the gap is closed, on average over 2" in said


def test_no_part_of_a_gap_is_told_where_a_claim_is_not_shown(study: Any, tables: Tables):
    unsure = [replace(test, verdict="not distinguishable") for test in tables.tests]
    _, gap = claims.sentences(study, tables.leaderboard, unsure)
    assert "shown on 0 of 1 students" in gap and "of the gap" not in gap
    sheet = claims.sheet(study, tables.leaderboard, unsure)
    assert [(row or [])[-1].text for row in sheet.rows[-2:]] == ["–", "–"]


def test_the_table_has_a_row_for_each_student_and_group(study: Any, tables: Tables):
    sheet = claims.sheet(study, tables.leaderboard, tables.tests)
    parts = [len(row or []) for row in sheet.rows]
    assert parts == [8] * 4 + [0] + [8] * 2
    assert [cell.text for cell in sheet.rows[0] or []][:3] == [CLAIM["says"], GROUP, "small-bert"]


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"better": "margin-msa", "than": "hinge"}, "claims.better: no losses entry"),
        ({"better": "kl", "than": "hinge"}, "claims.better: 'kl' is not in the grid"),
        ({"better": "bce", "than": "hinge", "gap_to": "tiny-dot"}, "claims.gap_to: 'tiny-dot'"),
        ({"better": "hinge", "than": "hinge"}, "claims.than: 'hinge' is `better` too"),
    ],
)
def test_a_claim_about_what_is_not_compared_is_refused(claim: dict[str, str], said: str):
    config = config_of("embedded")
    config["claims"] = [{"says": "so it is"} | claim]
    assert said in refusal(config)


def test_a_claim_about_the_gap_to_the_only_student_is_refused():
    config = config_of("embedded")
    config["grid"]["students"] = ["tiny-bert"]
    config["claims"] = [{"says": "so", "better": "bce", "than": "hinge", "gap_to": "tiny-bert"}]
    assert "claims.gap_to: 'tiny-bert' is the only student" in refusal(config)

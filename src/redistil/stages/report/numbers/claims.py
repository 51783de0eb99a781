"""Claims that a study was made to show, read off the tests between the losses of a student.

A claim adds no test. It is that of two losses of each student, in the family of all losses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redistil.stages.report.numbers.inference import BETTER, LOSSES, WORSE
from redistil.stages.report.numbers.rows import Line, Test, by_system
from redistil.stages.report.numbers.sheets import PrintedRow, Sheet, printed
from redistil.stages.report.numbers.wording import interval, p_value, percent, signed
from redistil.study.protocol import Claim
from redistil.study.study import Study


@dataclass(frozen=True)
class Tested:
    """A claim on one student, in one group: the test behind it.

    share: of the gap to the claim's reference, the part that the better loss closes; None where
    the claim is not shown or about no gap, or where there is none.
    """

    student: str
    test: Test
    share: float | None


def tested(
    study: Study, claim: Claim, group: str, leaderboard: Sequence[Line], tests: Sequence[Test]
) -> list[Tested]:
    """Return the tests of a claim in a group, one for each student but the reference itself."""
    lines, results = by_system(leaderboard), []
    for student in study.grid.students:
        if student == claim.gap_to:
            continue
        better, than = f"{student}/{claim.better}", f"{student}/{claim.than}"
        gap = None
        if claim.gap_to and than in lines:
            reference = lines[f"{claim.gap_to}/{claim.than}"]
            gap = reference.value(group) - lines[than].value(group)
        for test in tests:
            if test.family != LOSSES or test.group != group:
                continue
            if (test.system, test.against) == (better, than):
                results.append(Tested(student, test, _share(test, gap)))
            elif (test.system, test.against) == (than, better):
                turned = test.turned()
                results.append(Tested(student, turned, _share(turned, gap)))
    return results


def _share(test: Test, gap: float | None) -> float | None:
    """Return the part of a gap; of a small gap it is large, and no finding by itself."""
    if test.verdict != BETTER or gap is None or gap <= 0:
        return None
    return test.difference / gap


def sentences(study: Study, leaderboard: Sequence[Line], tests: Sequence[Test]) -> list[str]:
    """Return a sentence or two for each claim: on which students it is shown, group by group."""
    lines = []
    for claim in study.claims:
        words = []
        for group in study["groups"]:
            results = tested(study, claim, group, leaderboard, tests)
            words.append(f"{group}: {_said(results)}")
        lines.append(f"Claim, {claim.says}. {' '.join(words)}")
    return lines


def _said(results: Sequence[Tested]) -> str:
    """Return where a claim stands in a group."""
    proven = [one for one in results if one.test.verdict == BETTER]
    shown = [one.student for one in proven]
    denied = [one.student for one in results if one.test.verdict == WORSE]
    words = [f"shown on {len(shown)} of {len(results)} students{_named(shown)}"]
    words.append(f"contradicted on {len(denied)}{_named(denied)}")
    shares = [one.share for one in proven if one.share is not None]
    if shares:
        mean = percent(sum(shares) / len(shares))
        words.append(f"there {mean} of the gap is closed, on average over {len(shares)}")
    return f"{'; '.join(words)}."


def _named(students: Sequence[str]) -> str:
    return f" ({', '.join(students)})" if students else ""


def sheet(study: Study, leaderboard: Sequence[Line], tests: Sequence[Test]) -> Sheet:
    """Return a row for each claim, group and student, with a line between claims."""
    rows: list[PrintedRow | None] = []
    for claim in study.claims:
        if rows:
            rows.append(None)
        for group in study["groups"]:
            for one in tested(study, claim, group, leaderboard, tests):
                test = one.test
                words = [claim.says, group, one.student, signed(test.difference)]
                words += [interval(test.low, test.high), p_value(test.p_holm), test.verdict]
                rows.append(printed([*words, percent(one.share)]))
    header = ["claim", "group", "student", "difference", "interval", "p", "verdict", "gap closed"]
    caption = (
        f"What the study was made to show, in {study['measures'][0]}: for each student one loss "
        "against another, with the interval (95 %) and the word of their test. p is corrected over "
        "the whole family of losses. Gap closed: of what the student taught with the second loss "
        "lacks to the reference taught with it; told where the claim is shown."
    )
    return Sheet(caption, header, rows, words=3)

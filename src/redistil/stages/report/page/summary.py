"""The first screen in words: what the tests of a study say, and what it cannot see."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from redistil.stages.report.numbers import claims, costs
from redistil.stages.report.numbers.inference import (
    BASELINES,
    BETTER,
    LOSSES,
    QUERIES_AND_SEEDS,
    WORSE,
)
from redistil.stages.report.numbers.rows import Line, Test, best, by_system, of_group, of_kind
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import amount_in_words, number, signed
from redistil.study.study import Study


class Standing(NamedTuple):
    """Standing of the losses of one student, after the tests between them.

    winners: losses that beat another and that no loss beats; losers: those that only are beaten.
    p: the largest corrected p of the comparisons that show a difference.
    """

    winners: tuple[str, ...]
    losers: tuple[str, ...]
    comparisons: int
    shown: int
    p: float

    def is_like(self, other: "Standing") -> bool:
        """Whether both have the same result, however sure it is."""
        result = (self.winners, self.losers, self.shown > 0)
        return result == (other.winners, other.losers, other.shown > 0)

    def with_another(self, other: "Standing") -> "Standing":
        """Return what the tests say of two students that are alike."""
        return self._replace(
            comparisons=self.comparisons + other.comparisons,
            shown=self.shown + other.shown,
            p=max(self.p, other.p),
        )


def summary(study: Study, tabulated: Tabulated) -> list[str]:
    """Return what a study found, a few words for each group, then cost and blind spot."""
    if not study["grid"]["students"]:
        return _without_students(study, tabulated)
    sentences = []
    for group in study["groups"]:
        tests = of_group(tabulated.tests, group)
        between = losses(study, tabulated, tests)
        beside = baselines(tabulated.leaderboard, group, tests)
        taught = teachers(study, tabulated.leaderboard, tests)
        sentences.append(" ".join(filter(None, [f"{group}:", between, beside, taught])))
    sentences += claims.sentences(study, tabulated.leaderboard, tabulated.tests)
    return [*sentences, blind_spot(study, tabulated.tests), *cost(study, tabulated)]


def _without_students(study: Study, tabulated: Tabulated) -> list[str]:
    """Return which system is best in each group, where nothing was trained."""
    sentences = []
    for group in study["groups"]:
        lines = [line for line in tabulated.leaderboard if line.kind != "random"]
        best_line = max(lines, key=lambda line: line.value(group))
        value = number(best_line.value(group))
        sentences.append(f"{group}: the {best_line.kind} {best_line.system} is best ({value}).")
    return [*sentences, "No student was trained, so no loss is compared."]


def losses(study: Study, tabulated: Tabulated, tests: Sequence[Test]) -> str:
    """Return which losses win on which student, and how sure that is; tests: of a group."""
    names = study["grid"]["losses"]
    if len(names) == 1:
        return f"{names[0]} is the only loss."
    standings = {}
    for student in study["grid"]["students"]:
        standings[student] = standing(tests, _loss_of(tabulated.leaderboard, student), names)
    words = []
    while standings:
        first = next(iter(standings.values()))
        alike = [name for name in standings if standings[name].is_like(first)]
        whose = "every student" if len(alike) == len(study["grid"]["students"]) > 1 else _all(alike)
        together = reduce(Standing.with_another, [standings.pop(name) for name in alike])
        words.append(f"on {whose}, {_said(together)}")
    return f"{'; '.join(words)}."


def _loss_of(leaderboard: Sequence[Line], student: str) -> dict[str, str]:
    """Return the loss of each line of a student that re-ranks."""
    loss_of = {}
    for line in of_kind(leaderboard, "student"):
        if line.student == student:
            loss_of[line.system] = str(line.loss)
    return loss_of


def standing(tests: Sequence[Test], loss_of: Mapping[str, str], names: Sequence[str]) -> Standing:
    """Return what the tests say of one student; loss_of: its losses by line."""
    beating, beaten, p_values = set(), set(), []
    comparisons = 0
    for test in tests:
        if test.family != LOSSES or test.system not in loss_of:
            continue
        comparisons += 1
        pair = [loss_of[test.system], loss_of[test.against]]
        if test.verdict in (BETTER, WORSE):
            better, worse = pair if test.verdict == BETTER else reversed(pair)
            beating.add(better)
            beaten.add(worse)
            p_values.append(test.p_holm)
    winners = tuple(name for name in names if name in beating - beaten)
    losers = tuple(name for name in names if name in beaten - beating)
    return Standing(winners, losers, comparisons, len(p_values), max(p_values, default=1.0))


def _said(standing: Standing) -> str:
    if not standing.shown:
        return f"no loss is shown to be better than another in {standing.comparisons} comparisons"
    words = []
    if standing.winners:
        words.append(f"{_all(standing.winners)} win{'s' if len(standing.winners) == 1 else ''}")
    if standing.losers:
        words.append(f"{_all(standing.losers)} lose{'s' if len(standing.losers) == 1 else ''}")
    result = " and ".join(words) or "losses beat each other and none wins"
    p = f"{standing.p:.3f}" if standing.p >= 0.001 else "0.001"
    return f"{result} ({standing.shown} of {standing.comparisons} comparisons, p at most {p})"


def baselines(leaderboard: Sequence[Line], group: str, tests: Sequence[Test]) -> str:
    """Return where the best student stands beside each first stage and teacher."""
    lines = by_system(leaderboard)
    line = best(leaderboard, group)
    if line is None:
        return ""
    words = []
    for test in tests:
        if test.family == BASELINES and test.system == line.system:
            words.append(_beside(test, lines[test.against].kind))
    value = number(line.value(group))
    if not words:
        return f"The best student is {line.student} taught with {line.loss} ({value})."
    return f"The best student, {line.student} taught with {line.loss} ({value}), is {_all(words)}."


def teachers(study: Study, leaderboard: Sequence[Line], tests: Sequence[Test]) -> str:
    """Return where the teachers of the losses stand beside each first stage; tests: of a group."""
    lines = by_system(leaderboard)
    taught_by = {costs.teacher_of(study, loss) for loss in study["grid"]["losses"]}
    sentences = []
    for name in sorted(filter(None, taught_by & lines.keys())):
        words = []
        for test in tests:
            if test.system == name:
                words.append(_beside(test, lines[test.against].kind))
        if words:
            sentences.append(f"The teacher {name} is {_all(words)}.")
    return " ".join(sentences)


def _beside(test: Test, kind: str) -> str:
    """Return a test against a baseline of that kind in words."""
    than = {"better": "than", "worse": "than", "equivalent": "to"}.get(test.verdict, "from")
    return f"{test.verdict} {than} the {kind} {test.against} ({signed(test.difference)})"


def blind_spot(study: Study, tests: Sequence[Test]) -> str:
    """Return how small a difference between losses the study cannot see."""
    between = [test for test in tests if test.family == LOSSES]
    if not between:
        return "There is one loss, so none is compared with another."
    smallest = [test.detectable for test in between]
    least, largest = number(min(smallest)), number(max(smallest))
    reach = least if least == largest else f"{least} to {largest}, by student and group,"
    alpha = study["statistics"]["alpha"]
    return (
        f"These words hold for other {_over(between)}: at most {alpha:.0%} of such studies have a "
        f"false one among their losses. A difference of two "
        f"losses below {reach} would often be missed."
    )


def _over(tests: Sequence[Test]) -> str:
    """Return what tests hold over besides other trainings: of one student some may have no seed."""
    over = {test.over for test in tests}
    if over == {QUERIES_AND_SEEDS}:
        return "queries and other seeds"
    if QUERIES_AND_SEEDS not in over:
        return "queries, of these trainings alone"
    return "queries, and other seeds of the students that were trained more than once"


def cost(study: Study, tabulated: Tabulated) -> list[str]:
    """Return what the trainings took, and their teachers, where that is known."""
    trained, taught = [], set()
    for row in tabulated.spent:
        if row.kind == "student" and row.training.work:
            trained.append(row.training.work)
            if row.teacher.work:
                taught.add(costs.teacher_of(study, row.loss))
    if not trained:
        return []
    total, of_teachers = sum(trained), tabulated.taught.work
    mean = amount_in_words(total / len(trained))
    count = len(trained)
    trainings = f"The {count} trainings" if count > 1 else "The training"
    text = f"{trainings} took {_time(total)} of processor or GPU time, {mean} seconds each"
    if not of_teachers:
        return [f"{text}."]
    whose = "their teachers" if len(taught) > 1 else "their teacher"
    share = of_teachers / (total + of_teachers)
    return [f"{text}; {whose} took {_time(of_teachers)}, {share:.0%} of both."]


def _time(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.2g} minutes"


def _all(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]}"

"""The first screen in words: what the tests of a study say, and what it cannot see."""

from collections.abc import Sequence

from redistil.stages.report.numbers import costs
from redistil.stages.report.numbers.inference import BASELINES, LOSSES
from redistil.stages.report.numbers.rows import Line, Test, Versus, best, by_system, of_group
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import number, signed
from redistil.study.study import Study


def summary(study: Study, tabulated: Tabulated) -> list[str]:
    """Return what a study found, a sentence or two for each group, then cost and blind spot."""
    if not study["grid"]["students"]:
        return _without_students(study, tabulated)
    sentences = []
    for group in study["groups"]:
        tests = of_group(tabulated.tests, group)
        between = losses(of_group(tabulated.versus, group), study["grid"]["losses"])
        beside = baselines(tabulated.leaderboard, group, tests)
        sentences.append(f"{group}: {between} {beside}")
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


def losses(versus: Sequence[Versus], names: Sequence[str]) -> str:
    """Return which losses win: those that no loss beats and that beat another."""
    if not versus:
        return f"{names[0]} is the only loss."
    comparisons = shown = 0
    for row in versus:
        verdicts = row.verdicts
        comparisons += verdicts.better + verdicts.same + verdicts.worse
        shown += verdicts.better + verdicts.worse
    if not shown:
        where = f"any of {comparisons} comparisons" if comparisons > 1 else "the one comparison"
        return f"no loss is shown to be better than another in {where}."
    winners, losers = _winners_and_losers(versus, names)
    if not winners:
        return f"losses beat each other in {shown} of {comparisons} comparisons; none wins."
    win = "wins" if len(winners) == 1 else "win"
    text = f"{_all(winners)} {win} (no loss is shown to be better)"
    if losers:
        lose = "loses" if len(losers) == 1 else "lose"
        text += f", {_all(losers)} {lose}"
    return f"{text}; {shown} of {comparisons} comparisons of two losses show a difference."


def _winners_and_losers(
    versus: Sequence[Versus], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the losses that only beat others, and those that are only beaten."""
    beating, beaten = set(), set()
    for row in versus:
        if row.verdicts.better:
            beating.add(row.loss)
            beaten.add(row.against)
        if row.verdicts.worse:
            beating.add(row.against)
            beaten.add(row.loss)
    winners, losers = [], []
    for name in names:
        if name in beating and name not in beaten:
            winners.append(name)
        if name in beaten and name not in beating:
            losers.append(name)
    return winners, losers


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


def _beside(test: Test, kind: str) -> str:
    """Return a test against a baseline of that kind in words."""
    than = {"better": "than", "worse": "than", "equivalent": "to"}.get(test.verdict, "from")
    return f"{test.verdict} {than} the {kind} {test.against} ({signed(test.difference)})"


def blind_spot(study: Study, tests: Sequence[Test]) -> str:
    """Return how small a difference between losses the study cannot see."""
    smallest = [test.detectable for test in tests if test.family == LOSSES]
    seeds = len(study["grid"]["seeds"])
    if not smallest:
        return "There is one loss, so none is compared with another."
    least, largest = number(min(smallest)), number(max(smallest))
    reach = least if least == largest else f"{least} to {largest}, by student and group,"
    alpha = study["statistics"]["alpha"]
    over = (
        "other queries and other seeds" if seeds > 1 else "other queries, of these trainings alone"
    )
    return (
        f"These words hold for {over}: at most {alpha:.0%} of such studies have a false one among "
        f"their losses. A difference of two losses below {reach} would often be missed."
    )


def cost(study: Study, tabulated: Tabulated) -> list[str]:
    """Return what a training took, where that is known."""
    seconds = []
    for row in tabulated.spent:
        if row.kind == "student" and row.training.seconds:
            seconds.append(row.training.seconds)
    if not seconds:
        return []
    hours = sum(seconds) / 3600
    total = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.2g} minutes"
    mean = costs.in_words(sum(seconds) / len(seconds))
    count = len(seconds)
    trainings = f"The {count} trainings" if count > 1 else "The training"
    return [f"{trainings} took {total}, {mean} seconds each on average."]


def _all(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]}"

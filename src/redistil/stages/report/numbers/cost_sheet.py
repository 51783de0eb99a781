"""The table of effectiveness and cost, side by side."""

from collections.abc import Sequence

from redistil.stages.report.numbers.costs import WORK, Cost, amounts, energy, over_seeds
from redistil.stages.report.numbers.rows import Line
from redistil.stages.report.numbers.sheets import PrintedRow, Sheet, printed
from redistil.stages.report.numbers.wording import amount_in_words, number, percent
from redistil.study.study import Study

_SHORT = {"teacher": "teacher", "training": "train", "reranking": "rank"}
_UNITS_SHORT = {"seconds": "s", "pairs per second": "pairs/s", "joules": "J"}


def sheet(study: Study, leaderboard: Sequence[Line], costs: Sequence[Cost]) -> Sheet:
    """Return effectiveness and cost side by side, a row for each line of the leaderboard.

    Of the groups of datasets the first two, so that the table fits a page.
    """
    means = over_seeds(study, costs)
    groups = list(study["groups"])[:2]
    columns = _columns(study, costs)
    shares = {name: mean.share for name, mean in means.items()}
    has_shares = any(share is not None for share in shares.values())
    rows: list[PrintedRow | None] = []
    for line in leaderboard:
        if line.system in means:
            words = [line.system]
            for group in groups:
                words.append(number(line.value(group)))
            for amount in columns.values():
                words.append(amount_in_words(amount.get(line.system)))
            if has_shares:
                words.append(percent(shares[line.system]))
            rows.append(printed(words))
    devices = " and ".join(_devices(costs))
    caption = (
        f"{study['measures'][0]} and what it cost, mean over seeds, on {devices}: seconds of all "
        "threads of the CPU or of the GPUs, pairs of query and passage per second of the clock, and"
        " joules. Teacher: the training and the scores of the teacher, which its students share. "
        "Train: with validations. Rank: all candidates of the study's datasets. Teacher's share: of"
        f" teaching this student alone.{interruptions(costs)} {energy(costs)}"
    )
    share = ["teacher's share"] if has_shares else []
    return Sheet(caption, ["system", *groups, *columns, *share], rows, words=1)


def _columns(study: Study, costs: Sequence[Cost]) -> dict[str, dict[str, float]]:
    """Return the columns of costs by their headings, each by line of the leaderboard."""
    columns = {}
    for work in WORK:
        for unit, lines in amounts(study, costs, work).items():
            if work == "teacher" and unit == "pairs per second":
                continue  # training and scoring are not one pace
            columns[f"{_SHORT[work]} {_UNITS_SHORT[unit]}"] = lines
    return columns


def _devices(costs: Sequence[Cost]) -> list[str]:
    """Return every device that worked, each once."""
    devices: list[str] = []
    for work in WORK:
        for cost in costs:
            device = cost.of(work).device
            if device and device not in devices:
                devices.append(device)
    return devices


def interruptions(costs: Sequence[Cost]) -> str:
    """Return in words how often work was interrupted, or nothing where it never was."""
    times = 0.0
    for cost in costs:
        for work in ("training", "reranking"):  # a teacher's stands in the row of each student
            times += cost.of(work).interruptions or 0
    if not times:
        return ""
    return f" Interrupted {times:.0f} times; the seconds hold what that lost."

"""Tables as they are printed: which rows and columns each has, and its caption.

The best student of a column is bold. Shades say how far a cell lies above (blue) or below
(orange) the median of its column, as in the notebooks of arXiv 2603.03010.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from redistil.stages.report.numbers.comparisons import GIVEN, IN_FAMILY
from redistil.stages.report.numbers.inference import BETTER, WORSE
from redistil.stages.report.numbers.rows import (
    Line,
    LossRow,
    PublishedRow,
    Test,
    Verdicts,
    Versus,
    taught,
)
from redistil.stages.report.numbers.wording import interval, number, signed
from redistil.study.study import Study

_ALPHABET = ascii_lowercase + ascii_uppercase


@dataclass(frozen=True)
class Printed:
    """A cell as it is printed; shade: -1 (lowest) to 1 (highest), 0 for none.

    raised: letters behind the text, above its line.
    """

    text: str
    bold: bool = False
    shade: float = 0.0
    raised: str = ""


PrintedRow = Sequence[Printed]


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed; the first `words` columns are words, the others numbers.

    A line (None) parts what stands above it from what stands below.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[PrintedRow | None]
    words: int


def sheets(
    study: Study,
    leaderboard: Sequence[Line],
    losses: Sequence[LossRow],
    versus: Sequence[Versus],
    published: Sequence[PublishedRow],
    tests: Sequence[Test] = (),
) -> dict[str, Sheet]:
    """Return every sheet of the report by name; what has no rows has no sheet."""
    every = {
        "main": main(study, leaderboard, tests),
        "losses": _losses(study, losses),
        "pairs": _pairs(study, versus),
        "published": _published(published),
    }
    filled = {}
    for name, sheet in every.items():
        if sheet.rows:
            filled[name] = sheet
    return filled


def main(study: Study, leaderboard: Sequence[Line], tests: Sequence[Test] = ()) -> Sheet:
    """Return students x losses over the columns that the study names, the baselines above.

    tests: what is raised behind a group's value is better by them.
    """
    columns, grid = columns_of(study), study["grid"]
    letters = _letters(study, leaderboard)
    raised = _raised(tests, letters)
    rows: list[PrintedRow | None] = []
    for line in _baselines(leaderboard, grid["first_stage"]):
        name = Printed(line.system, raised=letters.get(line.system, "") if raised else "")
        rows.append([name, *printed([line.kind, *map(number, _values(line, columns))])])
    rows += _taught_rows(taught(grid, leaderboard), columns, letters if raised else {}, raised)
    caption = _main_caption(study)
    if raised:
        caption += (
            " Raised letters: better than those systems, of losses only of the same student, in "
            f"tests over queries and seeds at {study['statistics']['alpha']:g} after Holm's "
            "correction."
        )
    return Sheet(caption, ["student", "loss", *columns], rows, words=2)


def _letters(study: Study, leaderboard: Sequence[Line]) -> dict[str, str]:
    """Return the letter of each loss, by lines, and after them of each tested baseline."""
    letters = iter(_ALPHABET)
    by_loss = dict(zip(study["grid"]["losses"], letters, strict=False))
    letter_of = {}
    for line in leaderboard:
        if line.kind == "student":
            letter_of[line.system] = by_loss.get(str(line.loss), "")
    for line in _baselines(leaderboard, study["grid"]["first_stage"]):
        if line.kind in (*IN_FAMILY, *GIVEN):
            letter_of[line.system] = next(letters, "")
    return letter_of


def _raised(tests: Sequence[Test], letters: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Return, by line and group, the letters of all that it is better than."""
    beaten: dict[tuple[str, str], list[str]] = {}
    for test in tests:
        if test.verdict == BETTER:
            beaten.setdefault((test.system, test.group), []).append(letters[test.against])
        elif test.verdict == WORSE:
            beaten.setdefault((test.against, test.group), []).append(letters[test.system])
    raised = {}
    for place, letters_beaten in beaten.items():
        raised[place] = "".join(sorted(letters_beaten, key=_ALPHABET.find))
    return raised


def _main_caption(study: Study) -> str:
    grid, depth = study["grid"], study["reranking"]["depth"]
    of = f"re-ranking the top {depth} of {grid['first_stage']}"
    if not grid["students"]:
        return f"{study['measures'][0]}, nothing trained, {of}."
    return f"{study['measures'][0]}, {_seeds(grid)}, {of}. Bold: best student of the column."


def _seeds(grid: Mapping[str, Any]) -> str:
    """Return over how many seeds the values of students are means."""
    seeds = len(grid["seeds"])
    words = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    fewer = []
    for student, most in grid.get("fewer_seeds", {}).items():
        if student in grid["students"] and most < seeds:
            fewer.append(f"{student}: {most}")
    return f"{words} ({', '.join(fewer)})" if fewer else words


def _taught_rows(
    students: Mapping[str, Sequence[Line]],
    columns: Sequence[str],
    letters: Mapping[str, str],
    raised: Mapping[tuple[str, str], str],
) -> list[PrintedRow | None]:
    """Return the rows of all students, shaded over all of them, with a line above each student."""
    if not students:
        return []
    values = np.array([_values(line, columns) for line in chain(*students.values())])
    shades, best = iter(shading(values)), values.max(axis=0)
    rows: list[PrintedRow | None] = []
    for lines in students.values():
        rows.append(None)
        for line in lines:
            loss = Printed(str(line.loss), raised=letters.get(line.system, ""))
            cells = [Printed(str(line.student)), loss]
            numbers = zip(columns, _values(line, columns), best, next(shades), strict=True)
            for column, value, top, shade in numbers:
                above = raised.get((line.system, column), "")
                cells.append(Printed(number(value), bool(value == top), float(shade), above))
            rows.append(cells)
    return rows


def printed(words: Sequence[str]) -> list[Printed]:
    """Return a row of plain cells."""
    return [Printed(word) for word in words]


def _values(line: Line, columns: Sequence[str]) -> list[float]:
    return [line.value(column) for column in columns]


def _baselines(leaderboard: Sequence[Line], first: str) -> list[Line]:
    """Return the lines that are no student's; the first stage that is re-ranked comes first."""
    baselines = [line for line in leaderboard if line.kind != "student"]
    return sorted(baselines, key=lambda line: line.system != first)


def columns_of(study: Study) -> list[str]:
    """Return the datasets and groups of the main table; the groups, where the study names none."""
    named: list[str] = list(study.get("table") or study["groups"])
    return named


def shading(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return how far each value lies from its column's median, the farthest of a column at 1."""
    away = values - np.median(values, axis=0)
    farthest = np.abs(away).max(axis=0)
    shades: np.ndarray[Any, Any] = away / np.where(farthest > 0, farthest, 1.0)
    return shades


def _losses(study: Study, losses: Sequence[LossRow]) -> Sheet:
    header = ["group", "loss", study["measures"][0], "difference", "interval", "better", "same"]
    rows = []
    for row in losses:
        words = [row.group, row.loss, number(row.value), signed(row.difference)]
        words.append(interval(row.difference_low, row.difference_high))
        rows.append([*words, *_counts(row.verdicts)])
    first = study["grid"]["first_stage"]
    caption = (
        f"Every loss over its students and seeds against {first}: difference with its 95 % "
        "interval over queries and seeds, and how many of its students are better, the same (not "
        f"distinguishable or equivalent) and worse. {_tested(study)}"
    )
    return Sheet(caption, [*header, "worse"], _parted(rows), words=2)


def _counts(verdicts: Verdicts) -> list[str]:
    return [str(verdicts.better), str(verdicts.same), str(verdicts.worse)]


def _tested(study: Study) -> str:
    alpha = study["statistics"]["alpha"]
    return f"Tests over queries and seeds at {alpha:g} after Holm's correction over their family."


def _pairs(study: Study, versus: Sequence[Versus]) -> Sheet:
    """Return every pair of losses: the mean lead, and for how many students it is shown."""
    header = ["group", "loss", "against", "difference", "interval", "better", "same", "worse"]
    rows = []
    for row in versus:
        words = [row.group, row.loss, row.against, signed(row.difference)]
        rows.append([*words, interval(row.low, row.high), *_counts(row.verdicts)])
    caption = (
        "Losses against each other: the mean lead over all students of both with its 95 % interval "
        "over queries and seeds, and for how many students the first is better, the same (not "
        f"distinguishable or equivalent) and worse. {_tested(study)}"
    )
    return Sheet(caption, header, _parted(rows), words=3)


def _parted(rows: Sequence[Sequence[str]]) -> list[PrintedRow | None]:
    """Return the rows with a line wherever the first word changes."""
    lines: list[PrintedRow | None] = []
    above = None
    for words in rows:
        if above is not None and words[0] != above:
            lines.append(None)
        lines.append(printed(words))
        above = words[0]
    return lines


def _published(published: Sequence[PublishedRow]) -> Sheet:
    header = ["system", "column", "measure", "ours", "theirs", "measured", "difference"]
    header += ["interval", "verdict"]
    rows = []
    for row in published:
        system = row.system + (" (v1)" if row.superseded_by else "")
        words = [system, row.column, row.measure, number(row.ours), number(row.theirs)]
        words.append("–" if row.measured is None else number(row.measured))
        words += [signed(row.difference), interval(row.low, row.high), row.verdict]
        rows.append(printed(words))
    caption = (
        "Ours beside the published values: difference with its 95 % interval over seeds. Measured: "
        "the authors' own checkpoint, evaluated here. What each verdict means: docs/protocol.md."
    )
    return Sheet(caption, header, rows, words=3)

"""The paths of a study: patterns whose words its catalogues fill in.

A rule writes `data/tokens/{backbone}/queries/{dataset}.arrow`. The words come from the wildcards
of the job and from what the catalogues derive of them: a student has a backbone. A pattern may
run over rows, such as the datasets of the grid: then it stands for one path a row.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from redistil.study import grid
from redistil.study.over import OVER
from redistil.study.study import Study
from redistil.study.teaching_rows import Words

NEGATIVES = ("mined", "docpairs", "published", "ranked")  # wildcards that name negatives


def paths(study: Study, pattern: str, over: str | None, wildcards: Words) -> list[str]:
    """Return the distinct paths that a pattern stands for, in the order of its rows.

    wildcards: those of the job. A row that lacks a word of the pattern gives no path: a loss
    without a teacher has none.
    """
    return list(dict.fromkeys(filled(study, pattern, over, wildcards)))


def filled(study: Study, pattern: str, over: str | None, wildcards: Words) -> list[str]:
    """Return the pattern once for each row that has all its words."""
    wanted = re.findall(r"{(\w+)}", pattern)
    texts = []
    for row in rows(study, over, wildcards):
        if all(row.get(word) is not None for word in wanted):
            texts.append(pattern.format(**row))
    return texts


def rows(study: Study, over: str | None, wildcards: Words) -> Iterator[dict[str, Any]]:
    """Yield the words of every row; without `over` the words of the job alone."""
    words = _named(study, wildcards)
    if over is None:
        yield grid.words(study, **words)
        return
    for row in OVER[over](study, words):
        yield grid.words(study, **(words | row))


def _trainings(words: Mapping[str, Any]) -> str:
    """Return the folder of the trainings beside a job: those of a teacher, or of the study."""
    if "trained" in words:
        return f"data/teachers/models/{words['trained']}"
    return f"results/{words['study']}/models"


def _named(study: Study, wildcards: Words) -> dict[str, Any]:
    """Return the wildcards of a job, and what their names say of them."""
    words = {"study": study.study, **wildcards}
    words["models"] = _trainings(words)
    for wildcard in NEGATIVES:
        if wildcard in words:
            words.setdefault("negatives", words[wildcard])
    if "ranked" in words:
        words["checkpoint"] = study.teachers[words["ranked"]]["llm"]
        words["first_stage"] = study.teachers[words["ranked"]]["first_stage"]
    return words

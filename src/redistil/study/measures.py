"""Measures: each is declared here once, for validations, evaluations and the report.

A name is written as ir_measures prints it: `nDCG@10`, `RR@10`, `AP`, `R@100`. Definitions:

- nDCG keeps the grades (gain = grade, discount log2(rank + 1)); a negative grade gains nothing;
- a binary measure counts a passage as relevant from the grade `relevant_from` upwards;
- a query without a relevant passage is 0.

To add a measure, write its function of one query and its entry in `MEASURES`. Validations compute
these functions, since ranx takes seconds to start. Evaluations give the same definitions to ranx;
tests hold both equal to each other and to trec_eval.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from redistil.errors import BadSettings

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """One query: `grades` of the ranked passages, down to the cutoff, and of all judged ones.

    grades: best rank first, 0 where nobody judged. ideal: of every judged passage, highest first.
    cutoff: None for the whole ranking.
    """

    grades: Floats
    ideal: Floats
    cutoff: int | None
    relevant_from: int

    @property
    def relevant_ranks(self) -> npt.NDArray[np.int64]:
        """The ranks [n], from 1, of the relevant passages."""
        return np.flatnonzero(self.grades >= self.relevant_from) + 1

    @property
    def relevant(self) -> int:
        """The number of relevant passages, ranked or not."""
        return int((self.ideal >= self.relevant_from).sum())


def ndcg(ranking: Ranking) -> float:
    """Return the discounted gain of a ranking's grades over that of the ideal ranking."""
    best = _dcg(ranking.ideal[: ranking.cutoff])
    return _dcg(ranking.grades) / best if best else 0.0


def _dcg(grades: Floats) -> float:
    return float((grades.clip(0) / np.log2(np.arange(len(grades)) + 2)).sum())


def reciprocal_rank(ranking: Ranking) -> float:
    """Return 1 / the rank of the first relevant passage."""
    ranks = ranking.relevant_ranks
    return 1 / int(ranks[0]) if len(ranks) else 0.0


def average_precision(ranking: Ranking) -> float:
    """Return the mean of the precisions at the ranks of all relevant passages."""
    ranks, relevant = ranking.relevant_ranks, ranking.relevant
    return float((np.arange(1, len(ranks) + 1) / ranks).sum() / relevant) if relevant else 0.0


def recall(ranking: Ranking) -> float:
    """Return the share of the relevant passages that are ranked above the cutoff."""
    relevant = ranking.relevant
    return len(ranking.relevant_ranks) / relevant if relevant else 0.0


def precision(ranking: Ranking) -> float:
    """Return the share of the first `cutoff` ranks that hold a relevant passage."""
    return len(ranking.relevant_ranks) / (ranking.cutoff or len(ranking.grades) or 1)


def success(ranking: Ranking) -> float:
    """Return 1 where a relevant passage is ranked above the cutoff, else 0."""
    return float(len(ranking.relevant_ranks) > 0)


@dataclass(frozen=True)
class Kind:
    """A measure without its cutoff.

    value: of one query. ranx: what ranx calls it. binary: whether it knows only relevant or not.
    uncut: whether it may be taken of a whole ranking.
    """

    value: Callable[[Ranking], float]
    ranx: str
    binary: bool
    uncut: bool


MEASURES = {
    "nDCG": Kind(ndcg, "ndcg", binary=False, uncut=True),
    "RR": Kind(reciprocal_rank, "mrr", binary=True, uncut=True),
    "AP": Kind(average_precision, "map", binary=True, uncut=True),
    "R": Kind(recall, "recall", binary=True, uncut=False),
    "P": Kind(precision, "precision", binary=True, uncut=False),
    "Success": Kind(success, "hit_rate", binary=True, uncut=False),
}

OTHER_NAMES = {"recall": "r", "mrr": "rr", "map": "ap", "precision": "p", "hit": "success"}


@dataclass(frozen=True)
class Measure:
    """A measure by its full name; cutoff None is the whole ranking."""

    name: str
    kind: Kind
    cutoff: int | None


def parse(name: str) -> Measure:
    """Return the measure that `name` spells, or raise BadSettings with the nearest spelling."""
    spelled = re.fullmatch(r"([A-Za-z]+)(?:@([1-9][0-9]*))?", name)
    kind = MEASURES.get(spelled[1]) if spelled else None
    if spelled is None or kind is None or not (spelled[2] or kind.uncut):
        raise BadSettings(
            f"no measure {name!r}: wanted one of {', '.join(MEASURES)}, with a cutoff such as @10"
            f"{_nearest(name)} (relevant_from sets the grade that counts as relevant)"
        )
    return Measure(name, kind, int(spelled[2]) if spelled[2] else None)


def _nearest(name: str) -> str:
    """Return ", did you mean ..." with the cutoff of `name`, where a valid name is close."""
    word, _, cutoff = name.partition("@")
    names = {measure.lower(): measure for measure in MEASURES}
    lowered = word.lower()
    close = difflib.get_close_matches(OTHER_NAMES.get(lowered, lowered), names, n=1)
    if not close:
        return ""
    nearest = names[close[0]]
    if re.fullmatch("[1-9][0-9]*", cutoff):
        nearest = f"{nearest}@{cutoff}"
    elif not MEASURES[nearest].uncut:
        nearest = f"{nearest}@10"
    return f"; did you mean {nearest!r}?"


def of_dataset(dataset: str, value: object) -> str:
    """Return a value for one dataset alone as a word: `dl19=2`. `parted` takes it apart."""
    return f"{dataset}={value}"


def parted(word: str) -> tuple[str, str]:
    """Return the dataset that a value is for, "" for all of them, and the value."""
    parts = re.fullmatch(r"([^=()]+)=(.*)", word)
    return (parts[1], parts[2]) if parts else ("", word)


def grades(words: Sequence[str]) -> dict[str, int]:
    """Return the least relevant grade by dataset, "" for all: of words such as `1` or `dl19=2`.

    Raises BadSettings for a grade that is no whole number from 1, and for a second one.
    """
    least: dict[str, int] = {}
    for word in words:
        dataset, grade = parted(word)
        if not re.fullmatch("[1-9][0-9]*", grade):
            raise BadSettings(
                f"--relevant-from: wanted a whole number from 1, got {word!r}: give the least "
                "grade that counts as relevant, such as 2 for TREC DL, or dl19=2 for dl19 alone"
            )
        if dataset in least:
            raise BadSettings(f"--relevant-from {word}: it has a grade already: keep one")
        least[dataset] = int(grade)
    return least


def distinct(names: Sequence[str]) -> list[Measure]:
    """Return the measures that `names` spell, or raise BadSettings: for none, or one twice."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise BadSettings(f'measures: wanted a list such as ["nDCG@10"], got {names!r}')
    if len(set(names)) != len(names):
        raise BadSettings(f"measures: one is listed twice in {list(names)}: name each once")
    measures = []
    for name in names:
        measures.append(parse(str(name)))
    return measures

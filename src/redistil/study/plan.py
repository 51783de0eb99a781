"""What a study asks of a machine, before it runs: pairs to score, hours of a GPU, bytes on disk.

A pair is a query with a passage. What cannot be known before anything is made is assumed, and the
assumptions stand here: `ASSUMED` tells them to the reader of a plan.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from redistil.errors import BadSettings
from redistil.study.artefacts import recipe, settings_of, trained_cells
from redistil.study.grid import needed
from redistil.study.recipes import Recipe
from redistil.study.study import Study

WEIGHTS = 440_000_000  # bytes of a model: BERT base, 110 million weights in float32
ROW = 16  # bytes of a pair in a run: compressed ids, rank and score
TOKENS = 80  # of a passage
TOKEN = 4  # bytes
ASSUMED = (
    "Assumed: models of 110 million weights, passages of 80 tokens, 16 bytes for a row of a run.",
    "The throughputs are yours: give those of your largest model for an upper end.",
    "Not counted: scores of trained teachers, vectors of passages and BM25: hours at most.",
    "Not counted either: the disk that stored states of passages take.",
)
SECONDS = 3600


@dataclass(frozen=True)
class Machine:
    """A GPU and the pairs that it scores and learns from in a second."""

    name: str
    ranking: float
    training: float


@dataclass(frozen=True)
class Counts:
    """How many queries a dataset has, and how many passages a corpus, as far as it is known."""

    queries: Mapping[str, int]
    passages: Mapping[str, int]


@dataclass(frozen=True)
class Work:
    """The work of one stage: its jobs, pairs that are learnt from, pairs that are scored, disk."""

    stage: str
    jobs: int
    learnt: int = 0
    scored: int = 0
    disk: int = 0

    def hours(self, machine: Machine) -> float:
        """Return the hours that its pairs take on one GPU."""
        seconds = self.learnt / machine.training + self.scored / machine.ranking
        return seconds / SECONDS


def together(works: Iterable[Work]) -> Work:
    """Return the sum of the work of all stages."""
    whole = Work("all", 0)
    for work in works:
        whole = Work(
            "all",
            whole.jobs + work.jobs,
            whole.learnt + work.learnt,
            whole.scored + work.scored,
            whole.disk + work.disk,
        )
    return whole


def machine(words: str) -> Machine:
    """Return the machine that "NAME=RANKED,LEARNT" stands for, in pairs a second."""
    found = re.fullmatch(r"([^=]+)=([\d.]+),([\d.]+)", words)
    if not found or not float(found[2]) or not float(found[3]):
        raise BadSettings(
            f"--on: wanted a machine and its pairs a second, re-ranked and learnt from, such as "
            f"H200=20000,6000, got {words!r}"
        )
    return Machine(found[1], float(found[2]), float(found[3]))


def jobs(study: Study) -> Counter[str]:
    """Return how many jobs of each command a study has where nothing is made.

    To within one in a hundred: `snakemake -n` counts them.
    """
    names = needed(study)
    counted: Counter[str] = Counter()
    for command, name in settings_of(study):
        if _is_needed(study, command, name, names):
            counted[command] += 1
    counted["recipe"] = counted["train"]
    for command in ("resolve", "plot", "page"):
        counted[command] = 1
    del counted["publish"]
    return counted


def _is_needed(study: Study, command: str, name: str, names: Mapping[str, set[str]]) -> bool:
    """Whether an artefact is behind the study's numbers; catalogues have more than that."""
    first, *others = name.split("/")
    catalogue = _CATALOGUES.get(command)
    if catalogue is None:
        return True
    collections = names["datasets"] | names["corpora"]
    is_of_known = not others or not collections.isdisjoint(others)
    return first in names[catalogue] and is_of_known and command != "export-training"


_CATALOGUES = {
    "download": "downloads",
    "export-passages": "corpora",
    "export-queries": "datasets",
    "fetch": "backbones",
    "build": "backbones",
    "tokenize": "backbones",
    "encode": "first_stages",
    "retrieve": "first_stages",
    "retrieve-bm25": "first_stages",
    "import-run": "first_stages",
    "mine": "negatives",
    "export-docpairs": "negatives",
    "adopt": "teachers",
    "score": "teachers",
    "score-bm25": "teachers",
    "average": "teachers",
    "rank": "teachers",
    "import-scores": "teachers",
    "export-training": "exports",
}


def trainings(study: Study, counts: Counts) -> Work:
    """Return the work of all trainings, with the validations that no early end spares."""
    learnt = scored = 0
    cells = trained_cells(study)
    for cell in cells:
        settings = recipe(study, cell)
        learnt += settings.steps * settings.batch * settings.passages
        scored += _validated(settings, counts)
    return Work("models", len(cells), learnt, scored, len(cells) * WEIGHTS)


def _validated(settings: Recipe, counts: Counts) -> int:
    """Return the pairs that the validations of a training score."""
    how = settings.validation
    if how is None:
        return 0
    queries = sum(counts.queries.get(dataset, 0) for dataset in how.datasets)
    return ceil(settings.steps / how.every) * queries * how.depth


def rerankings(study: Study, counts: Counts) -> Work:
    """Return the work of all runs of models, on every dataset of the grid."""
    scored = runs = 0
    for command, name in settings_of(study):
        if command == "rerank":
            runs += 1
            scored += counts.queries.get(name.rpartition("/")[2], 0) * study.reranking.depth
    return Work("runs", runs, scored=scored, disk=scored * ROW)


def tokens(study: Study, counts: Counts) -> Work:
    """Return the token files of every corpus that is needed, under every tokenizer."""
    names = needed(study)
    passages = sum(counts.passages.get(corpus, 0) for corpus in names["corpora"])
    files = len(names["backbones"]) * (len(names["corpora"]) + len(names["datasets"]))
    return Work("tokens", files, disk=len(names["backbones"]) * passages * TOKENS * TOKEN)


def unknown(study: Study, counts: Counts) -> list[str]:
    """Return the datasets whose queries nobody has counted yet: their pairs are missing."""
    datasets = set(study.grid.datasets)
    if study.training and study.training.validation:
        datasets |= set(study.training.validation.datasets)
    return sorted(datasets - counts.queries.keys())

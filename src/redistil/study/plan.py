"""Cost of a study before it runs: pairs to score, hours of a GPU, bytes on disk.

A pair is a query with a passage. What cannot be known before anything is made is assumed, and the
assumptions stand here: `ASSUMED` tells them to the reader of a plan.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil

from redistil.errors import BadSettings
from redistil.study import behind
from redistil.study.artefacts import recipe, settings_of
from redistil.study.candidates import SpladeStage
from redistil.study.grid import grid_cells, needed, trained_cells
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
    match = re.fullmatch(r"([^=]+)=([\d.]+),([\d.]+)", words)
    if not match or not float(match[2]) or not float(match[3]):
        raise BadSettings(
            f"--on: wanted a machine and its pairs a second, re-ranked and learnt from, such as "
            f"H200=20000,6000, got {words!r}"
        )
    return Machine(match[1], float(match[2]), float(match[3]))


def jobs(study: Study) -> Counter[str]:
    """Return how many jobs of each command a study has where nothing is made.

    To within one in a hundred: `snakemake -n` counts them.
    """
    made, beyond = _needed(study), _beyond(study)
    counted: Counter[str] = Counter()
    for command, name in settings_of(study):
        is_run = command != "rerank" or name not in beyond
        if is_run and (command not in made or name in made[command]):
            counted[command] += 1
    counted["recipe"] = counted["train"]
    for command in ("resolve", "plot", "page"):
        counted[command] = 1
    for command in ("publish", "export-training"):
        del counted[command]
    return counted


def _needed(study: Study) -> dict[str, set[str]]:
    """Return what is behind the study's numbers, by command; catalogues have more than that."""
    names = needed(study)
    datasets, corpora = map(set, behind.collections(study))
    checkpoints = names["backbones"] | names["checkpoints"]
    sides = list(map("passages/{}".format, names["corpora"]))
    sides += map("queries/{}".format, names["datasets"])
    runs = set(map("/".join, behind.runs(study)))
    made = {
        "download": set(behind.files(study)),
        "export-passages": corpora,
        "export-queries": datasets,
        "adopt": names["checkpoints"],
        "tokenize": set(map("/".join, product(checkpoints, sides))),
        "encode": _encoded(study),
        "contrast": {name for name in study.grid.datasets if _is_pushed(study, name)},
    }
    made |= dict.fromkeys(("fetch", "build", "collect-words"), checkpoints)
    made |= dict.fromkeys(("retrieve", "retrieve-bm25", "import-run"), runs)
    made |= dict.fromkeys(("mine", "export-docpairs"), names["negatives"])
    made |= dict.fromkeys(("score", "score-bm25", "average"), names["teachers"])
    made |= dict.fromkeys(("rank", "import-scores"), names["teachers"])
    return made


def _is_pushed(study: Study, dataset: str) -> bool:
    return study.corpora[study.datasets[dataset].corpus].is_pushed


def _encoded(study: Study) -> set[str]:
    """Return the parts of corpora that a first stage encodes."""
    parts: set[str] = set()
    for name, dataset in behind.runs(study):
        stage, corpus = study.first_stages[name], study.datasets[dataset].corpus
        if isinstance(stage, SpladeStage):
            for shard in range(study.corpora[corpus].parts(stage.shard)):
                parts.add(f"{name}/{corpus}/{shard}")
    return parts


def _beyond(study: Study) -> set[str]:
    """Return the runs of cells that are trained and not in the grid: nobody asks for them."""
    cells = set(trained_cells(study)) - set(grid_cells(study))
    names = [cell.name for cell in cells]
    return set(map("/".join, product(names, study.grid.datasets)))


def trainings(study: Study, counts: Counts) -> Work:
    """Return the work of all trainings, with the validations that no early end spares."""
    learnt = scored = 0
    cells = trained_cells(study)
    for cell in cells:
        settings = recipe(study, cell)
        learnt += settings.steps * settings.pairs
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
    beyond = _beyond(study)
    for command, name in settings_of(study):
        if command == "rerank" and name not in beyond:
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

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
from redistil.study.artefacts import Key, recipe, settings_of
from redistil.study.backbones import BACKBONES
from redistil.study.candidates import (
    FIRST_STAGES,
    NEGATIVES,
    DocpairNegatives,
    MinedNegatives,
    SpladeStage,
)
from redistil.study.grid import grid_cells, needed, trained_cells
from redistil.study.recipes import Recipe
from redistil.study.rules import by_rule
from redistil.study.stores import store_of
from redistil.study.study import Study
from redistil.study.submissions import Started
from redistil.study.teachers import TEACHERS, AdoptedTeacher, TrainedTeacher

WEIGHTS = 440_000_000  # bytes of a model: BERT base, 110 million weights in float32
ROW = 16  # bytes of a pair in a run: compressed ids, rank and score
TOKENS = 80  # of a passage
TOKEN = 4  # bytes
ASSUMED = (
    "Assumed: models of 110 million weights, passages of 80 tokens, 16 bytes for a row of a run.",
    "The throughputs are yours: give those of your largest model for an upper end.",
    "Assumed: a passage is encoded as fast as a pair is re-ranked; a teacher's pairs are distinct.",
    "Not counted: BM25, searches, warm-ups, language models that rank, the disk of vectors.",
)
SECONDS = 3600
ASIDE = frozenset({"publish", "export-training"})  # commands whose outputs are asked for by name


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
    """The work of one stage: its jobs, and the submissions and imports that start them.

    learnt, scored: pairs that are learnt from, and scored; encoded: passages; disk: bytes.
    """

    stage: str
    jobs: int
    learnt: int = 0
    scored: int = 0
    encoded: int = 0
    disk: int = 0
    started: Started = Started()

    def hours(self, machine: Machine) -> float:
        """Return the hours that its pairs and passages take on one GPU."""
        seconds = self.learnt / machine.training
        seconds += (self.scored + self.encoded) / machine.ranking
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
            whole.encoded + work.encoded,
            whole.disk + work.disk,
            whole.started + work.started,
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
    return Counter(command for command, _ in tasks(study))


def tasks(study: Study) -> list[Key]:
    """Return the command and the name of each of these jobs."""
    made, beyond = _needed(study), _beyond(study)
    keys: list[Key] = [(command, study.study) for command in ("resolve", "plot", "page")]
    for command, name in settings_of(study):
        is_run = command != "rerank" or name not in beyond
        is_made = command not in made or name in made[command]
        if is_run and is_made and command not in ASIDE:
            keys.append((command, name))
        if command == "train":
            keys.append(("recipe", name))
    return keys


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
    made |= {kind.command: checkpoints for kind in by_rule(BACKBONES)}
    made |= {kind.command: runs for kind in by_rule(FIRST_STAGES)}
    made |= {kind.command: names["negatives"] for kind in by_rule(NEGATIVES)}
    made |= {kind.command: names["teachers"] for kind in by_rule(TEACHERS)}
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
    return Work("models", len(cells), learnt, scored, disk=len(cells) * WEIGHTS)


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


def scorings(study: Study, counts: Counts) -> Work:
    """Return the work of the teachers that are models, over the pairs of their negatives."""
    scored = sum(_pairs(study, name, counts) or 0 for name in _scored_over(study))
    return Work("teachers", 0, scored=scored, disk=scored * ROW)


def _scored_over(study: Study) -> list[str]:
    """Return the negatives whose pairs teachers that are models score, once for each."""
    over: list[str] = []
    for name in needed(study)["teachers"]:
        teacher = study.teachers[name]
        if isinstance(teacher, (TrainedTeacher, AdoptedTeacher)):
            over += teacher.over
    return over


def _pairs(study: Study, name: str, counts: Counts) -> int | None:
    """Return the pairs of some negatives at most: two of a triple, one of a passage of a list.

    None where nobody has counted what they are drawn from, as of a published file.
    """
    negatives = study.negatives[name]
    if isinstance(negatives, DocpairNegatives):
        return 2 * negatives.at_most
    if not isinstance(negatives, MinedNegatives):
        return None
    queries = counts.queries.get(negatives.dataset)
    limits = [limit for limit in (queries, negatives.at_most) if limit is not None]
    return min(limits) * (1 + negatives.per_query) if limits else None


def encodings(study: Study, counts: Counts) -> Work:
    """Return the work of the SPLADE encoders, over the corpora that their first stages search."""
    searches = set[tuple[str, str]]()
    for stage, dataset in behind.runs(study):
        if isinstance(study.first_stages[stage], SpladeStage):
            searches.add((stage, study.datasets[dataset].corpus))
    return Work("candidates", 0, encoded=sum(counts.passages.get(one, 0) for _, one in searches))


def states(study: Study, counts: Counts) -> Work:
    """Return the work of the trainings whose states of passages are stored, or that search."""
    corpora = {study.datasets[dataset].corpus for dataset in study.grid.datasets}
    passages = sum(counts.passages.get(corpus, 0) for corpus in corpora)
    storing = [cell for cell in grid_cells(study) if store_of(study, cell.student)]
    return Work("retrieved", 0, encoded=len(storing) * passages)


def tokens(study: Study, counts: Counts) -> Work:
    """Return the token files of every corpus that is needed, under every tokenizer."""
    names = needed(study)
    passages = sum(counts.passages.get(corpus, 0) for corpus in names["corpora"])
    files = len(names["backbones"]) * (len(names["corpora"]) + len(names["datasets"]))
    return Work("tokens", files, disk=len(names["backbones"]) * passages * TOKENS * TOKEN)


def unknown(study: Study, counts: Counts) -> list[str]:
    """Return the collections and negatives that nobody has counted: what is of them is missing."""
    datasets = set(study.grid.datasets)
    if study.training and study.training.validation:
        datasets |= set(study.training.validation.datasets)
    encoded = {study.datasets[dataset].corpus for _, dataset in behind.runs(study)}
    over = {name for name in _scored_over(study) if _pairs(study, name, counts) is None}
    return sorted((datasets - counts.queries.keys()) | (encoded - counts.passages.keys()) | over)

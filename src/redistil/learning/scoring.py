"""Scores of many (query, passage) pairs by one student, in an order that pads little."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from redistil.learning.batches import Rows, by_budget
from redistil.learning.pairs import Pairs
from redistil.learning.students.interface import Student
from redistil.learning.students.states import States
from redistil.machine.processes import Processes, allow_tf32
from redistil.storage.ragged import Ragged, Tokens

WINDOW = 1 << 16  # pairs whose lengths are sorted together
HELD = 1 << 26  # numbers of passages' states that are held at once: 256 MiB in float32


def score_pairs(
    student: Student,
    queries: Ragged,
    passages: Ragged,
    rows: tuple[Rows, Rows],
    precision: str,
    quiet: bool = False,
) -> npt.NDArray[np.float32]:
    """Return the raw logit of each pair (query row, passage row), in the order given.

    precision: float32, or bfloat16 for weights, activations and products; quiet: show no bar.
    Scores do not depend on what else is scored, beyond rounding.
    """
    query_rows, passage_rows = rows
    scores = np.empty(len(query_rows), np.float32)
    allow_tf32(precision)
    student = student.for_scoring(precision)
    score = _scores_together if student.kept is None else _scores_apart
    bar = tqdm(total=len(scores), unit="pair", mininterval=2, disable=quiet)
    with torch.inference_mode(), bar:
        for start in range(0, len(scores), WINDOW):
            window = slice(start, start + WINDOW)
            pairs = Pairs.of_rows(queries, passages, query_rows[window], passage_rows[window])
            for places, logits in score(student, pairs):
                scores[start + places] = logits.float().cpu().numpy()
                bar.update(len(places))
    return scores


Scored = Iterator[tuple[Rows, Tensor]]  # places of pairs, and their scores


def _scores_together(student: Any, pairs: Pairs) -> Scored:
    """Yield the scores of pairs whose two texts are read together."""
    for group in by_budget(student.costs(pairs), student.budget):
        yield group, student.scores(pairs.at(group))


def _scores_apart(student: Any, pairs: Pairs) -> Scored:
    """Yield the scores of pairs whose texts are encoded one by one, each once in a stretch."""
    for stretch in _stretches(student, pairs):
        part = pairs.at(stretch)
        queries = encoded(student, "query", part.queries)
        passages = encoded(student, "passage", part.passages)
        yield stretch, student.interact(queries, passages, part.query, part.passage)


def _stretches(student: Any, pairs: Pairs) -> list[Rows]:
    """Return the places of pairs in stretches, of whose passages the states fit into memory."""
    sizes = np.ones(len(pairs.passages), np.int64)
    if student.kept.rows == "token":
        sizes = student.passage_sizes(pairs.passages)
    ends = np.cumsum(sizes[pairs.passage] * student.kept.width)
    stretch = (ends - 1) // HELD
    starts = np.flatnonzero(np.diff(stretch)) + 1
    return np.split(np.arange(len(pairs)), starts)


def encoded(student: Any, side: Literal["query", "passage"], texts: Sequence[Tokens]) -> States:
    """Return the states of texts, encoded in an order that pads little."""
    encode, sizes = student.encode_passages, student.passage_sizes
    if side == "query":
        encode, sizes = student.encode_queries, student.query_sizes
    groups = list(by_budget(sizes(texts), student.budget))
    parts = []
    for group in groups:
        parts.append(encode([texts[place] for place in group]))
    back = np.argsort(np.concatenate(groups))
    return States.together(parts).at(back)


def score_shared(
    student: Student,
    queries: Ragged,
    passages: Ragged,
    rows: tuple[Rows, Rows],
    precision: str,
    processes: Processes,
) -> npt.NDArray[np.float32]:
    """Return what `score_pairs` returns, in every process, each having scored its share."""
    mine = slice(processes.rank, None, processes.count)
    scores = np.zeros(len(rows[0]), np.float32)
    share = rows[0][mine], rows[1][mine]
    scores[mine] = score_pairs(student, queries, passages, share, precision, quiet=True)
    shared = processes.total(torch.from_numpy(scores).to(processes.device)).cpu().numpy()
    return np.asarray(shared)

"""Scores of pairs whose passages were encoded before: their states are read where they lie.

A score differs from that of `score_pairs` in where the states come from, and in nothing else.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from redistil.learning.batches import Rows
from redistil.learning.scoring import HELD, encoded
from redistil.learning.students.states import States
from redistil.machine.processes import allow_tf32
from redistil.storage.ragged import Ragged
from redistil.storage.states import Corpus, Numbers


def score_stored(
    student: Any, queries: Ragged, passages: Corpus, rows: tuple[Rows, Rows], precision: str
) -> npt.NDArray[np.float32]:
    """Return the raw logit of each pair (query row, passage row), in the order given.

    student: one with `kept`. Of the passages no more is in memory than `HELD` numbers.
    """
    query_rows, passage_rows = rows
    states = [passages[row] for row in passage_rows]  # views: nothing is read yet
    scores = np.empty(len(states), np.float32)
    allow_tf32(precision)
    student = student.for_scoring(precision)
    bar = tqdm(total=len(scores), unit="pair", mininterval=2)
    with torch.inference_mode(), bar:
        for stretch in _stretches(states):
            distinct_rows, query = np.unique(query_rows[stretch], return_inverse=True)
            of_queries = encoded(student, "query", [queries[row] for row in distinct_rows])
            logits = scores_of(student, of_queries, query, states[stretch])
            scores[stretch] = logits.float().cpu().numpy()
            bar.update(len(query))
    return scores


def scores_of(student: Any, queries: States, query: Rows, passages: Sequence[Numbers]) -> Tensor:
    """Return the scores [N] of N pairs: query[n] of `queries` with the n-th stored passage."""
    numbers = torch.from_numpy(np.concatenate(passages, dtype=np.float32))
    sizes = [len(rows) for rows in passages]
    states = States(numbers.to(queries.values), np.cumsum([0, *sizes]))
    scores: Tensor = student.interact(queries, states, query, np.arange(len(query)))
    return scores


def _stretches(states: Sequence[Numbers]) -> Iterator[slice]:
    """Yield stretches of passages whose states fit into memory, or one passage."""
    start = held = 0
    for place, rows in enumerate(states):
        if held + rows.size > HELD and place > start:
            yield slice(start, place)
            start, held = place, 0
        held += rows.size
    if states:
        yield slice(start, len(states))

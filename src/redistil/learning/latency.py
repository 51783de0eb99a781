"""One query against passages that stay the same: what a student does while somebody waits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redistil.learning.batches import by_budget
from redistil.learning.pairs import Pairs
from redistil.learning.scoring import encoded
from redistil.learning.students.states import States
from redistil.storage.ragged import Tokens


class Reranker:
    """A student with passages; `stored` are their states, None where it cannot encode ahead."""

    def __init__(self, student: Any, passages: Sequence[Tokens]) -> None:
        self.student, self.passages = student, passages
        self.stored: States | None = self.encode() if student.kept else None

    def encode(self) -> States:
        """Return the states of all passages."""
        return encoded(self.student, "passage", self.passages)

    def scores(self, query: Tokens) -> Tensor:
        """Return the raw scores of all passages for a query [N], float32 on the CPU."""
        places = np.arange(len(self.passages))
        query_places = np.zeros(len(places), np.int64)
        if self.stored is not None:
            states = self.student.encode_queries([query])
            stored_scores: Tensor = self.student.interact(states, self.stored, query_places, places)
            return stored_scores.float().cpu()
        pairs = Pairs([query], self.passages, query_places, places)
        scores = torch.empty(len(pairs))
        for group in by_budget(self.student.costs(pairs), self.student.budget):
            scores[torch.from_numpy(group)] = self.student.scores(pairs.at(group)).float().cpu()
        return scores

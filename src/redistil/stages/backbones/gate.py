"""The gate of a warm-up: a re-ranking of training queries that the encoder never saw.

A warm-up that fails leaves a checkpoint that looks like any other, and its students hardly differ
from chance. So some training queries are held back. The encoder ranks the passage of each among
others drawn at random. Among BM25's nearest passages, an encoder that learned and one that did not
are hard to tell apart (docs/benchmarks.md).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from redistil.errors import UserError
from redistil.learning.scoring import score_pairs
from redistil.learning.validation import Judged
from redistil.seeds import fraction, generator
from redistil.stages.backbones.lexicon import Lexicon
from redistil.stages.backbones.pairs import taken
from redistil.storage.ragged import Tokens
from redistil.storage.tables import aside

RECORD = "gate.json"  # beside the weights
MEASURE = "nDCG@10"
SHOWN = 10  # the cutoff of that measure


@dataclass(frozen=True)
class Verdict:
    """nDCG@10 of the encoder, of random order and of BM25, and the least that passes.

    queries: how many are ranked for; candidates: the most that a query has, its own passage
    included.
    """

    queries: int
    candidates: int
    encoder: float
    random: float
    bm25: float
    least: float

    def __str__(self) -> str:
        """Return the verdict in one line."""
        return (
            f"{MEASURE} {self.encoder:.3f} on {self.queries} held-out training queries "
            f"(random order {self.random:.3f}, BM25 {self.bm25:.3f}, least {self.least:.3f})"
        )

    @property
    def passed(self) -> bool:
        """Whether the encoder learned."""
        return self.encoder >= self.least

    def refuse(self, name: str) -> None:
        """Raise UserError if the encoder did not learn; name: of the backbone."""
        if not self.passed:
            raise UserError(
                f"{name} did not learn to match: wanted at least {self.least:.3f}, got {self}: "
                "change seed, learning_rate or steps of its warm-up in params.yaml"
            )

    def write(self, folder: Path) -> None:
        """Write the verdict beside the weights."""
        content = {"measure": MEASURE, **asdict(self)}
        with aside(folder / RECORD) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def held_out(query_ids: Iterable[str], count: int) -> set[str]:
    """Return `count` of the queries, or a quarter of a small training set.

    A hash of their ids chooses them: the same ones under every seed.
    """
    by_hash = sorted(set(query_ids), key=fraction)
    return set(by_hash[: min(count, len(by_hash) // 4)])


class Gate:
    """Held-out pairs, each with passages drawn at random: the same under every seed of a warm-up.

    A query's own passage stands behind those that tie with it: an encoder that gives every pair
    one score is as bad as the worst order.
    """

    def __init__(
        self,
        queries: Sequence[Tokens],
        own: npt.NDArray[np.int64],
        passages: Sequence[Tokens],
        lexicon: Lexicon,
        depth: int,
    ) -> None:
        """Draw the candidates; own: the row of each query's relevant passage; depth: with it."""
        self._texts = queries, passages
        self._depth = depth
        candidates = []
        scores = []
        chances = []
        for place, row in enumerate(own):
            rows = _drawn(place, row, len(passages), depth)
            candidates.append(rows)
            scores.append(_bm25(lexicon, queries[place], taken(passages, rows)))
            chances.append(_chance(len(rows)))
        self._judged = _judged(candidates, own)
        self._bm25 = self._judged.value(MEASURE, np.concatenate(scores))
        self._chance = float(np.mean(chances))

    def verdict(self, student: Any, least: float) -> Verdict:
        """Return how well the student ranks the candidates, and the least that passes."""
        # score_pairs reads rows alone, so that lists do for token files
        queries: Any = self._texts[0]
        passages: Any = self._texts[1]
        rows = self._judged.queries, self._judged.passages
        scores = score_pairs(student, queries, passages, rows, "float32", quiet=True)
        return Verdict(
            queries=len(queries),
            candidates=self._depth,
            encoder=self._judged.value(MEASURE, scores),
            random=self._chance,
            bm25=self._bm25,
            least=least,
        )


def _drawn(place: int, own: int, passages: int, depth: int) -> npt.NDArray[np.int64]:
    """Return the rows of a query's candidates; its own passage is the last."""
    rows = generator(0, "gate", place).permutation(passages)
    others = rows[rows != own][: depth - 1]
    return np.append(others, own)


def _judged(candidates: Sequence[npt.NDArray[np.int64]], own: npt.NDArray[np.int64]) -> Judged:
    query = np.repeat(np.arange(len(own)), list(map(len, candidates)))
    passages = np.concatenate(candidates)
    relevant = passages == own[query]
    return Judged(
        query=query,
        queries=query,
        passages=passages,
        grade=relevant.astype(np.float64),
        last=relevant.astype(np.int64),
        ideal=(np.ones(1),) * len(own),
        relevant_from=1,
    )


def _bm25(lexicon: Lexicon, query: Tokens, candidates: Sequence[Tokens]) -> npt.NDArray[np.float32]:
    """Return scores in the order of BM25; candidates without a word of the query tie at the end."""
    (best,) = lexicon.neighbours([query], candidates, len(candidates))
    scores = np.full(len(candidates), -len(candidates), np.float32)
    scores[best] = -np.arange(len(best))
    return scores


def _chance(candidates: int) -> float:
    """Return the mean nDCG of one relevant passage at a random rank."""
    ranks = np.arange(min(candidates, SHOWN))
    return float((1 / np.log2(ranks + 2)).sum()) / candidates

"""The mean of several teachers, and how far they agree."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from redistil.errors import BadTable, UserError
from redistil.storage.lineage import Made
from redistil.storage.pieces import exactly, in_pieces, in_row_groups
from redistil.storage.stretches import stretches
from redistil.storage.tables import TEACHER_SCORES, aside

Floats = npt.NDArray[np.float32]

PIECE = 1 << 16  # rows of each member held at a time, and what its longest query has beyond
COMPARED = 1 << 24  # signs of margins held at a time, for each member

ENSEMBLE = "ensemble"


def average(members: Sequence[Path], out: Path, agreement: Path, made: Made) -> list[str]:
    """Write the plain mean of raw logits, the ensemble of arXiv 2010.02666, and who agrees.

    `agreement` is JSON: each member's mean and spread, and for each two of them, and each with the
    ensemble, the rank correlation and the share of inverted margins. Members stream. Returns the
    same in sentences. Raises UserError when the members did not score the same pairs: a missing
    one would silently change the mean.
    """
    found = Agreement([*(path.stem for path in members), ENSEMBLE])
    with aside(out) as first, aside(agreement) as second:
        with (
            TEACHER_SCORES.writer(first, made) as write,
            in_row_groups(TEACHER_SCORES, write) as append,
        ):
            for rows in in_pieces(_together(members), PIECE):
                scores = np.stack([rows[f"{i}"].to_numpy() for i in range(len(members))])
                mean = scores.mean(axis=0, dtype=np.float64).astype(np.float32)
                found.add(rows["query_id"], np.vstack([scores, mean[None]]))
                append(rows.select([0, 1]).append_column("score", pa.array(mean)))
        if not found.pairs:
            raise BadTable(f"{members[0]} has no score: score something with every member")
        second.write_text(json.dumps(found.record(), indent=2) + "\n", encoding="utf-8")
    return found.said()


def _together(members: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield query_id, doc_id and the score of each member, in pieces."""
    nothing = TEACHER_SCORES.schema.empty_table()
    read = ((pa.table(batch) for batch in TEACHER_SCORES.batches(path)) for path in members)
    for parts in zip_longest(*(exactly(rows, PIECE) for rows in read), fillvalue=nothing):
        keys = parts[0].select([0, 1])
        for path, part in zip(members, parts, strict=True):
            if not part.select([0, 1]).equals(keys):
                raise UserError(
                    f"{path} and {members[0]} scored different pairs: score the same triples or "
                    "lists with every member"
                )
        columns = {str(i): part["score"] for i, part in enumerate(parts)}
        yield pa.table({"query_id": keys["query_id"], "doc_id": keys["doc_id"], **columns})


@dataclass
class Agreement:
    """How several teachers agree, query by query: sums over what was added.

    The rank correlation is Spearman's (ties share a rank), the mean over queries in which both
    vary. A margin is the difference of two passages of a query; it is inverted where two teachers
    give it opposite signs, of those to which both give one.
    """

    names: list[str]
    pairs: int = 0
    queries: int = 0
    total: Any = 0.0
    squares: Any = 0.0
    correlations: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    margins: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def add(self, query_id: pa.ChunkedArray, scores: Floats) -> None:
        """Add whole queries: query_id [N], sorted; scores [teachers, N]."""
        codes = query_id.combine_chunks().dictionary_encode().indices.to_numpy()
        starts, sizes = stretches(codes)
        wide = scores.astype(np.float64)
        self.pairs, self.queries = self.pairs + len(codes), self.queries + len(starts)
        self.total, self.squares = self.total + wide.sum(1), self.squares + (wide**2).sum(1)
        for size in sorted(set(sizes.tolist()) - {1}):
            of_size = starts[sizes == size]
            together = max(COMPARED // size**2, 1)
            for start in range(0, len(of_size), together):
                places = of_size[start : start + together, None] + np.arange(size)
                self._compare(scores[:, places])

    def _compare(self, scores: Floats) -> None:
        """scores: [teachers, queries, passages]."""
        signs = [np.sign(s[:, :, None] - s[:, None, :]).astype(np.int8) for s in scores]
        ranks = [sign.sum(2, dtype=np.int64) for sign in signs]  # centred: 2 rank - n - 1
        for a, b in combinations(range(len(signs)), 2):
            both = signs[a] * signs[b]
            ordered, agreed = int(np.count_nonzero(both)) // 2, int(both.sum(dtype=np.int64)) // 2
            counts = self.margins.setdefault((a, b), [0, 0])
            counts[0] += (ordered - agreed) // 2
            counts[1] += ordered
            norm = np.sqrt((ranks[a] ** 2).sum(1) * (ranks[b] ** 2).sum(1))
            rho = (ranks[a] * ranks[b]).sum(1)[norm > 0] / norm[norm > 0]
            sums = self.correlations.setdefault((a, b), [0.0, 0])
            sums[0] += float(rho.sum())
            sums[1] += len(rho)

    def record(self) -> dict[str, Any]:
        """Return plain values; what cannot be said (a teacher that never varies) is None."""
        mean = self.total / self.pairs
        spread = np.sqrt(np.maximum(self.squares / self.pairs - mean**2, 0))
        return {
            "queries": self.queries,
            "pairs": self.pairs,
            "scores": [
                {"teacher": name, "mean": float(m), "spread": float(s)}
                for name, m, s in zip(self.names, mean, spread, strict=True)
            ],
            "agreement": [
                {
                    "between": [self.names[a], self.names[b]],
                    "rank_correlation": _share(*self.correlations.get((a, b), (0, 0))),
                    "inverted_margins": _share(*self.margins.get((a, b), (0, 0))),
                    "margins": self.margins.get((a, b), (0, 0))[1],
                }
                for a, b in combinations(range(len(self.names)), 2)
            ],
        }

    def said(self) -> list[str]:
        """Return the record in sentences."""
        record = self.record()
        lines = [
            f"{of['teacher']}: mean {of['mean']:.3f}, spread {of['spread']:.3f}"
            for of in record["scores"]
        ]
        for each in record["agreement"]:
            left, right = each["between"]
            lines.append(
                f"{left} and {right}: rank correlation {_said(each['rank_correlation'], '.3f')}, "
                f"{_said(each['inverted_margins'], '.1%')} of {each['margins']} margins inverted"
            )
        return lines


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _said(value: float | None, form: str) -> str:
    return "undefined" if value is None else format(value, form)

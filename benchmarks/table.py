"""Table of the measurements: rates, ratios and the share of what the machine can do."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contestants import OURS, Entry

HEAD = (
    "model", "task", "who", "precision", "pairs/s", "least to most", "of default", "of best peer",
    "of ceiling", "differs by",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Measurements of one entry over the rounds.

    rates: pairs/s of each round; flops: of a pair, without padding; differs: the greatest
    difference of its scores (re-ranking) or relative difference of its losses (training) to ours.
    """

    entry: Entry
    rates: Sequence[float]
    flops: float
    differs: float

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def lines(size: str, results: Sequence[Measured], ceilings: Mapping[str, float]) -> list[list[str]]:
    """Return a row for each entry; ratios are to entries of the same task.

    of default: rate over that of sentence-transformers' defaults in float32; of best peer: over
    the fastest peer setting of the same precision; both round by round.
    """
    rows = []
    for one in results:
        same = [other for other in results if other.entry.task == one.entry.task]
        default = next((other for other in same if other.entry.default), None)
        peers = [
            other
            for other in same
            if other.entry.contestant != OURS and other.entry.precision == one.entry.precision
        ]
        best = max(peers, key=lambda other: other.rate, default=None)
        share = one.rate * one.flops / 1e9 / ceilings[one.entry.precision]
        rows.append(
            [
                size,
                one.entry.task,
                one.entry.label,
                one.entry.precision,
                f"{one.rate:.1f}",
                f"{min(one.rates):.1f} to {max(one.rates):.1f}",
                _ratio(one, default),
                _ratio(one, best),
                f"{share:.0%}",
                f"{one.differs:.1e}" if one.entry.contestant != OURS else "",
            ]
        )
    return rows


def _ratio(one: Measured, other: Measured | None) -> str:
    """Return how many times as fast, as the median over the rounds; nothing without the other."""
    if other is None:
        return ""
    each = [mine / theirs for mine, theirs in zip(one.rates, other.rates, strict=True)]
    return f"{statistics.median(each):.2f}x"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return the table ready for docs/benchmarks.md."""
    widths = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(len(HEAD))]
    every = [HEAD, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in every
    )

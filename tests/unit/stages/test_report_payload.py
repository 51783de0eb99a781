"""What the page carries for its comparisons: rounded without changing a verdict, and bounded."""

import numpy as np
import pytest

from redistil.stages.report.numbers import wording
from redistil.stages.report.page import payload


@pytest.mark.parametrize(
    ("difference", "p", "shown", "word"),
    [
        (0.2, 0.04999, 500, 1),  # rounded, it would be no less than alpha
        (-0.2, 0.04999, 500, -1),
        (0.2, 0.05, 500, 0),
        (0.00001, 0.001, 10, 1),  # rounded, the difference would be none
        (0.2, 0.00099, 0, 1),  # printed as "< 0.001", as in the tables
        (0.2, 0.04946, 490, 1),
    ],
)
def test_a_verdict_is_carried_and_not_told_from_what_is_rounded(
    difference: float, p: float, shown: int, word: int
):
    row = {"scope": "x", "queries": 9, "wins": 1, "losses": 2, "difference": difference}
    row |= dict.fromkeys(("low", "high"), 0.0) | dict.fromkeys(
        ("p", "p_randomisation", "p_holm"), p
    )
    (small,) = payload._pairs([row], 0.05)["x"]["rows"]
    assert small[5] == shown and small[-1] == word
    assert wording.p_value(p) == ("< 0.001" if shown < 10 else f"{shown / payload.SCALE:.3f}")


def test_a_page_that_would_be_too_large_keeps_the_first_choices_of_every_data_set():
    rng = np.random.default_rng(1)
    found = [
        {"dataset": dataset, "choice": choice, "query": rng.bytes(500).hex()}
        for dataset in ("a", "b")
        for choice in range(1, 101)
    ]
    kept = payload.bounded(found, 30_000)
    assert 0 < len(payload.compressed(kept)) <= 30_000
    last = max(c["choice"] for c in kept)
    assert [c["choice"] for c in kept] == [*range(1, last + 1)] * 2
    assert payload.bounded(found, 10_000_000) == found and payload.bounded(found, 10) == []

"""Numbers in the page for its comparisons: rounded without changing a verdict, and bounded."""

import numpy as np
import pytest

from redistil.stages.report.numbers import wording
from redistil.stages.report.page import payload


@pytest.mark.parametrize(
    ("p", "shown"), [(0.04999, 50), (0.05, 50), (0.00099, 0), (0.001, 1), (0.04849, 48)]
)
def test_a_verdict_is_carried_not_recomputed(p: float, shown: int):
    row = {"scope": "x", "queries": 9, "wins": 1, "losses": 2, "difference": 0.00001, "p_holm": p}
    row |= {"low": 0.0, "high": 0.0, "verdict": "better", "family": "losses"}
    (small,) = payload._pairs([row])["x"]["rows"]
    assert small[3] == shown
    assert payload.VERDICTS[small[-2]] == "better" and payload.FAMILIES[small[-1]] == "losses"
    assert wording.p_value(p) == ("< 0.001" if shown == 0 else f"{shown / payload.SCALE:.3f}")


@pytest.mark.parametrize("value", [0.4135, 0.41349999, 0.0005, 0.12345678, 1.0, 0.0])
def test_a_value_is_rounded_once(value: float):
    assert f"{payload.thousandths(value) / payload.SCALE:.3f}" == wording.number(value)


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

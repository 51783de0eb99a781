"""Every objective with every option that is examined, and batches to examine it on."""

from functools import partial

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from redistil.learning.objectives import OBJECTIVES
from redistil.study.objectives import DECLARED, LABELS, MARGINS, ORDER, SCORES

LABELLED = {name for name, loss in DECLARED.items() if loss.targets == {LABELS}}
ORDINAL = {name for name, loss in DECLARED.items() if ORDER in loss.targets}
OF_MARGINS = {name for name, loss in DECLARED.items() if MARGINS in loss.targets}
OF_SCORES = {name for name, loss in DECLARED.items() if SCORES in loss.targets}

# Some value for every option: all that a new objective has to be given here.
OPTIONS = {
    "hinge": [{"margin": 1.0}],
    "infonce": [{"temperature": 1.0}, {"temperature": 0.5}],
    "kl": [{"temperature": 1.0}, {"temperature": 2.0}],
    "adr-mse": [{"temperature": 1.0}, {"temperature": 0.5}],
    "weighted-ranknet": [{"weight": "signed"}, {"weight": "absolute"}],
}

CASES = [(name, options) for name in OBJECTIVES for options in OPTIONS.get(name, [{}])]

MOVED_BY_A_SHIFT = {"bce", "pointwise-mse"}  # the value of a score counts, not only margins
BELOW_ZERO = {("weighted-ranknet", "signed")}  # a pair that the teacher inverts is rewarded
FIRST_IS_POSITIVE = {"weighted-ranknet"}  # candidate 0 has a meaning


def cases(*names):
    chosen = [case for case in CASES if not names or case[0] in names]
    ids = ["-".join([name, *map(str, options.values())]) for name, options in chosen]
    return pytest.mark.parametrize(("name", "options"), chosen, ids=ids)


def objective(name, options):
    return partial(OBJECTIVES[name], **options)


def loss_and_gradient(name, options, scores, targets, mask) -> tuple[Tensor, Tensor]:
    scores = scores.clone().requires_grad_()
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        loss = objective(name, options)(scores, targets, mask)
        loss.backward()
    return loss.detach(), scores.grad


# Eighths in a small range: exact in float32, in bfloat16 and under shifts, and often tied.
EIGHTHS = st.integers(-24, 24).map(lambda n: n / 8)


@st.composite
def batches(draw, least=1) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, targets and mask; any candidate of any list may be missing."""
    shape = draw(st.integers(1, 3)), draw(st.integers(least, 5))
    cells = shape[0] * shape[1]

    def table(values):
        rows = draw(st.lists(values, min_size=cells, max_size=cells))
        return torch.tensor(rows).reshape(shape)

    mask = table(st.sampled_from([True, True, True, False]))
    return table(EIGHTHS), table(EIGHTHS), mask


# The same examples at every run; no example is worth a database in the working tree.
examine = settings(max_examples=15, deadline=None, derandomize=True, database=None)

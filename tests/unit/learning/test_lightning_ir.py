"""Lightning-ir's losses: ours where the two agree, and the reason where they do not.

Its values and gradients are in lightning_ir.json, which benchmarks/lightning_ir_losses.py wrote.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from redistil.learning.objectives import OBJECTIVES

FILE = Path(__file__).with_name("lightning_ir.json")
CASES = {(c["loss"], c["targets are"]): c for c in json.loads(FILE.read_text())["cases"]}


def theirs(loss: str, kind: str) -> dict[str, torch.Tensor]:
    case = CASES[loss, kind]
    return {k: torch.tensor(case[k]) for k in ("scores", "targets", "value", "gradient")}


def ours(name: str, scores: torch.Tensor, targets: torch.Tensor, **options: Any) -> tuple:
    """Return value and gradient; the lists stand in a wider batch, beside padding."""
    wide = torch.nn.functional.pad(scores, (0, 2), value=float("nan")).requires_grad_()
    targets = torch.nn.functional.pad(targets, (0, 2), value=float("nan"))
    value = OBJECTIVES[name](wide, targets, ~wide.isnan(), **options)
    value.backward()
    return value.detach(), wide.grad[:, :-2]


ONE = {"temperature": 1.0}
AGREED = [
    ("ranknet", "scores", {}),
    ("ranknet", "tied scores", {}),  # a tie is no pair in either
    ("ranknet", "one positive", {}),
    ("ranknet", "several positives", {}),
    ("margin-mse", "scores", {}),
    ("infonce", "one positive", ONE),
    ("kl", "scores", ONE),
    ("kl", "tied scores", ONE),
    ("adr-mse", "scores", ONE),
    ("adr-mse, temperature 0.5", "scores", {"temperature": 0.5}),
]


@pytest.mark.parametrize(("loss", "kind", "options"), AGREED)
def test_the_value_and_the_gradient_are_theirs(loss, kind, options):
    found = theirs(loss, kind)
    value, gradient = ours(loss.split(",")[0], found["scores"], found["targets"], **options)
    torch.testing.assert_close(value, found["value"])
    torch.testing.assert_close(gradient, found["gradient"], atol=1e-6, rtol=1e-4)


# --- where they differ ------------------------------------------------------------------------


def test_their_temperature_of_ranknet_multiplies():
    """Ours would divide, as temperatures do everywhere else; RankNet here has none."""
    found = theirs("ranknet, temperature 2", "scores")
    value, _ = ours("ranknet", found["scores"] * 2, found["targets"])
    torch.testing.assert_close(value, found["value"])


def test_of_several_positives_theirs_knows_the_first():
    """Ours sums their probabilities: a value that does not depend on the order of the list."""
    found = theirs("infonce", "several positives")
    scores, targets = found["scores"], found["targets"]
    first = torch.nn.functional.one_hot(targets.argmax(1), 5).float()
    torch.testing.assert_close(ours("infonce", scores, first, **ONE)[0], found["value"])
    assert ours("infonce", scores, targets, **ONE)[0] < found["value"] - 0.5


def test_pairs_that_the_teacher_ties_are_in_our_margin_mse():
    """A tie is a margin of nought, as good a target as any other; theirs leaves such pairs out."""
    found = theirs("margin-mse", "tied scores")
    scores, targets = found["scores"], found["targets"]
    assert abs(ours("margin-mse", scores, targets)[0] - found["value"]) > 0.1
    margins = scores[:, :, None] - scores[:, None] - targets[:, :, None] + targets[:, None]
    ordered = targets[:, :, None] > targets[:, None]
    torch.testing.assert_close(margins[ordered].square().mean(), found["value"])


def test_tied_passages_share_their_rank_in_our_adr_mse():
    """Theirs gives them the places that a sort happens to put them in."""
    found = theirs("adr-mse", "tied scores")
    value, _ = ours("adr-mse", found["scores"], found["targets"], **ONE)
    assert abs(value - found["value"]) > 1e-3
    moved = [found[name].flip(1) for name in ("scores", "targets")]
    torch.testing.assert_close(ours("adr-mse", *moved, **ONE)[0], value)


def test_their_default_has_no_discount():
    found = theirs("rank-mse", "scores")
    assert ours("adr-mse", found["scores"], found["targets"], **ONE)[0] < found["value"] - 0.1

"""The accelerated paths can go: only students call them, and no score hangs on them."""

from pathlib import Path

import pytest
import torch

from redistil.learning.gradients import Memory, learn
from redistil.learning.pairs import Pairs
from redistil.learning.speed import shortcuts
from redistil.machine.processes import Processes
from tests.made.checkpoints import PAIRS, close, every_family, ids_of, student_on

SRC = Path(__file__).parents[3] / "src" / "redistil"

pytestmark = pytest.mark.usefixtures("quiet")


def switch_off(monkeypatch):
    monkeypatch.setattr(shortcuts, "taken", lambda network: network)
    monkeypatch.setattr(shortcuts, "for_scoring", lambda network, precision: network.eval())


def learnt(folder):
    """Return the loss and the gradients of one step of training."""
    student = student_on(folder).train()
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in getattr(student.network.base_model, "layers", []):
        layer.attn.attention_dropout = 0.0
    queries, passages = [ids_of(student, side) for side in zip(*PAIRS, strict=True)]
    how = Memory(90, 0), "float32", (1, 1), Processes("cpu")
    pairs = Pairs.aligned(queries, passages)
    loss, _ = learn(student, pairs, lambda scores: scores.softmax(0)[0], *how)
    return loss, {name: weight.grad for name, weight in student.named_parameters()}


def scored(folder, precision):
    student = student_on(folder)
    sides = [ids_of(student, side) for side in zip(*PAIRS, strict=True)]
    with torch.inference_mode():
        return student.for_scoring(precision).score(*sides)


def test_only_students_call_the_accelerated_paths():
    callers = set()
    for path in SRC.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "learning.speed" in text and path.parent.name != "speed":
            callers.add(path.parent.relative_to(SRC).as_posix())
    assert callers == {"learning/students"}


@every_family
def test_scores_are_the_same_without_speed(checkpoints, family, monkeypatch):
    fast = {name: scored(checkpoints[family], name) for name in ("float32", "bfloat16")}
    switch_off(monkeypatch)
    close(scored(checkpoints[family], "float32"), fast["float32"])
    plain = scored(checkpoints[family], "bfloat16")
    assert plain.dtype == torch.float32
    assert (plain - fast["bfloat16"]).abs().max() < 0.1 * plain.std() + 0.1


@every_family
def test_training_is_the_same_without_speed(checkpoints, family, monkeypatch):
    loss, gradients = learnt(checkpoints[family])
    switch_off(monkeypatch)
    plain_loss, plain = learnt(checkpoints[family])
    torch.testing.assert_close(loss, plain_loss)
    for name, gradient in plain.items():
        assert (gradient is None) == (gradients[name] is None), name
        if gradient is not None:
            torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=2e-5, msg=name)

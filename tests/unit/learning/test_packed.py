"""Packed training: logits and gradients of transformers' padded batches, without the padding."""

import shutil
from typing import Any

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st
from torch import nn
from transformers import AutoModelForSequenceClassification

from redistil.learning.speed import packed
from redistil.learning.speed.packed import Packing
from tests.made.checkpoints import FAMILIES, PAIRS, close, ids_of, student_on, write_checkpoint

PACKED = {"bert", "distilbert", "electra", "roberta", "modernbert"}
# a window shorter than the texts, and a head that reads every token
MODERN = {"window": {"local_attention": 8}, "mean": {"classifier_pooling": "mean"}}
KINDS = [*FAMILIES, *MODERN]
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def checkpoints(checkpoints, tmp_path_factory):
    root = tmp_path_factory.mktemp("modern")
    made = {
        kind: write_checkpoint("modernbert", root / kind, settings=settings)
        for kind, settings in MODERN.items()
    }
    return checkpoints | made


def both(checkpoints, kind, tmp_path) -> tuple[Any, Any]:
    """Return a student that trains without dropout, and the plain network of the same weights."""
    student = student_on(checkpoints[kind]).train()
    student.save(tmp_path)
    for module in student.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return student, AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()


def given(student, pairs=PAIRS):
    return [ids_of(student, side) for side in zip(*pairs, strict=True)]


@every_kind
def test_packed_training_equals_padded(checkpoints, kind, tmp_path):
    student, plain = both(checkpoints, kind, tmp_path)
    weights = torch.linspace(-1, 1, len(PAIRS))
    logits = student.score(*given(student))
    wanted = plain(**student.inputs(*given(student))).logits.squeeze(-1)
    close(logits, wanted)
    (logits * weights).sum().backward()
    (wanted * weights).sum().backward()
    gradients = {name: weight.grad for name, weight in plain.named_parameters()}
    for name, weight in student.network.named_parameters():
        assert (weight.grad is None) == (gradients[name] is None), name
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-4, atol=2e-5, msg=name)


@every_kind
def test_only_training_is_packed(checkpoints, kind):
    student = student_on(checkpoints[kind])
    lengths = student.lengths_of(*given(student))
    seen = []
    first = next(m for m in student.network.base_model.modules() if type(m) is nn.Embedding)
    first.register_forward_hook(lambda module, args, found: seen.append(args[0].numel()))
    for mode in (True, False):
        student.train(mode).score(*given(student))
    padded = len(PAIRS) * max(lengths)
    known = kind in PACKED or kind in MODERN
    assert seen == [sum(lengths) if known else padded, padded]


@every_kind
def test_a_pair_ignores_its_neighbours(checkpoints, kind, tmp_path):
    student, _ = both(checkpoints, kind, tmp_path)
    with torch.no_grad():
        together = student.score(*given(student))
        for i, pair in enumerate(PAIRS):
            close(student.score(*given(student, [pair])), together[i : i + 1])


@pytest.mark.parametrize("kind", sorted(PACKED | set(MODERN)))
@pytest.mark.parametrize("layer", [0, -1])  # packed attention, and the short last layer
def test_dropout_is_drawn_in_the_attention(checkpoints, kind, layer, tmp_path):
    student, _ = both(checkpoints, kind, tmp_path)  # without any other dropout
    encoder = student.network.base_model
    if hasattr(encoder, "layers"):
        encoder.layers[layer].attn.attention_dropout = 0.5
    elif kind == "distilbert":
        encoder.transformer.layer[layer].attention.dropout.p = 0.5
    else:
        encoder.encoder.layer[layer].attention.self.dropout.p = 0.5
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found.append(student.score(*given(student)).detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_equal_lengths_need_no_mask(checkpoints, tmp_path):
    student, plain = both(checkpoints, "bert", tmp_path)
    pairs = [PAIRS[1]] * 3
    wanted = plain(**student.inputs(*given(student, pairs))).logits.squeeze(-1)
    close(student.score(*given(student, pairs)), wanted)


def test_other_attention_is_left_alone(checkpoints):
    network = AutoModelForSequenceClassification.from_pretrained(
        checkpoints["bert"], num_labels=1, attn_implementation="eager"
    )
    packed.while_training(network)
    assert network.config._attn_implementation == "eager"
    assert not network.base_model._forward_hooks


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_half_precision_stays_near(checkpoints, kind, tmp_path):
    student, plain = both(checkpoints, kind, tmp_path)
    wanted = plain(**student.inputs(*given(student))).logits.squeeze(-1)
    with torch.autocast("cpu", torch.bfloat16):
        near = student.score(*given(student))
    assert 0 < (near - wanted).abs().max() < 0.1 * wanted.std() + 0.1


@drawn(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_a_row_has_no_padding(lengths):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    tokens = torch.arange(1, mask.numel() * 2 + 1).view(*mask.shape, 2)
    packing = Packing.of(mask)
    row = packing.row(tokens)
    assert row.shape == (1, sum(lengths), 2)
    assert torch.equal(packing.grid(row), tokens * mask[..., None])
    assert torch.equal(row[0, packing.starts], tokens[:, 0])


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # torch warns of itself
def test_compiled_training_is_the_same(checkpoints, tmp_path):
    """Batches of several shapes, as a training has them."""
    student, plain = both(checkpoints, "bert", tmp_path)
    student.network.compile(dynamic=True)
    for pairs in (PAIRS[:3], PAIRS, PAIRS[1:]):
        wanted = plain(**student.inputs(*given(student, pairs))).logits.squeeze(-1)
        found = student.score(*given(student, pairs))
        close(found, wanted)
        found.sum().backward()

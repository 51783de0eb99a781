"""Attention by batched products is torch's own, and what scores in bfloat16 on a CPU has it."""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from redistil.learning.speed import products, shortcuts
from tests.made.checkpoints import PAIRS, close, ids_of, student_on, write_checkpoint

MASKS = ("none", "padding", "window")
ENCODER = torch.nn.Module()
ENCODER.is_causal = False  # as the attention of every known encoder says


def mask_of(kind, count, length):
    """Return which positions see which, [N, 1, L, L]; in a window the padded ones see nothing."""
    if kind == "none":
        return None
    real = torch.arange(length) < torch.arange(length, length - 2 * count, -2)[:, None]
    found = real[:, None, None].expand(-1, -1, length, -1)
    if kind == "window":
        places = torch.arange(length)
        found = found & ((places[:, None] - places).abs() < 1)
    return found


@pytest.mark.parametrize("length", [7, 32, 33])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", MASKS)
def test_attention_is_that_of_torch(kind, count, length):
    torch.manual_seed(1)
    states = [torch.randn(count, length, 2, 16).transpose(1, 2) for _ in range(3)]
    mask = mask_of(kind, count, length)
    how = {"dropout": 0.0, "scaling": 0.3}
    wanted, _ = sdpa_attention_forward(ENCODER, *states, mask, **how)
    found, _ = products.attend(ENCODER, *states, mask, **how)
    seen = torch.ones(count, length) if mask is None else mask.any(-1)[:, 0]
    close(found[seen.bool()], wanted[seen.bool()])
    assert found.isfinite().all() and found.shape == (count, length, 2, 16)


def test_long_texts_keep_fused_attention(monkeypatch):
    monkeypatch.setattr(products, "LONGEST", 8)
    monkeypatch.setattr(products, "_hidden", None)  # what it would need
    states = [torch.randn(1, 2, 9, 16) for _ in range(3)]
    wanted, _ = sdpa_attention_forward(ENCODER, *states, None, scaling=0.25)
    close(products.attend(ENCODER, *states, None, scaling=0.25)[0], wanted)


@pytest.mark.skipif(not shortcuts._lays_out("bfloat16"), reason="no bfloat16 in this processor")
@pytest.mark.parametrize("family", ["bert", "electra", "roberta", "modernbert"])
@torch.inference_mode()
def test_half_precision_snapshots_use_products(family, tmp_path, monkeypatch):
    student = student_on(write_checkpoint(family, tmp_path / family))
    seen = []
    hide = products._hidden
    monkeypatch.setattr(products, "_hidden", lambda *given: seen.append(1) or hide(*given))
    sides = [ids_of(student, side) for side in zip(*PAIRS, strict=True)]
    wanted = student.score(*sides)
    student.for_scoring("float32").score(*sides)
    assert not seen
    near = student.for_scoring("bfloat16").score(*sides)
    layers = student.network.config.num_hidden_layers
    assert len(seen) == layers - 1  # the last has one position
    assert (near - wanted).abs().max() < 0.1 * wanted.std() + 0.1

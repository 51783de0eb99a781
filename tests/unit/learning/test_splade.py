"""SPLADE on a tiny checkpoint: its vectors are those of the formula."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from redistil.learning.splade import Splade, flops
from tests.made.checkpoints import PAIRS, close, refused, write_checkpoint

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Splade:
    folder = tmp_path_factory.mktemp("splade") / "bert"
    return Splade.load(write_checkpoint("bert", folder, AutoModelForMaskedLM)).eval()


TEXTS = [passage for _, passage in PAIRS]


@torch.no_grad()
def test_a_vector_takes_the_largest_weights(encoder):
    for text in TEXTS:
        ids = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        inputs = encoder.tokenizer([text], return_tensors="pt")
        logits = encoder.network(**inputs).logits[0]
        wanted = torch.log(1 + logits.relu()).max(dim=0).values
        got = encoder.vectors([np.array(ids, np.int32)], 60)[0]
        close(got, wanted)
        assert (got >= 0).all() and got.max() > 0


@torch.no_grad()
def test_a_vector_ignores_its_batch(encoder):
    tokens = [
        np.array(row, np.int32)
        for row in encoder.tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
    ]
    together = encoder.vectors(tokens, 60)
    close(torch.cat([encoder.vectors([row], 60) for row in tokens]), together)
    close(encoder.vectors(tokens, 6), encoder.vectors([row[:4] for row in tokens], 60))


def test_flops_by_hand():
    assert flops(torch.tensor([[1.0, 0.0, 2.0], [3.0, 0.0, 0.0]])) == 2.0**2 + 1.0**2


def test_a_splade_needs_its_head(checkpoints):
    """Its head would be random: so would be the first stage, without a word."""
    refused(lambda: Splade.load(checkpoints["bert"]), "BertForMaskedLM", "cls.predictions")

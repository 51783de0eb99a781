"""SPLADE: a text as sparse weights over its tokenizer's vocabulary.

Weight of term t = max over tokens of log(1 + relu(logit_t)), float32 (SPLADE-v3, naver). [CLS] and
[SEP] take part and padding does not. Queries and passages go through the same encoder; the score of
a pair is the inner product.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from redistil.learning.batches import padded
from redistil.learning.students import probe
from redistil.learning.students.checkpoints import load_pair
from redistil.storage.ragged import Tokens

PADDING = -1e6  # added to the logits of padded positions, which then never are the greatest


class Splade(nn.Module):
    """A masked-LM encoder whose pooled logits are the vector of a text."""

    def __init__(self, network: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.network = network
        self.tokenizer = tokenizer
        self.special = len(tokenizer("")["input_ids"])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the encoder of a checkpoint folder; BadSource if vectors depend on the batch."""
        from transformers import AutoModelForMaskedLM

        encoder = cls(*load_pair(AutoModelForMaskedLM, folder))
        probe.check_vectors(encoder, folder)
        return encoder

    def vectors(self, texts: Sequence[Tokens], longest: int) -> Tensor:
        """Return weights [N, vocabulary] of N texts, each cut to `longest` tokens in all."""
        cls, sep = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        ids = []
        for tokens in texts:
            ids.append(np.concatenate([[cls], tokens[: longest - self.special], [sep]]))
        device = next(self.parameters()).device
        lengths = np.array([len(row) for row in ids])
        real = np.arange(lengths.max()) < lengths[:, None]
        mask = torch.from_numpy(real.astype(np.int64)).to(device)
        inputs = torch.from_numpy(padded(ids, self.tokenizer.pad_token_id)).to(device)
        logits = self.network(input_ids=inputs, attention_mask=mask).logits.float()
        # log(1 + relu(x)) rises with x: its maximum over tokens is that of the greatest logit
        greatest = (logits + PADDING * (1 - mask).unsqueeze(-1)).amax(dim=1)
        return torch.log1p(torch.relu(greatest))


def flops(vectors: Tensor) -> Tensor:
    """Return the FLOPS penalty of weights [N, V]: sum over terms of the squared mean weight.

    Paria et al. 2020, arXiv:2004.05665, equation 4; the regulariser of SPLADE.
    """
    return vectors.mean(0).square().sum()

"""Attention by plain batched products, for scoring in bfloat16 on a CPU.

torch's fused attention multiplies small matrices there at a fraction of the speed of oneDNN's
batched products. The steps in between cost less than that saves (`docs/benchmarks.md`).
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "products"
COLUMNS = 32  # torch's softmax takes what exceeds a multiple of this one by one
LONGEST = 1024  # tokens; of longer texts the scores of all heads would be gigabytes


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **how: Any,
) -> tuple[Tensor, None]:
    """Return what transformers' sdpa attention does without dropout, of [N, H, L, d]: [N, L, H, d].

    attention_mask: [N, 1, L, L], true where a position sees another; None where all see all.
    """
    count, heads, length, width = query.shape
    if length > LONGEST:
        attended, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **how
        )
        return attended, None
    more = -length % COLUMNS
    key = nn.functional.pad(key, (0, 0, 0, more)).flatten(0, 1)
    value = nn.functional.pad(value, (0, 0, 0, more)).flatten(0, 1)
    hidden = _hidden(query, attention_mask, length + more).expand(-1, heads, -1, -1)
    scores = hidden.contiguous().flatten(0, 1)
    scores.baddbmm_(query.flatten(0, 1), key.transpose(1, 2), alpha=scaling)
    attended = torch.bmm(scores.softmax(-1), value)
    return attended.view(count, heads, length, width).transpose(1, 2), None


def _hidden(like: Tensor, mask: Tensor | None, columns: int) -> Tensor:
    """Return what hides columns from the softmax, [N, 1, L, columns]: 0 where one is seen.

    Not minus infinity: a padded position may see nothing, and would be no number.
    """
    count, _, length, _ = like.shape
    hidden = like.new_full((count, 1, length, columns), torch.finfo(like.dtype).min / 2)
    view = hidden[..., :length]
    view.zero_() if mask is None else view.masked_fill_(mask, 0)
    return hidden


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)

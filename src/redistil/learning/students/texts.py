"""Single texts as token ids: what a tokenizer puts around a text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from redistil.errors import BadSource
from redistil.learning.batches import Rows, padded
from redistil.learning.students.pairs import find, two_texts
from redistil.storage.ragged import Tokens


class Inputs(NamedTuple):
    """Texts as a network reads them: ids and mask [T, L], and how many tokens each has [T]."""

    ids: Tensor
    mask: Tensor
    sizes: Rows


@dataclass(frozen=True)
class TextTemplate:
    """How a tokenizer writes a text: `before` text `after`.

    length: tokens of the text that are read at most.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    pad: int
    length: int

    @property
    def longest(self) -> int:
        """How many tokens a text has at most, special ones included."""
        return len(self.before) + self.length + len(self.after)

    def sizes(self, texts: Sequence[Tokens]) -> Rows:
        """Return how many tokens of each text are read, special ones included."""
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        return np.minimum(sizes, self.length) + len(self.before) + len(self.after)

    def inputs(self, texts: Sequence[Tokens], device: torch.device) -> Inputs:
        """Return texts as a padded batch."""
        before, after = np.array(self.before, np.int64), np.array(self.after, np.int64)
        rows = []
        for text in texts:
            rows.append(np.concatenate([before, text[: self.length], after]).astype(np.int64))
        ids = padded(rows, self.pad)
        sizes = self.sizes(texts)
        mask = (np.arange(ids.shape[1]) < sizes[:, None]).astype(np.int64)
        return Inputs(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device), sizes)

    def with_masks(self, mask: int, count: int, position: str) -> "TextTemplate":
        """Return the same with `count` tokens `mask` before or after what ends a text."""
        more = (mask,) * count
        after = more + self.after if position == "before" else self.after + more
        return replace(self, after=after)

    def without_first(self) -> "TextTemplate":
        """Return the same without the first special token."""
        return replace(self, before=self.before[1:])


def text_template(tokenizer: Any, length: int) -> TextTemplate:
    """Return how `tokenizer` writes a text of at most `length` tokens."""
    if tokenizer.pad_token_id is None:
        raise BadSource("the tokenizer has no padding token: it is not one of an encoder")
    text = two_texts(tokenizer)[0]
    ids = tuple(tokenizer(text.text)["input_ids"])
    start = find(text.ids, ids, 0)
    end = start + len(text.ids)
    return TextTemplate(ids[:start], ids[end:], tokenizer.pad_token_id, length)

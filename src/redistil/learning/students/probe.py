"""A probe of a checkpoint: its score of a pair must not depend on the batch around the pair.

Pairs of a batch are padded to one length. Some networks let the padding change the score: a
decoder that looks for another padding token, attention over blocks of the padded length, a
convolution over it. A few made-up pairs show it in less than a second.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redistil.errors import BadSource
from redistil.storage.ragged import Tokens

SIZES = ((2, 3), (1, 1), (3, 24), (4, 9))  # tokens of query and passage of each pair
TOLERANCE = 1e-4  # of the largest score; rounding moves a score by a hundredth of this

Pairs = tuple[list[Tokens], list[Tokens]]


def check(student: Any, checkpoint: Path) -> None:
    """Refuse, as BadSource, a student whose score of a pair depends on the pairs around it."""
    pairs = made_up(student.tokenizer)
    with _as_it_scores(student):
        alone = _alone(student, pairs, checkpoint)
        moved = _moved(alone, _together(student, pairs, checkpoint))
        if moved:
            raise BadSource(
                f"{checkpoint} is not a usable checkpoint: a pair scores {moved} in a padded batch"
                f"{_advice(student, pairs, alone)}"
            )


def check_left(student: Any, checkpoint: Path) -> None:
    """Refuse a cross-encoder whose tokenizer pads on the left while its network cannot.

    It would be saved with that tokenizer, and whoever loads it would pad so.
    """
    if student.tokenizer.padding_side != "left":
        return
    pairs = made_up(student.tokenizer)
    with _as_it_scores(student):
        alone = _alone(student, pairs, checkpoint)
        padded = student.network(**_from_left(student.inputs(*pairs))).logits.squeeze(-1)
    moved = _moved(alone, padded)
    if moved:
        raise BadSource(
            f"{checkpoint} is not a usable checkpoint: its tokenizer pads on the left, where a "
            f'pair scores {moved}: write "padding_side": "right" into its tokenizer_config.json'
        )


def made_up(tokenizer: Any) -> Pairs:
    """Return pairs of unlike lengths, of tokens spread over the vocabulary."""
    ordinary = sorted(set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids))
    words = np.array(ordinary, np.int32)
    queries: list[Tokens] = []
    passages: list[Tokens] = []
    start = 0
    for query, passage in SIZES:
        places = np.arange(start, start + query + passage) * 7919 % len(words)
        queries.append(words[places[:query]])
        passages.append(words[places[query:]])
        start += query + passage
    return queries, passages


class _as_it_scores:
    """Put a student in its state of scoring, and leave all as it was: mode, and random numbers."""

    def __init__(self, student: Any) -> None:
        self._student, self._training = student, student.training
        self._states = torch.inference_mode(), torch.random.fork_rng(devices=[])

    def __enter__(self) -> None:
        self._student.eval()
        for state in self._states:
            state.__enter__()

    def __exit__(self, *error: Any) -> None:
        for state in reversed(self._states):
            state.__exit__(*error)
        self._student.train(self._training)


def _alone(student: Any, pairs: Pairs, checkpoint: Path) -> Tensor:
    scores: list[Tensor] = []
    try:
        for query, passage in zip(*pairs, strict=True):
            scores.append(student.score([query], [passage]))
    except IndexError as error:  # of an embedding: a token, or a kind of token, that it lacks
        raise BadSource(
            f"{checkpoint} is not a usable checkpoint: it does not score a pair of its tokenizer's "
            f"tokens ({error}): put the tokenizer there that the model was trained with"
        ) from None
    return torch.cat(scores)


def _together(student: Any, pairs: Pairs, checkpoint: Path) -> Tensor:
    try:
        scores: Tensor = student.score(*pairs)
    except ValueError as error:  # a decoder without a padding token takes one text at a time
        reason = str(error).splitlines()[0].rstrip(".")
        raise BadSource(
            f"{checkpoint} is not a usable checkpoint: it does not score a batch ({reason}): "
            "write the tokenizer's pad_token_id into its config.json"
        ) from None
    return scores


def _moved(alone: Tensor, padded: Tensor) -> str:
    """Return, for a message, two scores of the pair that moved most; '' where none moved."""
    gaps = (alone - padded).abs()
    worst = int(gaps.argmax())
    if gaps[worst] <= TOLERANCE * alone.abs().max():
        return ""
    return f"{alone[worst]:.4g} alone and {padded[worst]:.4g}"


def _advice(student: Any, pairs: Pairs, alone: Tensor) -> str:
    """Return what to do about it: name the right padding token, if that mends the scores."""
    config, wanted = student.network.config, student.tokenizer.pad_token_id
    found = config.pad_token_id
    config.pad_token_id = wanted
    is_mended = not _moved(alone, student.score(*pairs))
    config.pad_token_id = found
    if is_mended:
        return f": write its tokenizer's pad_token_id, {wanted}, into its config.json, not {found}"
    return f", since {config.model_type} reads the padding too: choose a model of another family"


def _from_left(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a batch that is padded on the right, padded on the left."""
    width = inputs["attention_mask"].shape[1]
    padding = width - inputs["attention_mask"].sum(1, keepdim=True)
    columns = (torch.arange(width) - padding) % width
    return {key: rows.gather(1, columns) for key, rows in inputs.items()}

"""A probe of a checkpoint: a score, or a vector, must not depend on the batch around it.

Pairs of a batch are padded to one length. Some networks let the padding change the score: a
decoder that looks for another padding token, attention over blocks of the padded length, a
convolution over it. A few made-up pairs show it in less than a second.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from redistil.errors import BadSource
from redistil.storage.ragged import Tokens

SIZES = ((2, 3), (1, 1), (3, 24), (4, 9))  # tokens of query and passage of each pair
TOLERANCE = 1e-4  # of the largest score; rounding moves a score by a hundredth of this

LONGEST = 32  # tokens of a text, special ones included

Pairs = tuple[list[Tokens], list[Tokens]]
Numbers = Callable[[slice], Tensor]  # the scores of some pairs, or the vectors of some texts


def check(student: Any, checkpoint: Path) -> None:
    """Refuse, as BadSource, a student whose score of a pair depends on the pairs around it."""
    queries, passages = made_up(student.tokenizer)
    with _as_it_scores(student):
        _compare(student, lambda some: student.score(queries[some], passages[some]), checkpoint)


def check_vectors(encoder: Any, checkpoint: Path) -> None:
    """Refuse, as BadSource, an encoder whose vector of a text depends on the texts around it."""
    _, texts = made_up(encoder.tokenizer)
    with _as_it_scores(encoder):
        _compare(encoder, lambda some: encoder.vectors(texts[some], LONGEST), checkpoint)


def _compare(student: Any, numbers: Numbers, checkpoint: Path) -> None:
    alone = _alone(numbers, checkpoint)
    moved = _moved(alone, _together(numbers, checkpoint))
    if moved:
        what = "a pair scores" if alone.dim() == 1 else "a term of a text weighs"
        raise BadSource(
            f"{checkpoint} is not a usable checkpoint: {what} {moved} in a padded batch"
            f"{_advice(student, numbers, alone)}"
        )


def check_left(student: Any, checkpoint: Path) -> None:
    """Refuse a cross-encoder whose tokenizer pads on the left while its network cannot.

    It would be saved with that tokenizer, and whoever loads it would pad so.
    """
    if student.tokenizer.padding_side != "left":
        return
    queries, passages = made_up(student.tokenizer)
    with _as_it_scores(student):
        alone = _alone(lambda some: student.score(queries[some], passages[some]), checkpoint)
        inputs = _from_left(student.inputs(queries, passages))
        padded = student.network(**inputs).logits.squeeze(-1)
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
        self._student = student
        # a new student trains, and its network does not yet
        self._modes = [(module, module.training) for module in student.modules()]
        self._states = torch.inference_mode(), torch.random.fork_rng(devices=[])

    def __enter__(self) -> None:
        self._student.eval()
        for state in self._states:
            state.__enter__()

    def __exit__(self, *error: Any) -> None:
        for state in reversed(self._states):
            state.__exit__(*error)
        for module, mode in self._modes:
            module.training = mode


def _alone(numbers: Numbers, checkpoint: Path) -> Tensor:
    rows: list[Tensor] = []
    try:
        for place in range(len(SIZES)):
            rows.append(numbers(slice(place, place + 1)))
    except IndexError as error:  # of an embedding: a token, or a kind of token, that it lacks
        raise BadSource(
            f"{checkpoint} is not a usable checkpoint: it does not score a pair of its tokenizer's "
            f"tokens ({error}): put the tokenizer there that the model was trained with"
        ) from None
    return torch.cat(rows)


def _together(numbers: Numbers, checkpoint: Path) -> Tensor:
    try:
        return numbers(slice(None))
    except ValueError as error:  # a decoder without a padding token takes one text at a time
        reason = str(error).splitlines()[0].rstrip(".")
        raise BadSource(
            f"{checkpoint} is not a usable checkpoint: it does not score a batch ({reason}): "
            "write the tokenizer's pad_token_id into its config.json"
        ) from None


def _moved(alone: Tensor, padded: Tensor) -> str:
    """Return, for a message, the number that moved most, twice; '' where none moved."""
    alone, padded = alone.flatten(), padded.flatten()
    gaps = (alone - padded).abs()
    worst = int(gaps.argmax())
    if gaps[worst] <= TOLERANCE * alone.abs().max():
        return ""
    return f"{alone[worst]:.4g} alone and {padded[worst]:.4g}"


def _advice(student: Any, numbers: Numbers, alone: Tensor) -> str:
    """Return what to do about it: name the right padding token, if that mends the numbers."""
    config, wanted = student.network.config, student.tokenizer.pad_token_id
    pad_id = config.pad_token_id
    config.pad_token_id = wanted
    is_mended = not _moved(alone, numbers(slice(None)))
    config.pad_token_id = pad_id
    if is_mended:
        return f": write its tokenizer's pad_token_id, {wanted}, into its config.json, not {pad_id}"
    return f", since {config.model_type} reads the padding too: choose a model of another family"


def _from_left(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a batch that is padded on the right, padded on the left."""
    width = inputs["attention_mask"].shape[1]
    padding = width - inputs["attention_mask"].sum(1, keepdim=True)
    columns = (torch.arange(width) - padding) % width
    return {key: rows.gather(1, columns) for key, rows in inputs.items()}

"""Pairs as token ids: how a tokenizer joins a query and a passage into one text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, processors

from redistil.errors import BadSource
from redistil.learning.batches import Rows
from redistil.storage.ragged import Tokens

Types = tuple[tuple[int, ...], int, tuple[int, ...], int, tuple[int, ...]]


class Joined(NamedTuple):
    """N pairs as token ids, mask and token types (None where there are none), [N, longest]."""

    ids: Rows
    mask: Rows
    types: Rows | None


@dataclass(frozen=True)
class PairTemplate:
    """How a tokenizer joins a query and a passage: `before` q `between` p `after`.

    types: the token types of [before, q, between, p, after], or None where the model has none.
    The tokenizer itself gives the form, so every family keeps its own.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: Types | None
    pad: int

    @property
    def special(self) -> int:
        """How many special tokens a pair has."""
        return len(self.before) + len(self.between) + len(self.after)

    def kept(
        self, query: Rows, passage: Rows, query_length: int, passage_length: int, pair_length: int
    ) -> tuple[Rows, Rows]:
        """Return how many of N sizes stay under their caps, a passage's under what the pair leaves.

        query, passage: tokens of each side; the lengths are caps, pair_length with special tokens.
        """
        query = np.minimum(query, query_length)
        left = np.maximum(pair_length - self.special - query, 0)
        return query, np.minimum(passage, np.minimum(passage_length, left))

    def join(self, queries: Sequence[Tokens], passages: Sequence[Tokens]) -> Joined:
        """Return N pairs, padded on the right."""
        count = len(queries)
        before = [np.array(self.before, np.int64)] * count
        between = [np.array(self.between, np.int64)] * count
        after = [np.array(self.after, np.int64)] * count
        parts: list[Sequence[npt.NDArray[Any]]] = [before, queries, between, passages, after]
        sizes = np.array([list(map(len, part)) for part in parts]).reshape(5, count)
        ends = sizes.cumsum(0)
        shape = count, int(ends[-1].max(initial=0))
        ids = np.full(shape, self.pad, np.int64)
        mask = (np.arange(shape[1]) < ends[-1][:, None]).astype(np.int64)
        types = None if self.types is None else np.zeros(shape, np.int64)
        for number, part in enumerate(parts):
            size, end = sizes[number], ends[number]
            rows = np.repeat(np.arange(count), size)
            columns = np.arange(size.sum()) + np.repeat(end - size.cumsum(), size)
            ids[rows, columns] = np.concatenate(part)
            if types is not None and self.types is not None:
                own = self.types[number]
                types[rows, columns] = own if isinstance(own, int) else list(own) * count
        return Joined(ids, mask, types)


def sizes_of(texts: Sequence[Tokens]) -> Rows:
    """Return how many tokens each text has."""
    return np.fromiter(map(len, texts), np.int64, len(texts))


def cut(texts: Sequence[Tokens], sizes: Rows) -> list[Tokens]:
    """Return the first tokens of each text, as many as `sizes` says."""
    return [tokens[:size] for tokens, size in zip(texts, sizes.tolist(), strict=True)]


def pair_template(tokenizer: Any) -> PairTemplate:
    """Return how `tokenizer` joins a pair: it joins two short texts, and the rest is the template.

    Raises BadSource for a tokenizer that cannot join a pair.
    """
    if tokenizer.pad_token_id is None:
        raise BadSource("the tokenizer has no padding token: it is not one of an encoder")
    query, passage = two_texts(tokenizer)
    encoded = tokenizer(query.text, passage.text)
    ids = tuple(encoded["input_ids"])
    q = find(query.ids, ids, 0)
    between = q + len(query.ids)
    p = find(passage.ids, ids, between)
    after = p + len(passage.ids)
    types: Types | None = None
    if encoded.get("token_type_ids") is not None:
        own = tuple(encoded["token_type_ids"])
        types = own[:q], own[q], own[between:p], own[p], own[after:]
    return PairTemplate(ids[:q], ids[between:p], ids[after:], types, tokenizer.pad_token_id)


class Encoded(NamedTuple):
    """A text with its token ids."""

    text: str
    ids: tuple[int, ...]


def two_texts(tokenizer: Any) -> list[Encoded]:
    """Return two texts that `tokenizer` knows."""
    special = set(tokenizer.all_special_ids)
    # a prompt may have words of its own; a list, since the library takes a second text "" for none
    around = tuple(tokenizer([""], [""])["input_ids"][0])
    texts = []
    for text in "abcdefghijklmnopqrstuvwxyz0123456789":
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids and special.isdisjoint(ids) and not _is_in(tuple(ids), around):
            texts.append(Encoded(text, tuple(ids)))
        if len(texts) == 2:
            return texts
    raise BadSource("the tokenizer has no two letters of its own: is this its vocabulary?")


def _is_in(part: tuple[int, ...], ids: tuple[int, ...]) -> bool:
    starts = range(len(ids) - len(part) + 1)
    return any(ids[place : place + len(part)] == part for place in starts)


def find(part: tuple[int, ...], ids: tuple[int, ...], start: int) -> int:
    """Return where `part` begins in `ids`, from `start` on; BadSource if it is not there."""
    for place in range(start, len(ids) - len(part) + 1):
        if ids[place : place + len(part)] == part:
            return place
    raise BadSource("the tokenizer encodes a text otherwise in a pair than alone")


def joined(tokenizer: Any) -> Any:
    """Return a tokenizer that joins a pair as [CLS] q [SEP] p [SEP], whatever its family does.

    So the later code of arXiv:2603.03010 (preset `morand-rerun`) joins ids for every backbone. Of
    the nine only RoBERTa has another form. What is returned is of no family: reading it back,
    transformers would give a `RobertaTokenizer` its own form again.
    """
    from transformers import PreTrainedTokenizerFast

    cls, sep = tokenizer.cls_token, tokenizer.sep_token
    cls_id, sep_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    own = pair_template(tokenizer)
    if (own.before, own.between, own.after) == ((cls_id,), (sep_id,), (sep_id,)):
        return tokenizer
    second = 0 if own.types is None else own.types[3]
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = processors.TemplateProcessing(
        single=[f"{cls}:0", "$A:0", f"{sep}:0"],
        pair=[f"{cls}:0", "$A:0", f"{sep}:0", f"$B:{second}", f"{sep}:{second}"],
        special_tokens=[(cls, cls_id), (sep, sep_id)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        **tokenizer.special_tokens_map,
    )


PAIR_FORMS = {"native": lambda tokenizer: tokenizer, "joined": joined}

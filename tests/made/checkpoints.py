"""Tiny checkpoints of five families as the hub has them, and students on them.

Their weights are random and so large that every token moves the score.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from redistil.errors import BadSource
from redistil.learning.students.cat import Cat
from tests.made.hub import (
    DISENTANGLED,
    REACH,
    WORDS,
    modern_pairs,
    roberta_pairs,
    unigrams,
    word_pieces,
)

ROOMY = {"query_length": 20, "passage_length": 30, "pair_length": 60}
FORM = {"pair_form": "native"}

PAIRS = [
    ("cat dog", "the red bird sings over the river"),
    ("stone", "bird"),
    ("query", ""),
    ("Cat, DOG! zebra?", "Ünïcode 日本 \n\t under   the lazy \u200b stone."),
    (" ".join(WORDS), " ".join(WORDS[::-1])),
]

NAMES = {kind: f"[{kind.upper()}]" for kind in ("pad", "unk", "cls", "sep", "mask")}
ROBERTA_NAMES = {kind: f"<{kind}>" for kind in ("pad", "unk", "mask")} | {
    "cls": "<s>",
    "sep": "</s>",
    "bos": "<s>",
    "eos": "</s>",
}
FAMILIES: dict[str, tuple[Any, str, dict[str, Any], dict[str, Any]]] = {
    "bert": (word_pieces, "BertTokenizer", {"do_lower_case": True}, {}),
    "distilbert": (
        word_pieces,
        "DistilBertTokenizer",
        {"do_lower_case": True, "model_input_names": ["input_ids", "attention_mask"]},
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    ),
    "electra": (word_pieces, "ElectraTokenizer", {"do_lower_case": True}, {"embedding_size": 8}),
    "roberta": (
        roberta_pairs,
        "RobertaTokenizer",
        {},
        {"type_vocab_size": 1, "max_position_embeddings": REACH + 2},
    ),
    "deberta-v2": (unigrams, "DebertaV2Tokenizer", {}, DISENTANGLED),
    "modernbert": (
        modern_pairs,
        "PreTrainedTokenizerFast",
        {"model_input_names": ["input_ids", "attention_mask"]},
        {"cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2},
    ),
}


def write_tokenizer(family: str, folder: Path) -> dict[str, int]:
    """Write a tokenizer's two files; return the ids of its special tokens."""
    trained, kind, config, _ = FAMILIES[family]
    tokenizer = trained()
    names = ROBERTA_NAMES if family == "roberta" else NAMES
    tokenizer.add_special_tokens(list(names.values()))
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = {f"{key}_token": token for key, token in names.items()}
    said = {"tokenizer_class": kind, "model_max_length": REACH} | tokens | config
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return {key: tokenizer.token_to_id(token) for key, token in names.items()} | {
        "size": tokenizer.get_vocab_size()
    }


def write_checkpoint(
    family: str, folder: Path, auto: Any = AutoModel, settings: Mapping[str, Any] | None = None
) -> Path:
    """Write a random checkpoint with weights so large that every token moves the score."""
    folder.mkdir(parents=True)
    ids = write_tokenizer(family, folder)
    shape = {
        "vocab_size": ids["size"],
        "pad_token_id": ids["pad"],
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": REACH,
        "initializer_range": 0.4,
    }
    config = AutoConfig.for_model(family, **(shape | FAMILIES[family][3] | dict(settings or {})))
    torch.manual_seed(5)
    auto.from_config(config).save_pretrained(folder)
    return folder


every_family = pytest.mark.parametrize("family", FAMILIES)


def student_on(folder: Path, lengths: dict[str, int] = ROOMY, seed: int = 1) -> Cat:
    return Cat.new(folder, lengths | FORM, seed).eval()


def ids_of(student: Cat, texts: Sequence[str]) -> list[np.ndarray]:
    """Return token ids as the token files have them."""
    found = student.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [np.array(row, np.int32) for row in found]


@torch.no_grad()
def scores(student: Cat, pairs: Sequence[tuple[str, str]]) -> torch.Tensor:
    queries, passages = zip(*pairs, strict=True)
    return student.score(ids_of(student, queries), ids_of(student, passages))


def close(got: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def refused(action: Any, *parts: str) -> None:
    with pytest.raises(BadSource) as caught:
        action()
    said = str(caught.value)
    assert "\n" not in said
    for part in parts:
        assert part in said, said

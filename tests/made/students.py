"""Students of every architecture on tiny checkpoints, and pairs of texts for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from redistil.learning import students
from redistil.learning.pairs import Pairs
from redistil.stages.backbones import words
from redistil.storage.tables import PASSAGES as TABLE
from tests.made import tiny

LENGTHS = {"query_length": 8, "passage_length": 12}
PAIR = {"pair_length": 23, "pair_form": "native"}
SETTINGS: dict[str, dict[str, Any]] = {
    "dot": {},
    "colbert": {"dimensions": 6, "masks": 3, "mask_position": "before"},
    "prettr": {"split": 1, "offset": "fixed"},
    "tk": {
        "variant": "v2",
        "layers": 2,
        "heads": 2,
        "feed_forward": 12,
        "passage_start": 500,
        "kernel_rate": 10.0,
        "embedding_rate": 0.7,
    },
}
CASES = []
ON_ENCODERS = ("dot", "colbert", "prettr")
FAMILIES = ("bert", "distilbert", "electra", "roberta")


for _name in SETTINGS:
    for _family in ("words",) if _name == "tk" else FAMILIES:
        CASES.append((_name, _family))


def write_words(
    folder: Path, vectors: Path | None = None, width: int = 8, texts: Sequence[str] = ()
) -> Path:
    """Write the words of texts (of PASSAGES, if none are given), as `collect-words` does."""
    folder.mkdir()
    passages = {f"d{number}": text for number, text in enumerate(texts or PASSAGES)}
    rows = {"doc_id": list(passages), "text": list(passages.values())}
    TABLE.write(TABLE.rows(rows), folder / "passages.parquet", tiny.MADE)
    how = {"width": width, "least": 1, "vectors": vectors and str(vectors), "seed": 1}
    words.collect([folder / "passages.parquet"], folder / "words", tiny.MADE, **how)
    return folder / "words"


def own_settings(architecture: str) -> dict[str, Any]:
    """Return what only this architecture wants to know."""
    return PAIR if architecture == "cat-linear" else SETTINGS[architecture]


def settings_of(architecture: str, **changed: Any) -> dict[str, Any]:
    return {"architecture": architecture, **LENGTHS, **own_settings(architecture), **changed}


def student_of(architecture: str, folder: Path, seed: int = 1, **changed: Any) -> Any:
    """Return a new student whose maps, if it has any, move the score as much as the rest."""
    student = students.new(settings_of(architecture, **changed), folder, seed).eval()
    torch.manual_seed(seed)
    for name, weight in student.named_parameters():
        if name.startswith(("head.", "kernels.")):
            torch.nn.init.normal_(weight, std=0.5)
    return student


def ids(student: Any, *texts: str) -> list[np.ndarray]:
    """Return token ids as the token files have them."""
    found = student.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [np.array(row, np.int32) for row in found]


QUERIES = ("cat dog", "stone", "the red bird sings over the river and runs fast", "query")
PASSAGES = (
    "the lazy dog sings",
    "bird",
    "a cat runs under the green stone and over the blue river fast",
    "",
    "red blue green",
)
QUERY = np.array([0, 0, 1, 3, 2, 0, 2])
PASSAGE = np.array([0, 1, 2, 3, 4, 2, 0])


def pairs_of(student: Any) -> Pairs:
    return Pairs(ids(student, *QUERIES), ids(student, *PASSAGES), QUERY, PASSAGE)

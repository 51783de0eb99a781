"""Students of every architecture on tiny checkpoints, and pairs of texts for them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from redistil.learning import students
from redistil.learning.pairs import Pairs

LENGTHS = {"query_length": 8, "passage_length": 12}
SETTINGS: dict[str, dict[str, Any]] = {
    "dot": {},
    "colbert": {"dimensions": 6, "masks": 3, "mask_position": "before"},
    "prettr": {"split": 1, "offset": "fixed"},
}
FAMILIES = ("bert", "distilbert", "electra", "roberta")


def settings_of(architecture: str, **changed: Any) -> dict[str, Any]:
    return {"architecture": architecture, **LENGTHS, **SETTINGS[architecture], **changed}


def student_of(architecture: str, folder: Path, seed: int = 1, **changed: Any) -> Any:
    """Return a new student whose map, if it has one, moves the score as much as its encoder."""
    student = students.new(settings_of(architecture, **changed), folder, seed).eval()
    if getattr(student, "head", None) is not None:
        torch.manual_seed(seed)
        for weight in student.head.parameters():
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

"""Scores of many (query, passage) pairs by one student, in an order that pads little."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from redistil.batches import Rows, by_budget
from redistil.errors import BadSettings
from redistil.ragged import Ragged, Tokens
from redistil.students import Student

BUDGET = 4096  # padded tokens in one forward pass; bounds the memory whatever the lengths
WINDOW = 1 << 16  # pairs whose lengths are sorted together


def device_of(name: str) -> torch.device:
    """Return the device called `name`; "auto" takes a GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise BadSettings(f"--device: this machine has no {name!r} (cpu always works)") from None
    return device


def score_all(
    student: Student, queries: Sequence[Tokens], passages: Sequence[Tokens]
) -> torch.Tensor:
    """Return the logits [N] of N pairs, with their graph: in groups of similar length."""
    groups = list(by_budget(student.lengths_of(queries, passages), BUDGET))
    logits = [
        student.score([queries[i] for i in group], [passages[i] for i in group]) for group in groups
    ]
    place = torch.from_numpy(np.argsort(np.concatenate(groups)))
    return torch.cat(logits)[place.to(logits[0].device)]


def score_pairs(
    student: Student, queries: Ragged, passages: Ragged, rows: tuple[Rows, Rows], precision: str
) -> npt.NDArray[np.float32]:
    """Return the raw logit of each pair (query row, passage row), in the order given.

    precision: float32, or bfloat16 for autocast. Scores do not depend on what else is scored,
    beyond rounding.
    """
    query_rows, passage_rows = rows
    out = np.empty(len(query_rows), np.float32)
    model: torch.nn.Module = student  # type: ignore[assignment]
    model.eval()
    device = next(model.parameters()).device
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"),
        tqdm(total=len(out), unit="pair", mininterval=2) as bar,
    ):
        for start in range(0, len(out), WINDOW):
            window = slice(start, start + WINDOW)
            q = [queries[row] for row in query_rows[window]]
            p = [passages[row] for row in passage_rows[window]]
            for group in by_budget(student.lengths_of(q, p), BUDGET):
                logits = student.score([q[i] for i in group], [p[i] for i in group])
                out[start + group] = logits.float().cpu().numpy()
                bar.update(len(group))
    return out


def mean_scores(
    students: Sequence[Student],
    queries: Sequence[Ragged],
    passages: Sequence[Ragged],
    rows: Sequence[tuple[Rows, Rows]],
    precision: str,
) -> npt.NDArray[np.float32]:
    """Return the plain mean of the raw logits of several students: an ensemble's scores."""
    scores = [
        score_pairs(*each, precision=precision)
        for each in zip(students, queries, passages, rows, strict=True)
    ]
    return np.asarray(np.mean(scores, axis=0, dtype=np.float64), np.float32)

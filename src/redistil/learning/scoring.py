"""Scores of many (query, passage) pairs by one student, in an order that pads little."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from redistil.learning.batches import Rows, by_budget
from redistil.learning.students import Student
from redistil.machine.processes import Processes, allow_tf32, autocast
from redistil.seeds import derive
from redistil.storage.ragged import Ragged, Tokens

# padded tokens in one forward pass, which bounds the memory whatever the lengths: on a CPU as many
# as its caches keep, on a GPU as many as keep it busy
BUDGET = {"cpu": 2048, "cuda": 1 << 16}
WINDOW = 1 << 16  # pairs whose lengths are sorted together


@dataclass(frozen=True)
class Room:
    """How much of a step is in memory at once, in padded tokens.

    at_once: of one forward pass, and of what is dealt out to several processes; held: of all passes
    whose graphs are kept for the way back. A larger step is scored twice: first without a graph,
    then part by part with one.
    """

    at_once: int
    held: int


def learn(
    student: Student,
    pairs: tuple[Sequence[Tokens], Sequence[Tokens]],
    loss_of: Callable[[Tensor], Tensor],
    room: Room,
    precision: str,
    stream: tuple[int, int],
    processes: Processes,
) -> Tensor:
    """Leave the gradients of a loss of N scores in the student's weights; return the loss.

    pairs: queries and passages, N each; loss_of: scores [N], float32, to a scalar; stream: seed and
    step of the dropout. The gradients are those of the whole batch, however it is parted and
    dealt out: the loss is taken of all scores, and only its slopes go back part by part.
    """
    queries, passages = pairs
    lengths = np.asarray(student.lengths_of(queries, passages))
    # the same parts, and so the same dropout, however many processes they are dealt out to
    parts = list(enumerate(by_budget(lengths, room.at_once)))[processes.rank :: processes.count]
    hold = sum(len(part) * int(lengths[part].max()) for _, part in parts) <= room.held

    def score(number: int, part: Rows) -> Tensor:
        torch.manual_seed(derive(stream[0], "dropout", stream[1], number))
        return student.score([queries[i] for i in part], [passages[i] for i in part])

    found = []
    scores = torch.zeros(len(lengths), device=processes.device)
    with torch.set_grad_enabled(hold), autocast(processes.device, precision):
        for number, part in parts:
            found.append(score(number, part))
            scores[torch.from_numpy(part)] = found[-1].detach().float()
    scores = processes.total(scores).requires_grad_()
    loss = loss_of(scores)
    (slopes,) = torch.autograd.grad(loss, scores)
    for place, (number, part) in enumerate(parts):
        if not hold:
            with autocast(processes.device, precision):
                found[place] = score(number, part)
        here = slopes[torch.from_numpy(part).to(slopes.device)]
        found[place].backward(here.to(found[place].dtype))  # type: ignore[no-untyped-call]
        found[place] = found[place].detach()  # its graph may go
    processes.total_gradients(p for p in _module(student).parameters() if p.requires_grad)
    return loss.detach()


def _module(student: Student) -> torch.nn.Module:
    return cast(torch.nn.Module, student)


def score_pairs(
    student: Student,
    queries: Ragged,
    passages: Ragged,
    rows: tuple[Rows, Rows],
    precision: str,
    quiet: bool = False,
) -> npt.NDArray[np.float32]:
    """Return the raw logit of each pair (query row, passage row), in the order given.

    precision: float32, or bfloat16 for weights, activations and products; quiet: show no bar.
    Scores do not depend on what else is scored, beyond rounding.
    """
    query_rows, passage_rows = rows
    out = np.empty(len(query_rows), np.float32)
    allow_tf32(precision)
    student = student.for_scoring(precision)
    kind = next(_module(student).parameters()).device.type
    budget = BUDGET.get(kind, BUDGET["cuda"])
    with (
        torch.inference_mode(),
        tqdm(total=len(out), unit="pair", mininterval=2, disable=quiet) as bar,
    ):
        for start in range(0, len(out), WINDOW):
            window = slice(start, start + WINDOW)
            q = [queries[row] for row in query_rows[window]]
            p = [passages[row] for row in passage_rows[window]]
            for group in by_budget(student.lengths_of(q, p), budget):
                logits = student.score([q[i] for i in group], [p[i] for i in group])
                out[start + group] = logits.float().cpu().numpy()
                bar.update(len(group))
    return out


def score_shared(
    student: Student,
    queries: Ragged,
    passages: Ragged,
    rows: tuple[Rows, Rows],
    precision: str,
    processes: Processes,
) -> npt.NDArray[np.float32]:
    """Return what `score_pairs` returns, in every process, each having scored its share."""
    mine = slice(processes.rank, None, processes.count)
    scores = np.zeros(len(rows[0]), np.float32)
    share = rows[0][mine], rows[1][mine]
    scores[mine] = score_pairs(student, queries, passages, share, precision, quiet=True)
    shared = processes.total(torch.from_numpy(scores).to(processes.device)).cpu().numpy()
    return np.asarray(shared)


def mean_scores(
    members: Sequence[tuple[Student, Ragged, Ragged]],
    rows: Sequence[tuple[Rows, Rows]],
    precision: str,
) -> npt.NDArray[np.float32]:
    """Return the plain mean of the raw logits of several students: an ensemble's scores.

    members: each student with the token files of queries and passages under its tokenizer; rows:
    of the same pairs in the files of each.
    """
    scores = [
        score_pairs(*member, pairs, precision) for member, pairs in zip(members, rows, strict=True)
    ]
    return np.asarray(np.mean(scores, axis=0, dtype=np.float64), np.float32)

"""The gradients of a training step, within a limit of memory and shared out among processes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from redistil.learning.batches import Rows, by_budget
from redistil.learning.pairs import Pairs
from redistil.learning.students.apart import Apart
from redistil.learning.students.interface import Student
from redistil.learning.students.states import States
from redistil.machine.processes import Processes, autocast
from redistil.seeds import derive
from redistil.storage.ragged import Tokens


@dataclass(frozen=True)
class Memory:
    """How much of a step is in memory at once, in padded tokens.

    at_once: of one forward pass, which is a micro-batch; the processes share these out. held: of
    all passes whose graphs are kept for the backward pass. A larger step is scored twice: first
    without a graph, then micro-batch by micro-batch with one (GradCache: Gao et al. 2021,
    arXiv:2101.06983).
    """

    at_once: int
    held: int


class Part(NamedTuple):
    """A micro-batch: its number in the step, and the rows of its pairs."""

    number: int
    rows: Rows


def learn(
    student: Student,
    pairs: Pairs,
    loss_of: Callable[[Tensor], Tensor],
    memory: Memory,
    precision: str,
    stream: tuple[int, int],
    processes: Processes,
) -> Tensor:
    """Leave the gradients of a loss of N scores in the student's weights; return the loss.

    loss_of: scores [N], float32, to a scalar; stream: seed and step of the dropout. The gradients
    are those of the whole batch, however it is split and shared out: the loss is of all scores,
    and only the backward pass goes by micro-batches.

    A student that encodes the two texts of a pair apart encodes every text of the step once.
    """
    way = _learn_together
    if isinstance(student, Apart) and student.encodes_once:
        way = _learn_apart
    return way(student, pairs, loss_of, memory, precision, stream, processes)


def _learn_together(
    student: Student,
    pairs: Pairs,
    loss_of: Callable[[Tensor], Tensor],
    memory: Memory,
    precision: str,
    stream: tuple[int, int],
    processes: Processes,
) -> Tensor:
    """Learn from pairs whose two texts are read together, micro-batch by micro-batch."""
    seed, step = stream
    lengths = np.asarray(student.costs(pairs))
    parts = _share(lengths, memory, processes)
    hold = _padded(parts, lengths) <= memory.held

    def score(part: Part) -> Tensor:
        torch.manual_seed(derive(seed, "dropout", step, part.number))
        return student.scores(pairs.at(part.rows))

    kept = []  # a part's scores, with their graph if it is held
    scores = torch.zeros(len(lengths), device=processes.device)
    with torch.set_grad_enabled(hold), autocast(processes.device, precision):
        for part in parts:
            kept.append(score(part))
            scores[torch.from_numpy(part.rows)] = kept[-1].detach().float()
    scores = processes.total(scores).requires_grad_()
    loss = loss_of(scores)
    (gradients,) = torch.autograd.grad(loss, scores)
    for place, part in enumerate(parts):
        if not hold:
            with autocast(processes.device, precision):
                kept[place] = score(part)
        own = gradients[torch.from_numpy(part.rows).to(gradients.device)]
        kept[place].backward(own.to(kept[place].dtype))  # type: ignore[no-untyped-call]
        kept[place] = kept[place].detach()  # its graph may go
    processes.total_gradients(_trained(student))
    return loss.detach()


def _share(lengths: Rows, memory: Memory, processes: Processes) -> list[Part]:
    """Return the micro-batches of this process.

    The same ones, and so the same dropout, however many processes share them.
    """
    groups = list(by_budget(lengths, memory.at_once))
    parts = []
    for number in range(processes.rank, len(groups), processes.count):
        parts.append(Part(number, groups[number]))
    return parts


def _padded(parts: Sequence[Part], lengths: Rows) -> int:
    """Return how many tokens the forward passes read, padding included."""
    tokens = 0
    for part in parts:
        tokens += len(part.rows) * int(lengths[part.rows].max())
    return tokens


def _trained(student: Student) -> Iterator[Tensor]:
    for weight in _module(student).parameters():
        if weight.requires_grad:
            yield weight


def _module(student: Student) -> torch.nn.Module:
    return cast(torch.nn.Module, student)


# --- texts that are encoded apart -----------------------------------------------------------------


class Texts(NamedTuple):
    """A micro-batch of texts of one side: the stream of its dropout, and the texts."""

    stream: int
    encode: Callable[[Sequence[Tokens]], States]
    texts: list[Tokens]


class Side(NamedTuple):
    """The texts of one side in micro-batches.

    place [T]: of each text in their order, -1 for one that another process encodes; padded: tokens.
    """

    parts: list[Texts]
    place: Rows
    padded: int


def _learn_apart(
    student: Any,
    pairs: Pairs,
    loss_of: Callable[[Tensor], Tensor],
    memory: Memory,
    precision: str,
    stream: tuple[int, int],
    processes: Processes,
) -> Tensor:
    """Learn from pairs of texts that are encoded apart.

    A query that many passages meet has one state, with one dropout, for all of them. A process
    encodes all queries and its share of the passages.
    """
    asked, shown = _sides(student, pairs, memory, processes, stream)
    parts = [*asked.parts, *shown.parts]
    hold = asked.padded + shown.padded <= memory.held

    def encode(part: Texts) -> States:
        torch.manual_seed(part.stream)
        with autocast(processes.device, precision):
            return part.encode(part.texts)

    with torch.set_grad_enabled(hold):
        kept = [encode(part) for part in parts]
    leaves = [States(states.values.detach().requires_grad_(), states.offsets) for states in kept]
    scores = torch.zeros(len(pairs), device=processes.device)
    rows = np.flatnonzero(shown.place[pairs.passage] >= 0)
    met = None
    if len(rows):
        queries = States.together(leaves[: len(asked.parts)])
        passages = States.together(leaves[len(asked.parts) :])
        query, passage = asked.place[pairs.query[rows]], shown.place[pairs.passage[rows]]
        with autocast(processes.device, precision):
            met = student.interact(queries, passages, query, passage)
        scores[torch.from_numpy(rows)] = met.detach().float()
    scores = processes.total(scores).requires_grad_()
    loss = loss_of(scores)
    (gradients,) = torch.autograd.grad(loss, scores)
    if met is not None:
        own = gradients[torch.from_numpy(rows).to(gradients.device)]
        met.backward(own.to(met.dtype))
        for place, part in enumerate(parts):
            if not hold:
                kept[place] = encode(part)
            states, back = kept[place].values, leaves[place].values.grad
            if states.requires_grad:  # those of texts without a word are constants
                states.backward(back)  # type: ignore[no-untyped-call]
            kept[place] = leaves[place]  # its graph may go
    processes.total_gradients(_trained(student))
    return loss.detach()


def _sides(
    student: Any, pairs: Pairs, memory: Memory, processes: Processes, stream: tuple[int, int]
) -> tuple[Side, Side]:
    """Return the queries of a step, and this process's share of its passages."""
    seed, step = stream
    lengths = student.query_sizes(pairs.queries)
    groups = list(enumerate(by_budget(lengths, memory.at_once)))
    named = seed, "dropout of queries", step
    asked = _side(pairs.queries, lengths, groups, student.encode_queries, named)
    lengths = student.passage_sizes(pairs.passages)
    groups = list(enumerate(by_budget(lengths, memory.at_once)))
    mine = groups[processes.rank :: processes.count]
    named = seed, "dropout of passages", step
    return asked, _side(pairs.passages, lengths, mine, student.encode_passages, named)


def _side(
    texts: Sequence[Tokens],
    lengths: Rows,
    groups: Sequence[tuple[int, Rows]],
    encode: Callable[[Sequence[Tokens]], States],
    named: tuple[int, str, int],
) -> Side:
    """Return the micro-batches of texts; groups: their numbers and rows; named: their streams."""
    place = np.full(len(texts), -1)
    parts = []
    count = padded = 0
    for number, group in groups:
        place[group] = np.arange(count, count + len(group))
        count += len(group)
        padded += len(group) * int(lengths[group].max())
        parts.append(Texts(derive(*named, number), encode, [texts[row] for row in group]))
    return Side(parts, place, padded)

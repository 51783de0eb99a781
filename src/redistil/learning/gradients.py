"""The gradients of a training step, within a limit of memory and shared out among processes."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Outcome(NamedTuple):
    """The loss of a step and the raw scores [N] of all its pairs, without a graph."""

    loss: Tensor
    scores: Tensor


class Step(NamedTuple):
    """A training step: its pairs, and how their loss is computed.

    loss_of: scores [N], float32, to a scalar; stream: seed and step of the dropout.
    """

    student: Any
    pairs: Pairs
    loss_of: Callable[[Tensor], Tensor]
    memory: Memory
    precision: str
    stream: tuple[int, int]
    processes: Processes

    def autocast(self) -> AbstractContextManager[None]:
        """Let products be computed in the precision of the step."""
        return autocast(self.processes.device, self.precision)

    def outcome_and_gradients(self, scores: Tensor) -> tuple[Outcome, Tensor]:
        """Return the loss with all scores, and its gradients [N] with respect to these.

        scores [N]: of this process's pairs, 0 for those of other processes.
        """
        together = self.processes.total(scores).requires_grad_()
        loss = self.loss_of(together)
        (gradients,) = torch.autograd.grad(loss, together)
        return Outcome(loss.detach(), together.detach()), gradients

    def add_up(self) -> None:
        """Add up the gradients of the weights over the processes."""
        trained = [weight for weight in self.student.parameters() if weight.requires_grad]
        self.processes.total_gradients(trained)


def learn(
    student: Student,
    pairs: Pairs,
    loss_of: Callable[[Tensor], Tensor],
    memory: Memory,
    precision: str,
    stream: tuple[int, int],
    processes: Processes,
) -> Outcome:
    """Leave the gradients of a loss of N scores in the student's weights; return both.

    The arguments are those of `Step`. The gradients are those of the whole batch, however it is
    split and shared out: the loss is of all scores, and only the backward pass goes by
    micro-batches. A student that encodes the two texts of a pair apart encodes every text once.
    """
    step = Step(student, pairs, loss_of, memory, precision, stream, processes)
    if isinstance(student, Apart) and student.encodes_once:
        return _learn_apart(step)
    return _learn_together(step)


def _learn_together(step: Step) -> Outcome:
    """Learn from pairs whose two texts are read together, micro-batch by micro-batch."""
    seed, number = step.stream
    lengths = np.asarray(step.student.costs(step.pairs))
    parts = _share(lengths, step.memory, step.processes)
    hold = _padded(parts, lengths) <= step.memory.held

    def score(part: Part) -> Tensor:
        torch.manual_seed(derive(seed, "dropout", number, part.number))
        scores: Tensor = step.student.scores(step.pairs.at(part.rows))
        return scores

    kept = []  # a part's scores, with their graph if it is held
    scores = torch.zeros(len(lengths), device=step.processes.device)
    with torch.set_grad_enabled(hold), step.autocast():
        for part in parts:
            kept.append(score(part))
            scores[torch.from_numpy(part.rows)] = kept[-1].detach().float()
    outcome, gradients = step.outcome_and_gradients(scores)
    for place, part in enumerate(parts):
        if not hold:
            with step.autocast():
                kept[place] = score(part)
        own = gradients[torch.from_numpy(part.rows).to(gradients.device)]
        kept[place].backward(own.to(kept[place].dtype))  # type: ignore[no-untyped-call]
        kept[place] = kept[place].detach()  # its graph may go
    step.add_up()
    return outcome


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


def _learn_apart(step: Step) -> Outcome:
    """Learn from pairs of texts that are encoded apart.

    A query that many passages meet has one state, with one dropout, for all of them. A process
    encodes all queries and its share of the passages.
    """
    queries, passages = _sides(step)
    parts = [*queries.parts, *passages.parts]
    hold = queries.padded + passages.padded <= step.memory.held

    def encode(part: Texts) -> States:
        torch.manual_seed(part.stream)
        with step.autocast():
            return part.encode(part.texts)

    with torch.set_grad_enabled(hold):
        kept = [encode(part) for part in parts]
    leaves = [States(states.values.detach().requires_grad_(), states.offsets) for states in kept]
    rows = np.flatnonzero(passages.place[step.pairs.passage] >= 0)
    own = _interacted(step, leaves, (queries, passages), rows)
    scores = torch.zeros(len(step.pairs), device=step.processes.device)
    scores[torch.from_numpy(rows)] = own.detach().float()
    outcome, gradients = step.outcome_and_gradients(scores)
    if len(rows):
        chosen = gradients[torch.from_numpy(rows).to(gradients.device)]
        own.backward(chosen.to(own.dtype))  # type: ignore[no-untyped-call]
        for place, part in enumerate(parts):
            if not hold:
                kept[place] = encode(part)
            states, back = kept[place].values, leaves[place].values.grad
            if states.requires_grad:  # those of texts without a word are constants
                states.backward(back)  # type: ignore[no-untyped-call]
            kept[place] = leaves[place]  # its graph may go
    step.add_up()
    return outcome


def _interacted(step: Step, states: list[States], sides: tuple[Side, Side], rows: Rows) -> Tensor:
    """Return the scores [R] of this process's pairs; rows [R]: their places in the step.

    states: of the micro-batches of queries, and then of passages.
    """
    if not len(rows):
        return torch.zeros(0, device=step.processes.device)
    queries, passages = sides
    count = len(queries.parts)
    of_queries, of_passages = States.together(states[:count]), States.together(states[count:])
    query = queries.place[step.pairs.query[rows]]
    passage = passages.place[step.pairs.passage[rows]]
    with step.autocast():
        scores: Tensor = step.student.interact(of_queries, of_passages, query, passage)
    return scores


def _sides(step: Step) -> tuple[Side, Side]:
    """Return the queries of a step, and this process's share of its passages."""
    seed, number = step.stream
    student, pairs = step.student, step.pairs
    lengths = student.query_sizes(pairs.queries)
    groups = list(enumerate(by_budget(lengths, step.memory.at_once)))
    named = seed, "dropout of queries", number
    queries = _side(pairs.queries, lengths, groups, student.encode_queries, named)
    lengths = student.passage_sizes(pairs.passages)
    groups = list(enumerate(by_budget(lengths, step.memory.at_once)))
    mine = groups[step.processes.rank :: step.processes.count]
    named = seed, "dropout of passages", number
    return queries, _side(pairs.passages, lengths, mine, student.encode_passages, named)


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

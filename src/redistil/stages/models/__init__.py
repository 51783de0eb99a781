"""Trained students: a backbone, a loss and a seed, resolved in a recipe."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from redistil.errors import BadSettings, Stale
from redistil.learning import students
from redistil.learning.examples import Batch, Examples
from redistil.learning.gradients import Memory, learn
from redistil.learning.history import Checkpoint, Point
from redistil.learning.objectives import OBJECTIVES
from redistil.learning.optimise import Learned, Schedule, Validation, Watch, optimise
from redistil.learning.pairs import Pairs
from redistil.learning.scoring import score_shared
from redistil.machine.costs import account
from redistil.machine.energy import Note
from redistil.machine.hardware import commit
from redistil.machine.processes import Processes, check_precision
from redistil.machine.stopping import warnings
from redistil.seeds import derive
from redistil.stages.models import idle, writing
from redistil.stages.models.idle import Idle
from redistil.stages.models.reading import (
    Dataset,
    Inputs,
    TokenFiles,
    judged_candidates,
    read_examples,
)
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.study.architectures import ARCHITECTURES
from redistil.study.recipes import Recipe

COST = "cost.json"  # beside the weights


def train(
    recipe: Recipe,
    inputs: Inputs,
    out: Path,
    made: Made,
    processes: Processes,
    tensorboard: Path | None = None,
    checkpoint_every: int = 100,
) -> None:
    """Train the recipe's student and leave weights, tokenizer, curve and record in `out`.

    The weights are the best of the validations or the last, as the recipe says; `last.safetensors`
    has the last where they are not the best. tensorboard: the folder of a board, if wanted;
    checkpoint_every: steps that a killed training loses at most.
    Killed at any moment and started again, it goes on from its last checkpoint. It ends in the
    same bytes (CPU, float32). Raises Stale for inputs that the recipe does not name.
    """
    _refuse_others(recipe, inputs)
    source = commit() if processes.first else ""
    check_precision(recipe.precision, processes.device)
    tokens = TokenFiles.of(inputs.queries, inputs.passages)
    examples = read_examples(tokens, inputs.negatives, inputs.teacher, recipe)
    student = _started(recipe, inputs).to(processes.device)
    if recipe.compile:
        student.network.compile(dynamic=True)
    lessons = _Lessons(recipe, student, examples, tokens, processes)
    path = out / "checkpoint.safetensors"
    state = Checkpoint(path, checkpoint_every, made.fingerprint, processes.first)
    pairs = recipe.pairs
    gpus = processes.gpus if processes.first else []
    board = _board(tensorboard if processes.first else None, made.name)
    with board as tell, warnings(processes.count) as warned:
        learned = Idle(tell, recipe.steps, f"{recipe.negatives}, {recipe.objective}")
        note = Note.beside(out / COST, made.fingerprint) if processes.first else None
        watch = Watch(pairs, lessons.names, learned, gpus, not processes.first, warned, note)
        validation = _validation(recipe, inputs.datasets, student, processes)
        schedule, groups = _schedule(recipe), student.groups()
        history = optimise(student, lessons.learn, schedule, state, validation, watch, groups)
    if processes.first:
        idle.warn(history.points)
        writing.save(student, history, recipe, state, out, made)
        total = len(history.points) * pairs
        account(history.spent, total, processes, source, out / COST)
        lineage.record(made, out)
        state.done()
    processes.wait()


def _started(recipe: Recipe, inputs: Inputs) -> Any:
    """Return the student as it is before the first step."""
    if inputs.predecessor is None:
        return students.new(recipe.stated(), inputs.backbone, derive(recipe.seed, "head"))
    return students.load(inputs.predecessor)


@dataclass(frozen=True)
class _Lessons:
    """The steps of a training: what is shown in each, and what the student learns from it."""

    recipe: Recipe
    student: Any
    examples: Examples
    tokens: TokenFiles
    processes: Processes

    def batch(self, step: int) -> Batch:
        recipe = self.recipe
        return self.examples.batch(recipe.batch, recipe.passages, recipe.seed, step)

    def learn(self, step: int) -> Learned:
        """Leave the gradients of a step with the student; return its loss and mean scores."""
        recipe, batch, device = self.recipe, self.batch(step), self.processes.device
        mask = torch.from_numpy(batch.mask).to(device)
        targets = torch.from_numpy(batch.targets).to(device)
        objective = OBJECTIVES[recipe.objective]

        def loss_of(flat: Tensor) -> Tensor:
            scores = torch.zeros(mask.shape, device=device).masked_scatter(mask, flat)
            return objective(scores, targets, mask, **recipe.options)

        pairs = Pairs.of_rows(*self.tokens, batch.queries, batch.passages)
        stream = recipe.seed, step
        memory = Memory(recipe.memory.at_once, recipe.memory.held)
        how = memory, recipe.precision, stream, self.processes
        loss, scores = learn(self.student, pairs, loss_of, *how)
        return Learned(loss, *batch.means(scores.cpu().numpy()))

    def names(self, step: int) -> str:
        """Return the ids of the queries of a step, for an error."""
        rows = dict.fromkeys(self.batch(step).queries.tolist())
        ids = self.tokens.queries.ids().take(list(rows)).to_pylist()
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        return ", ".join(map(repr, ids[:5])) + more


class _board:
    """Tell TensorBoard of each step, where it was asked for."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self.writer: Any = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise BadSettings(
                    "--tensorboard: tensorboard is not installed (pip install tensorboard)"
                ) from None
            self.writer = SummaryWriter(str(folder / name))

    def __enter__(self) -> Any:
        return self._tell

    def _tell(self, point: Point) -> None:
        if self.writer:
            values = asdict(point)
            step = values.pop("step") + 1
            for name, value in values.items():
                if value is not None:
                    self.writer.add_scalar(name, value, step)

    def __exit__(self, *error: object) -> None:
        if self.writer:
            self.writer.close()


def _schedule(recipe: Recipe) -> Schedule:
    return Schedule(
        steps=recipe.steps,
        warmup_steps=recipe.warmup_steps,
        learning_rate=recipe.learning_rate,
        epsilon=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        clip_norm=recipe.clip_norm,
        seed=recipe.seed,
        shape=recipe.schedule,
        stair=recipe.stair or 1,
    )


def _refuse_others(recipe: Recipe, inputs: Inputs) -> None:
    """Refuse inputs that are not the ones which the recipe names."""
    _refuse_other("negatives", recipe.negatives, inputs.negatives)
    _refuse_other("teacher", recipe.teacher, inputs.teacher)
    _refuse_other("backbone", recipe.backbone, inputs.backbone)
    _refuse_other("predecessor", recipe.predecessor, inputs.predecessor)
    if inputs.predecessor is not None:
        _refuse_another_model(recipe, inputs.predecessor)
    wanted = list(recipe.validation.datasets) if recipe.validation else []
    names = [dataset.name for dataset in inputs.datasets]
    if sorted(wanted) != sorted(names):
        raise Stale(
            f"the recipe validates on {', '.join(wanted) or 'nothing'}, and --validate names "
            f"{', '.join(names) or 'nothing'}"
        )


def _refuse_other(role: str, name: str | None, path: Path | None) -> None:
    """Refuse an input other than `name`, which the recipe names for this role."""
    if path is not None:
        made = lineage.of(path)
        if made.command != "file" and made.name != name:
            raise Stale(f"{path} is {made.who}, but the recipe wants the {role} {name!r}")
    elif name is not None:
        raise Stale(f"the recipe wants the {role} {name!r}, and none was given")


def _refuse_another_model(recipe: Recipe, predecessor: Path) -> None:
    """Refuse a trained model that reads pairs otherwise than the student that starts from it."""
    trained, wanted = lineage.of(predecessor).settings, recipe.stated()
    for key in ("architecture", "backbone", *ARCHITECTURES[recipe.architecture].model_fields):
        if trained.get(key) != wanted[key]:
            raise Stale(
                f"{predecessor} was trained with {key} = {trained.get(key)!r}, and the recipe that "
                f"starts from it wants {wanted[key]!r}: train it again, as one study has them both"
            )


def _validation(
    recipe: Recipe, datasets: Sequence[Dataset], student: Any, processes: Processes
) -> Validation | None:
    """Return what looks at the student from outside, or None where the recipe asks for nothing."""
    how = recipe.validation
    if how is None:
        return None
    judged = []
    for dataset in datasets:
        tokens = TokenFiles.of(dataset.queries, dataset.passages)
        judged.append((dataset.name, tokens, judged_candidates(dataset, tokens, how)))

    def measure() -> dict[str, float]:
        values = {}
        for name, tokens, candidates in judged:
            rows = candidates.queries, candidates.passages
            scores = score_shared(student, *tokens, rows, recipe.precision, processes)
            values[name] = candidates.value(how.measure, scores)
        return values

    return Validation(how.every, measure, how.patience, how.not_before or 0)

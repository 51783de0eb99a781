"""Trained students: a backbone, a loss and a seed, resolved in a recipe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from redistil import lineage, students
from redistil.errors import BadTable, Stale
from redistil.examples import Examples, teacher_of
from redistil.lineage import SIDECAR, Made
from redistil.objectives import OBJECTIVES
from redistil.optimise import Checkpoint, Point, Schedule, optimise
from redistil.ragged import Ragged
from redistil.scoring import score_all
from redistil.seeds import derive
from redistil.tables import CURVE, LISTS, TEACHER_SCORES, TRIPLES, aside

Recipe = Mapping[str, Any]


def train(
    recipe: Recipe,
    backbone: Path,
    tokens: tuple[Path, Path],
    negatives: Path,
    teacher: Path | None,
    out: Path,
    made: Made,
    device: torch.device,
) -> None:
    """Train the recipe's student and leave weights, tokenizer, curve and record in `out`.

    Killed at any moment and started again, it goes on from its last checkpoint and ends in the
    same bytes (CPU, float32).
    """
    _refuse_others(recipe, negatives, teacher, backbone)
    queries, passages = map(Ragged, tokens)
    examples = read_examples(queries, passages, negatives, teacher)
    student = students.new(recipe, backbone, derive(recipe["seed"], "head")).to(device)
    objective = OBJECTIVES[recipe["objective"]]

    def loss(step: int) -> Tensor:
        batch = examples.batch(recipe["batch"], recipe["documents"], recipe["seed"], step)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe["precision"] == "bfloat16"):
            flat = score_all(
                student, [queries[r] for r in batch.queries], [passages[r] for r in batch.passages]
            )
        mask = torch.from_numpy(batch.mask).to(device)
        scores = torch.zeros(mask.shape, device=device).masked_scatter(mask, flat.float())
        targets = torch.from_numpy(batch.targets).to(device)
        return objective(scores, targets, mask, **recipe["options"])

    state = Checkpoint(out / "checkpoint.safetensors", recipe["checkpoint_every"], made.fingerprint)
    points = list(optimise(student, loss, _schedule(recipe), state))
    student.save(out)
    CURVE.write(curve(points, recipe["log_every"]), out / "curve.parquet", made)
    with aside(out / SIDECAR) as partial:
        partial.write_text(made.dumps() + "\n", encoding="utf-8")
    state.done()


def _schedule(recipe: Recipe) -> Schedule:
    names = (
        "steps",
        "warmup_steps",
        "learning_rate",
        "epsilon",
        "weight_decay",
        "clip_norm",
        "seed",
    )
    return Schedule(**{name: recipe[name] for name in names})


def _refuse_others(recipe: Recipe, negatives: Path, teacher: Path | None, backbone: Path) -> None:
    """Refuse inputs that are not the ones the recipe names."""
    given = {"negatives": negatives, "teacher": teacher, "backbone": backbone}
    for role, path in given.items():
        if path is None:
            if recipe[role] is not None:
                raise Stale(f"the recipe wants the {role} {recipe[role]!r}, and none was given")
            continue
        made = lineage.of(path)
        if made.command != "file" and made.name != recipe[role]:
            raise Stale(f"{path} is {made.who}, but the recipe wants the {role} {recipe[role]!r}")


def curve(points: list[Point], every: int) -> pa.Table:
    """Return the training curve: the means over stretches of `every` steps, at their last step."""
    stretches = [points[start : start + every] for start in range(0, len(points), every)]
    return CURVE.rows(
        {
            "step": [part[-1].step + 1 for part in stretches],
            **{
                name: [float(np.mean([getattr(p, name) for p in part])) for part in stretches]
                for name in ("loss", "gradient_norm", "learning_rate")
            },
        }
    )


def read_examples(
    queries: Ragged, passages: Ragged, negatives: Path, teacher: Path | None
) -> Examples:
    """Return triples or lists as rows of the token files, with a teacher's scores if there is one.

    Raises BadTable when a pair has no score, or an id no tokens.
    """
    query_ids, doc_ids, offsets, relevance = _pools(negatives)
    query_rows, passage_rows = queries.rows(query_ids), passages.rows(doc_ids)
    scores = None
    if teacher is not None:
        rows = TEACHER_SCORES.read(teacher)
        # a teacher may have scored collections beyond this one: what is not wanted is not looked up
        rows = rows.filter(pc.is_in(rows["query_id"], pc.unique(query_ids)))
        known = queries.rows(rows["query_id"]), passages.rows(rows["doc_id"])
        wanted = np.repeat(query_rows, np.diff(offsets)), passage_rows
        scores, missing = teacher_of(wanted, known, rows["score"].to_numpy(), len(passages))
        if missing:
            raise BadTable(
                f"{teacher} has no score for {missing} of {len(passage_rows)} pairs of "
                f"{negatives}: score them with this teacher first"
            )
    return Examples(query_rows, offsets, passage_rows, relevance, scores)


def _pools(path: Path) -> tuple[pa.ChunkedArray, pa.Array, Any, Any]:
    """Return query ids [N], doc ids [P], offsets [N + 1] and relevances [P]."""
    try:
        rows = LISTS.read(path)
    except BadTable:
        triples = TRIPLES.read(path)
        if not len(triples):
            raise BadTable(f"{path} has no triple to train on") from None
        sides = [triples["positive_id"].to_numpy(), triples["negative_id"].to_numpy()]
        docs = pa.array(np.stack(sides, axis=1).ravel(), pa.string())
        offsets = np.arange(0, len(docs) + 1, 2)
        return triples["query_id"], docs, offsets, np.tile(np.array([1, 0], np.int32), len(triples))
    if not len(rows):
        raise BadTable(f"{path} has no list to train on")
    sizes = pc.list_value_length(rows["doc_ids"]).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    docs = pc.list_flatten(rows["doc_ids"]).combine_chunks()
    return rows["query_id"], docs, offsets, pc.list_flatten(rows["relevances"]).to_numpy()

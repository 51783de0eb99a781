"""Folders ready for a hub: weights, tokenizer, configuration, recipe, provenance, a model card.

Nothing here uploads. Which of a student's seeds is published is chosen on its validation; a test
set must not choose, so a student without validation is published with every seed.
"""

import csv
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redistil.errors import BadSource, Stale
from redistil.stages.report.cards import card
from redistil.stages.report.numbers.costs import TRAINED
from redistil.stages.report.numbers.models import WEIGHTS
from redistil.stages.report.numbers.sealed import sealing
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.storage import digests, lineage
from redistil.storage.lineage import Made
from redistil.storage.tables import VALIDATION, aside
from redistil.study import artefacts as studies
from redistil.study.artefacts import Cell
from redistil.study.study import Study

VALIDATED, INDEX = "validation.parquet", "models.csv"
PROVENANCE = "provenance.json"  # the first file of a folder to be written: it marks it as ours

# what of a model's folder is not given away: how its training went, other weights than the chosen
_OURS = frozenset(
    {VALIDATED, TRAINED, "curve.parquet", "last.safetensors", "checkpoint.safetensors"}
)


@dataclass(frozen=True)
class Model:
    """A trained cell: its folder, its record, and its value on validation if it has one."""

    cell: Cell
    folder: Path
    made: Made
    validation: float | None


def publish(
    study: Study,
    tabulated: Tabulated,
    records: Sequence[Path],
    licence: str,
    out: Path,
    made: Made,
) -> list[Path]:
    """Write a folder for every model that is to be published; return the folders.

    records: made.json of each model of the study. Models that an earlier call left in `out` are
    removed. Raises Stale for a model that is not the one behind the tables, BadSource for one
    without weights; nothing is written then.
    """
    from tqdm import tqdm

    chosen = choose([_model(study, tabulated, path) for path in records])
    cards = []
    for model, why in chosen:
        trained = _trained(model)
        who = model.cell, model.made
        cards.append(card.text(study, tabulated, *who, licence, why, trained))
    _remove_earlier(out)
    folders = []
    for place, (model, _) in enumerate(tqdm(chosen, unit="model", mininterval=1)):
        folder = out / model.cell.name
        _write(folder, model, cards[place])
        folders.append(folder)
    with sealing(out, [INDEX], made):
        _write_index(chosen, out / INDEX)
    return folders


def _remove_earlier(out: Path) -> None:
    """Remove the models that an earlier call left."""
    for marked in list(out.glob(f"*/*/*/{PROVENANCE}")):
        shutil.rmtree(marked.parent)


def _model(study: Study, tabulated: Tabulated, path: Path) -> Model:
    made = lineage.of(path)
    cells = {cell.name: cell for cell in studies.grid_cells(study)}
    if made.command != "train" or made.name not in cells:
        raise Stale(f"{path} is {made.who}, which is no model of this study: leave it out")
    if made.fingerprint not in tabulated.made.ancestors:
        raise Stale(
            f"{made.who} is not the model that was measured: measure it again "
            "(`snakemake -R rerank`)"
        )
    folder = path.parent
    if not (folder / WEIGHTS).exists():
        raise BadSource(f"{folder} has no {WEIGHTS}: bring it back (`dvc pull`), or train it again")
    lineage.checked_folder(folder)
    return Model(cells[made.name], folder, made, validated(made.settings, folder / VALIDATED))


def validated(recipe: Mapping[str, Any], path: Path) -> float | None:
    """Return a model's value on validation; None where none was done.

    That is the mean over datasets at the step whose weights were kept: the best, or the last.
    """
    if not path.exists():
        return None
    steps: dict[int, list[float]] = {}
    for row in VALIDATION.read(path).to_pylist():
        steps.setdefault(row["step"], []).append(row["value"])
    if not steps:
        return None
    means = {}
    for step, values in steps.items():
        means[step] = sum(values) / len(values)
    return means[max(means)] if recipe["validation"]["keep"] == "last" else max(means.values())


def choose(models: Iterable[Model]) -> list[tuple[Model, str]]:
    """Return the models to publish, each with the reason: the best seed, or every seed.

    Raises BadSource when only some seeds of a student and loss were validated.
    """
    entries: dict[tuple[str, str], list[Model]] = {}
    for model in models:
        entries.setdefault((model.cell.student, model.cell.loss), []).append(model)
    chosen: list[tuple[Model, str]] = []
    for seeds in entries.values():
        chosen += _choose_seeds(sorted(seeds, key=lambda model: model.cell.seed))
    return chosen


def _choose_seeds(seeds: Sequence[Model]) -> list[tuple[Model, str]]:
    """Return which of a student's seeds to publish."""
    choices = [model for model in seeds if model.validation is not None]
    if not choices:
        why = "every seed is published: none was validated, and a test set must not choose"
        return [(model, why) for model in seeds]
    for model in seeds:
        if model.validation is None:
            raise BadSource(
                f"{model.folder} has no {VALIDATED}, and other seeds of it have: train it again"
            )
    best = max(choices, key=_validation)  # of equal ones the first
    if len(seeds) == 1:
        return [(best, f"the only one, {_validation(best):.4f} on validation")]
    return [(best, f"the best of {len(seeds)} seeds on validation ({_validation(best):.4f})")]


def _validation(model: Model) -> float:
    assert model.validation is not None
    return model.validation


def _write(folder: Path, model: Model, words: str) -> None:
    weights = lineage.sha256(model.folder / WEIGHTS)
    origin = card.provenance(model.made, weights, _trained(model))
    with aside(folder / PROVENANCE) as partial:
        partial.write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    for file in sorted(model.folder.rglob("*")):
        if file.is_file() and file.name not in _OURS and not file.name.startswith("."):
            _give(file, folder / file.relative_to(model.folder))
    with aside(folder / "README.md") as partial:
        partial.write_text(words, encoding="utf-8")


def _trained(model: Model) -> dict[str, Any]:
    """Return what the training told of itself: cost, machine, and commit of the code."""
    file = model.folder / TRAINED
    return digests.read_json(file) if file.exists() else {}


def _give(file: Path, copy: Path) -> None:
    """Link a file, or copy it to another disk: the weights of a large study fill one quickly."""
    copy.parent.mkdir(exist_ok=True)
    copy.unlink(missing_ok=True)
    try:
        os.link(file, copy)
    except OSError:
        shutil.copyfile(file, copy)


def _write_index(chosen: Sequence[tuple[Model, str]], path: Path) -> None:
    with aside(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(["student", "loss", "seed", "folder", "validation", "why"])
        for model, why in chosen:
            cell = model.cell
            value = "" if model.validation is None else f"{model.validation:.6g}"
            out.writerow([cell.student, cell.loss, cell.seed, cell.name, value, why])

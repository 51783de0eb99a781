"""Commands of the stage models."""

from pathlib import Path
from typing import Any

import click

from redistil.cli.options import (
    Folder,
    How,
    In,
    Json,
    Out,
    Settings,
    Source,
    device,
    making,
    setting,
    threads,
    write_settings,
)
from redistil.storage.lineage import Made
from redistil.storage.settings import Stated
from redistil.storage.tables import QRELS, QUERIES, RUN


@click.command()
@click.argument("out", type=Out())
@setting("--settings", Json(), "The settings of one training, as JSON.")
@click.option(
    "--apart",
    type=(In(QUERIES), In(QUERIES)),
    metavar="VALIDATED TESTED",
    multiple=True,
    help="Queries to validate on, and of a test over their corpus: none may be both; repeatable.",
)
def recipe(out: Path, settings: dict[str, Any], apart: tuple[tuple[Path, Path], ...]) -> None:
    """Write the resolved settings of one training as YAML.

    A validation set that shares a query with a test set is refused.
    """
    from redistil.storage import overlaps

    for validated, tested in apart:
        overlaps.refuse_shared(validated, tested)
    write_settings(settings, out)


@click.command()
@click.argument("recipe", type=Settings())
@click.argument("backbone", type=Folder())
@click.argument("queries", type=Source())
@click.argument("passages", type=Source())
@click.argument("negatives", type=Source())
@click.argument("out", type=Out())
@click.option("--teacher", type=Source(), help="Teacher scores, where the recipe names a teacher.")
@click.option(
    "--predecessor",
    type=Folder(),
    help="The trained model to start from, where the recipe names one: its folder.",
)
@click.option(
    "--validate",
    cls=How,
    type=(str, In(RUN), In(QRELS), Source(), Source()),
    metavar="DATASET CANDIDATES QRELS QUERIES PASSAGES",
    multiple=True,
    help="A dataset that the recipe validates on, with token files; once for each.",
)
@click.option(
    "--checkpoint-every",
    cls=How,
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps that a killed training loses at most.",
)
@threads
@device
@click.option(
    "--tensorboard",
    cls=How,
    type=click.Path(path_type=Path),
    envvar="REDISTIL_TENSORBOARD",
    show_envvar=True,
    help="A folder for TensorBoard, which must be installed.",
)
@making
def train(
    recipe: Stated,
    backbone: Path,
    queries: Path,
    passages: Path,
    negatives: Path,
    out: Path,
    teacher: Path | None,
    predecessor: Path | None,
    validate: tuple[tuple[str, Path, Path, Path, Path], ...],
    checkpoint_every: int,
    threads: int,
    device: str,
    tensorboard: Path | None,
    made: Made,
) -> None:
    """Train the student of a recipe.

    It learns from NEGATIVES (triples or lists); OUT is the folder of the model.

    BACKBONE is the folder of a checkpoint; QUERIES and PASSAGES are its token files.
    With a predecessor its weights are those of a model trained before, encoder and head.
    `torchrun --nproc-per-node N -m redistil train ...` trains on N devices, with the same loss.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil.machine.processes import Processes
    from redistil.stages import models
    from redistil.stages.models.reading import Dataset, Inputs
    from redistil.study.recipes import recipe as typed

    datasets = tuple(Dataset(*paths) for paths in validate)
    inputs = Inputs(backbone, queries, passages, negatives, teacher, predecessor, datasets)
    out.mkdir(parents=True, exist_ok=True)
    with Processes(device) as processes:
        typed_recipe = typed(recipe, recipe.where)
        models.train(typed_recipe, inputs, out, made, processes, tensorboard, checkpoint_every)

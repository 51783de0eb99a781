"""Commands of the stage models."""

from pathlib import Path
from typing import Any

import click

from redistil.cli.options import (
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
from redistil.lineage import Made


@click.command()
@click.argument("out", type=Out())
@setting("--settings", Json(), "The settings of one training, as JSON.")
def recipe(out: Path, settings: dict[str, Any]) -> None:
    """Write the resolved settings of one training as the YAML file OUT."""
    write_settings(settings, out)


@click.command()
@click.argument("recipe", type=Settings())
@click.argument("backbone", type=Source())
@click.argument("queries", type=Source())
@click.argument("passages", type=Source())
@click.argument("negatives", type=Source())
@click.argument("out", type=Out())
@click.option("--teacher", type=Source(), help="Teacher scores, where the recipe names a teacher.")
@threads
@device
@making("models")
def train(
    recipe: dict[str, Any],
    backbone: Path,
    queries: Path,
    passages: Path,
    negatives: Path,
    out: Path,
    teacher: Path | None,
    threads: int,
    device: str,
    made: Made,
) -> None:
    """Train the student of RECIPE on NEGATIVES (triples or lists) into the folder OUT.

    BACKBONE is a checkpoint's weights file; QUERIES and PASSAGES are its token files.
    """
    from redistil.cli.runtime import quiet

    quiet(threads)
    from redistil import models
    from redistil.scoring import device_of

    out.mkdir(parents=True, exist_ok=True)
    models.train(
        recipe,
        backbone.parent,
        (queries, passages),
        negatives,
        teacher,
        out,
        made,
        device_of(device),
    )

"""The question where a file comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from redistil.cli.commands import COMMANDS, code_of
from redistil.cli.options import Source
from redistil.errors import UserError
from redistil.storage import crate, lineage, origin, settings
from redistil.storage import trace as tracing


@click.command()
@click.argument("file", type=Source())
@click.option("--crate", "as_crate", is_flag=True, help="as RO-Crate JSON of the working folder")
def trace(file: Path, as_crate: bool) -> None:
    """Tell where a file comes from, and what has changed since.

    FILE is any file of results/ or data/, or the folder of a model, tables or figures. Its record
    is followed to the sources. Run this in the project's folder.
    """
    if file.is_dir() and lineage.of(file).settings == {"sha256": {}}:
        raise UserError(f"{file} is a folder without a record: give a table, a model or its folder")
    if as_crate:
        click.echo(crate.text(file, code_now))
        return
    for line in tracing.lines(file, code_now):
        click.echo(line)


def code_now(command: str, options: Mapping[str, Any]) -> str:
    """Return the fingerprint of a command's code today; "gone" if there is no such command."""
    if command not in COMMANDS:
        return "gone"
    try:
        return _asked_now(options) if command == origin.ASKED else code_of(command, options)
    except UserError:
        return "gone"


def _asked_now(options: Mapping[str, Any]) -> str:
    """Return the digest of what a study asks for today."""
    from redistil.study import grid, overlays

    config = settings.mapping(Path("params.yaml")) | {"study": options["study"]}
    study, _ = overlays.planned(config, {})
    return origin.asked_digest(grid.asked_for(study))

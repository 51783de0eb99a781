"""The command that checks what all others left: no rule runs it, people do."""

from pathlib import Path

import click

from redistil.cli.options import Source
from redistil.errors import Damaged

TOPS = (Path("data"), Path("results"))


@click.command()
@click.argument("paths", type=Source(), nargs=-1, metavar="[PATH]...")
def verify(paths: tuple[Path, ...]) -> None:
    """Check the bytes of all files below PATH.

    PATH is a folder or a file; without one, `data` and `results` are checked. Each artefact
    carries a digest of its bytes. A damaged one is named, with what makes it again.
    """
    from redistil.storage import verified

    tops = paths or tuple(filter(Path.exists, TOPS))
    files = verified.files(tops)
    outcome = verified.verify(files)
    for message in outcome.damaged.values():
        click.echo(message)
    if outcome.damaged:
        again = " ".join(map(str, outcome.remade()))
        raise Damaged(
            f"{len(outcome.damaged)} of {len(files)} files are damaged: bring them back "
            f"(`dvc checkout --force`), or make them again (`snakemake -R {again}`)"
        )
    click.echo(f"{len(outcome.whole)} files are whole; {len(outcome.bare)} carry no digest")

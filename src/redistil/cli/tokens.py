"""Commands of the stage tokens."""

import os
from pathlib import Path

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import Folder, Out, Source, making, threads
from redistil.errors import BadTable
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES, QUERIES, Table
from redistil.study.study import Tokens


@click.command()
@click.argument("checkpoint", type=Folder())
@click.argument("texts", type=Source())
@click.argument("out", type=Out())
@settings_from(Tokens, "longest")
@threads
@making
def tokenize(
    checkpoint: Path, texts: Path, out: Path, longest: int, threads: int, made: Made
) -> None:
    """Tokenise queries or passages.

    TEXTS are tokenised by the tokenizer of CHECKPOINT.
    """
    table = _table_of(texts)
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    from redistil.stages import tokens

    tokens.tokenize(checkpoint, table, texts, out, made, longest)


def _table_of(texts: Path) -> Table:
    for table in (QUERIES, PASSAGES):
        try:
            table.expect(texts)
            return table
        except BadTable as error:
            refused = error
    raise refused

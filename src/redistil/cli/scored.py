"""Options of the commands that score pairs, whatever pairs they score."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import click

from redistil.cli.declared import settings_from
from redistil.cli.options import Folder, In, Out, Source, device, threads
from redistil.storage.tables import PASSAGES, QUERIES
from redistil.study.candidates import Bm25Stage
from redistil.study.protocol import Reranking

Command = Callable[..., Any]

precision = settings_from(Reranking, "precision")


def by_model(command: Command) -> Command:
    """Give a command a model, token files under its tokenizer, an output, and how it scores."""
    return _given(
        command,
        click.argument("model", type=Folder()),
        click.argument("queries", type=Source()),
        click.argument("passages", type=Source()),
        click.argument("out", type=Out()),
        precision,
        threads,
        device,
    )


def by_bm25(command: Command) -> Command:
    """Give a command queries and the passages of their corpus, an output, and BM25's settings."""
    return _given(
        command,
        click.argument("queries", type=In(QUERIES)),
        click.argument("passages", type=In(PASSAGES)),
        click.argument("out", type=Out()),
        settings_from(Bm25Stage, "k1", "b", "stemmer"),
    )


def _given(command: Command, *parts: Callable[[Command], Command]) -> Command:
    return reduce(lambda so_far, part: part(so_far), reversed(parts), command)

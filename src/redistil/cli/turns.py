"""A command takes its turn: it alone writes its output, and its GPU is its own."""

import copy
import functools
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from redistil.cli.options import Out, record_of
from redistil.errors import UserError
from redistil.machine import gpus
from redistil.storage import claims, lineage

_log = logging.getLogger(__name__)


def taken(command: click.Command) -> click.Command:
    """Return the command, which waits for its turn if it makes something with a record."""
    names = {param.name for param in command.params}
    if command.callback is None or "name" not in names:
        return command
    waiting = copy.copy(command)
    waiting.callback = functools.partial(_in_turn, command.callback)
    return waiting


def _in_turn(body: Callable[..., None], **given: Any) -> None:
    """Run a command with its output claimed.

    Where another job wrote the same output meanwhile, and made the same thing, take that.
    """
    context = click.get_current_context()
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    is_another = launched and os.environ.get("RANK") != "0"  # the first holds the claim for all
    out = _output(context.command, given)
    if out is None or is_another:
        body(**given)
        return
    with claims.claimed(out, patient=not launched) as waited:
        if waited and _has(out, context, given):
            _log.info("takes %s as the other job made it", out)
            return
        with gpus.in_turn(given["device"]) if "device" in given else nullcontext():
            body(**given)


def _output(command: click.Command, given: Mapping[str, Any]) -> Path | None:
    """Return the first path that a command writes, or None where it only tells."""
    for param in command.params:
        path = given.get(param.name or "")
        if isinstance(param.type, Out) and isinstance(path, Path):
            return path
    return None


def _has(out: Path, context: click.Context, given: Mapping[str, Any]) -> bool:
    """Whether an output is there that carries the record of what this command would make."""
    wanted = dict(given)
    name = wanted.pop("name")
    try:
        return lineage.of(out).fingerprint == record_of(context, name, wanted).fingerprint
    except (OSError, UserError):
        return False

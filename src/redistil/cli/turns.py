"""A command takes its turn: it alone writes its output, and its GPU is its own.

Before that, its paths are looked at: what it writes is not what it reads.
"""

import copy
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from redistil.cli.options import Out, Source, has_kind, paths_in, record_of, why_no_file
from redistil.errors import UserError
from redistil.machine import gpus
from redistil.storage import claims, lineage
from redistil.storage.tables import RUN

FIRST_STAGES = frozenset({"retrieve", "retrieve-bm25", "import-run"})

_log = logging.getLogger(__name__)


def taken(command: click.Command) -> click.Command:
    """Return the command with its paths checked; it waits if it makes something with a record."""
    body = command.callback
    if body is None:
        return command
    if "name" in {param.name for param in command.params}:
        body = functools.partial(_in_turn, body)
    checking = copy.copy(command)
    checking.callback = functools.partial(_checked, body)
    return checking


def _checked(body: Callable[..., None], **arguments: Any) -> None:
    """Run a command whose paths can be read and written."""
    command = click.get_current_context().command
    sources = list(_paths(command, arguments, Source))
    for source in sources:
        if source.exists() and not (source.is_file() or source.is_dir()):
            raise UserError(f"{source} {why_no_file(source)}")
    for out in _paths(command, arguments, Out):
        _refuse_unnamed(out)
        for source in sources:
            if out.exists() and source.exists() and out.samefile(source):
                raise UserError(f"{out} is read and would be written: give another output")
    body(**arguments)


def _refuse_unnamed(out: Path) -> None:
    """Refuse "", "." and "/": nothing can be written beside them and then renamed."""
    if not out.name:
        raise UserError(f"wanted the path of an output, got {str(out)!r}: give it a name")


def _paths(command: click.Command, arguments: Mapping[str, Any], kind: type) -> Iterator[Path]:
    """Yield the paths of one kind that a command was given."""
    for param in command.params:
        if has_kind(param, kind):
            yield from paths_in(arguments.get(param.name or ""))


def _in_turn(body: Callable[..., None], **arguments: Any) -> None:
    """Run a command with its output claimed.

    Where another job wrote the same output meanwhile, and made the same thing, take that.
    """
    context = click.get_current_context()
    launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
    is_another = launched and os.environ.get("RANK") != "0"  # the first holds the claim for all
    out = _output(context.command, arguments)
    computing = gpus.in_turn(arguments["device"]) if "device" in arguments else nullcontext()
    if out is None or is_another:
        with computing:
            body(**arguments)
        return
    with claims.claimed(out, patient=not launched) as waited:
        if waited and _has(out, context, arguments):
            _log.info("takes %s as the other job made it", out)
            return
        with computing, _accounted(out, context.command, arguments):
            body(**arguments)


@contextmanager
def _accounted(out: Path, command: click.Command, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Write beside a first stage's run what it cost, and on which machine and commit.

    Every number of a study descends from one, so that each can be told its machine.
    """
    if command.name not in FIRST_STAGES:
        yield
        return
    from redistil.machine import costs, hardware
    from redistil.machine.energy import Meter, Note

    cost = out.with_suffix(".cost.json")
    texts = sorted((name, str(value)) for name, value in arguments.items())
    note, source = Note.beside(cost, lineage.digest(texts)), hardware.commit()
    try:
        with Meter(note=note) as meter:
            yield
            spent = meter.spent()
    except (UserError, OSError):  # refused: no start goes on from here
        note.path.unlink(missing_ok=True)
        raise
    costs.account_alone(spent, RUN.count(out), source, cost, arguments.get("threads", 1))


def _output(command: click.Command, arguments: Mapping[str, Any]) -> Path | None:
    """Return the first path that a command writes, or None where it only tells."""
    for param in command.params:
        path = arguments.get(param.name or "")
        if isinstance(param.type, Out) and isinstance(path, Path):
            return path
    return None


def _has(out: Path, context: click.Context, arguments: Mapping[str, Any]) -> bool:
    """Whether an output is there that carries the record of what this command would make."""
    wanted = dict(arguments)
    name = wanted.pop("name")
    try:
        return lineage.of(out).fingerprint == record_of(context, name, wanted).fingerprint
    except (OSError, UserError):
        return False

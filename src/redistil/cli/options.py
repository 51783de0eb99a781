"""Parameter types that the commands share, and the record of what is being made.

Arguments name files. Options are settings, and go into the record of the file that is made;
those declared with `how` (threads, device) change the work but not its result, and do not.
No setting has a default here: numbers live in params.yaml and studies/.
"""

import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from redistil.cli.commands import code_of
from redistil.errors import BadSettings, UserError
from redistil.storage import digests, lineage, settings
from redistil.storage.tables import QUERIES, Table, aside

_log = logging.getLogger(__name__)


def warn(lines: Iterable[str]) -> None:
    """Say what was left out or mended; Snakemake shows it again when the study is done."""
    for line in lines:
        _log.warning(line)


class Source(click.ParamType[Path]):
    """An existing file or folder that a command reads; its record becomes part of the output's."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(value)
        if not path.exists():
            raise UserError(f"{path} does not exist: make it, or check the path")
        return path


class Folder(Source):
    """A folder with a record, such as a checkpoint: named itself, or by its `made.json`."""

    name = "folder"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = super().convert(value, param, ctx)
        return path if path.is_dir() else path.parent


class In(Source):
    """An existing Parquet file of one declared table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name = f"{table.name}.parquet"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(value)
        self.table.expect(path)
        return path


class InOrTrec(In):
    """A Parquet file of one declared table, or a TREC file from elsewhere."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(value)
        return super().convert(value, param, ctx) if path.suffix == ".parquet" else _there(path)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} {why_no_file(path)}")
    return path


def why_no_file(path: Path) -> str:
    """Return why a path is no file to read, and what to do."""
    if path.is_dir():
        return "is a folder: give a file in it"
    if path.exists():
        return "is a pipe or a device, and is read twice: write it to a file first"
    return "does not exist: make it, or check the path"


class Settings(click.ParamType[dict[str, Any]]):
    """A YAML file whose content is the settings of what is made."""

    name = "recipe.yaml"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, Any]:
        path = Path(value)
        digests.check_if_sealed(path)
        return settings.read(path, "recipe")


class Out(click.ParamType[Path]):
    """A path that the command writes: complete, or not at all."""

    name = "out"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        return Path(value)


class Json(click.ParamType[Any]):
    """A setting with parts, as a JSON object."""

    name = "json"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        where = param.opts[0]
        try:
            parts = json.loads(value)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadSettings(f"{where}: wanted JSON, an object, got {value!r} ({error})") from None
        if not isinstance(parts, dict):
            raise BadSettings(f"{where}: wanted an object, got {value}: {param.help}")
        return settings.stated(parts, where)


class How(click.Option):
    """An option that changes how the work is done, not what comes out."""


def setting(flag: str, type: Any, help: str, **more: Any) -> Callable[..., Any]:
    """Return a click option that is a setting: required unless `required=False` is said."""
    return click.option(flag, type=type, help=help, **({"required": True} | more))


threads = click.option(
    "--threads", cls=How, type=click.IntRange(1), default=1, show_default=True, help="CPU threads."
)
device = click.option(
    "--device",
    cls=How,
    default="auto",
    envvar="REDISTIL_DEVICE",
    show_default=True,
    show_envvar=True,
    help="cpu, cuda, cuda:1, ...; auto takes a GPU where there is one.",
)


def test_queries(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the queries of test sets, which no training may see."""
    for flag, whose in (
        ("--test-elsewhere", "Queries of a test set over another corpus, known by their text"),
        ("--test", "Queries of a test set over the same corpus, known by id and text"),
    ):
        help_text = f"{whose}: left out; repeatable."
        command = click.option(flag, type=In(QUERIES), multiple=True, help=help_text)(command)
    return command


def write_settings(stated: Mapping[str, Any], out: Path) -> None:
    """Write settings as a YAML file, in the order given."""
    import yaml

    plain = json.loads(json.dumps(stated))  # a mapping of any other class is not written
    text = yaml.safe_dump(plain, sort_keys=False)
    with aside(out) as partial:
        digests.put_text(text, partial)


def making(body: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--name`, and the record `made` of what it is about to write."""

    @click.option("--name", cls=How, help="What the study calls the output; kept in its record.")
    @functools.wraps(body)
    def command(name: str | None, **arguments: Any) -> None:
        body(made=record_of(click.get_current_context(), name, arguments), **arguments)

    return command


def record_of(context: click.Context, name: str | None, arguments: dict[str, Any]) -> lineage.Made:
    """Return the record of what a command makes with these arguments."""
    inputs: list[lineage.Made] = []
    recorded: dict[str, Any] = {}
    out = ""
    for param in context.command.params:
        value = arguments.get(param.name or "")
        if has_kind(param, Source):
            inputs += map(lineage.of, paths_in(value))
        if has_kind(param, Out):
            out = out or str(value or "")
        elif isinstance(param.type, Settings):
            recorded |= value or {}
        elif isinstance(param, click.Option) and not isinstance(param, How):
            recorded |= _setting(param, value)
    command = str(context.command.name)
    return lineage.make(command, name or out, recorded, code_of(command, recorded), inputs)


def has_kind(param: click.Parameter, kind: type) -> bool:
    """Whether an argument or option is of a kind, or one of the words of each."""
    types = param.type.types if isinstance(param.type, click.Tuple) else [param.type]
    return any(isinstance(one, kind) for one in types)


def paths_in(value: Any) -> Iterator[Path]:
    """Yield the paths of an argument or option, which may be repeated and have other words."""
    for word in _words_in(value):
        if isinstance(word, Path):
            yield word


def _words_in(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _words_in(item)
    elif value is not None:
        yield value


def _setting(option: click.Option, value: Any) -> dict[str, Any]:
    """Return what of an option decides the result: its value, or the words beside its paths."""
    name = str(option.name)
    if not has_kind(option, Source):
        return {name: value}
    words = [word for word in _words_in(value) if not isinstance(word, Path)]
    return {name: words} if words else {}

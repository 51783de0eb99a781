"""The command line: one command for each rule, found lazily: no job pays another's imports."""

import importlib
import logging
import sys
from typing import NoReturn

import click

from redistil.cli import turns
from redistil.cli.commands import COMMANDS, QUESTIONS
from redistil.errors import UserError
from redistil.storage import locks
from redistil.storage.aside import is_full

ALL = COMMANDS | QUESTIONS
LINE = 62  # characters of a command's short help
WIDEST = max(map(len, ALL))  # characters of a command's name


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(ALL)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in ALL:
            return None
        module = importlib.import_module(f"redistil.cli.{ALL[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return turns.taken(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands stage by stage, each with its whole short line."""
        for stage in dict.fromkeys(COMMANDS.values()):
            names = [name for name, module in COMMANDS.items() if module == stage]
            with formatter.section(stage.capitalize()):
                rows = [(name.ljust(WIDEST), self._line(ctx, name)) for name in names]
                formatter.write_dl(rows)
        with formatter.section("Questions"):
            formatter.write_dl([(name.ljust(WIDEST), self._line(ctx, name)) for name in QUESTIONS])

    def _line(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(LINE) if command else ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in ALL and not args[0].startswith("-"):
            from redistil.study.artefacts import nearest

            ctx.fail(f"no command {args[0]!r}{nearest(args[0], ALL)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy)
@click.version_option(package_name="redistil")
def cli() -> None:
    """How should a re-ranker be taught? The steps of the pipeline, one command each.

    `snakemake` runs them all in order. Any of them can be run by hand: `redistil COMMAND --help`
    says what it reads and writes.
    """


def main() -> None:
    """Run the command line; the user's mistakes end in one sentence and exit status 2."""
    _speak()
    try:
        if sys.argv[1:2] and sys.argv[1] in COMMANDS and locks.STATE.exists():
            locks.refuse_full(locks.STATE)
        cli(prog_name="redistil")
    except UserError as error:
        _end(str(error))
    except OSError as error:
        # what the system refuses at a path is its user's to mend; any other is a mistake of ours
        path = error.filename2 or error.filename
        if is_full(error):
            _end(f"{path or 'the log'} could not be written, its disk is full: make room there")
        if path is None:
            raise
        reason = " ".join(str(error.strerror or error).split())
        _end(f"{path}: {reason}: check the path and who may write there")


def _end(message: str) -> NoReturn:
    click.echo(f"redistil: {message}", err=True)
    sys.exit(2)


def _speak() -> None:
    """Let what the stages count and warn of be read on standard error, with one word in front."""
    spoken = logging.getLogger("redistil")
    if not spoken.handlers:
        lines = logging.StreamHandler()
        lines.setFormatter(logging.Formatter("redistil: %(levelname)s: %(message)s"))
        spoken.addHandler(lines)
    spoken.setLevel(logging.INFO)

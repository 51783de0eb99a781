"""The command line: help, one sentence for a mistake, and no imports that a job does not need."""

import difflib
import importlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import redistil.cli
from redistil.cli.commands import COMMANDS, code_of
from redistil.cli.options import Folder, In, Json, Out, Settings, Source
from redistil.errors import UserError
from redistil.storage import lineage
from redistil.storage.tables import (
    MEASURES,
    QRELS,
    QUERIES,
    RUN,
    TEACHER_SCORES,
    TRIPLES,
    Table,
    ranked,
)

MADE = lineage.make("test", "t", {}, "", [])


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def redistil_(monkeypatch, capsys) -> Callable[..., Ended]:
    """Run `redistil ARGUMENTS` in this process."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["redistil", *map(str, arguments)])
        code = 0
        try:
            redistil.cli.main()
        except SystemExit as stop:
            code = stop.code
        return Ended(int(code or 0), *capsys.readouterr())

    return run


def command_of(name: str) -> click.Command:
    module = importlib.import_module(f"redistil.cli.{COMMANDS[name]}")
    command: click.Command = getattr(module, name.replace("-", "_"))
    return command


every_command = pytest.mark.parametrize("name", COMMANDS)


# --- help -------------------------------------------------------------------------------------


def test_help_names_every_command(redistil_):
    ended = redistil_("--help")
    assert ended.code == 0
    lines = {line.split()[0]: line for line in ended.out.splitlines() if line.startswith("  ")}
    for name in COMMANDS:
        assert len(lines[name].split()) > 3, f"{name} says nothing of itself"


@every_command
def test_every_command_has_help(redistil_, name):
    command = command_of(name)
    ended = redistil_(name, "--help")
    assert ended.code == 0 and ended.out.startswith(f"Usage: redistil {name} ")
    assert command.name == name
    assert command.help and command.help.split("\n")[0].rstrip().endswith((".", ":"))
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{name} {param.opts[0]} says nothing of itself"


@every_command
def test_settings_have_no_default(name):
    """Numbers live in params.yaml and studies/."""
    for param in command_of(name).params:
        given = param.name in ("threads", "device", "checkpoint_every")  # how, not what
        assert given or param.to_info_dict().get("default") in (None, (), False), param.name


def test_version(redistil_):
    ended = redistil_("--version")
    assert ended.code == 0 and re.fullmatch(r"redistil, version [\d.]+\n", ended.out)


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("retrive", "retrieve")])
def test_an_unknown_command_suggests_the_nearest(redistil_, typed, meant):
    ended = redistil_(typed, "--seed", 1)
    assert ended.code == 2 and ended.out == ""
    assert typed in ended.err and f"did you mean '{meant}'?" in ended.err
    assert "Traceback" not in ended.err


def test_a_strange_command_suggests_nothing(redistil_):
    assert not difflib.get_close_matches("xyzzy", COMMANDS)
    ended = redistil_("xyzzy")
    assert ended.code == 2 and "'xyzzy'" in ended.err and "did you mean" not in ended.err


def test_unknown_and_missing_options_are_refused(redistil_):
    assert redistil_("shuffle", "--depht", 3).code == 2
    ended = redistil_("shuffle", "--seed", 3)
    assert ended.code == 2 and "Traceback" not in ended.err


# --- files that will not do -------------------------------------------------------------------


def anything(kind: click.ParamType[Any], folder: Path, out: Path) -> list[str]:
    """Return words that a parameter of this type takes."""
    if isinstance(kind, click.Tuple):
        return [word for part in kind.types for word in anything(part, folder, out)]
    if isinstance(kind, In):
        path = folder / f"{kind.table.name}.parquet"
        kind.table.write(kind.table.schema.empty_table(), path, MADE)
        return [str(path)]
    if isinstance(kind, Out):
        return [str(out)]
    if isinstance(kind, (Source, Settings)):
        path = folder / "file.yaml"
        path.write_text("{a: 1}\n")
        return [str(path)]
    if isinstance(kind, Json):
        return ["{}"]
    if isinstance(kind, click.Choice):
        return [str(kind.choices[0])]
    if isinstance(kind, click.IntRange):
        return [str(kind.min)]
    if isinstance(kind, click.FloatRange):
        return ["0.5"]
    return {"integer": ["1"], "float": ["1"], "boolean": ["true"]}.get(kind.name, ["word"])


def line_of(command: click.Command, folder: Path, out: Path) -> list[str]:
    """Return a complete command line, as far as types can tell."""
    words = []
    for param in command.params:
        if isinstance(param, click.Argument):
            words += anything(param.type, folder, out)
        elif param.required or tables_of(param):
            words += [param.opts[0], *anything(param.type, folder, out)]
    return words


def tables_of(*params: click.Parameter) -> set[str]:
    """Return the tables that parameters say they read."""
    kinds = [param.type for param in params]
    kinds += [part for kind in kinds if isinstance(kind, click.Tuple) for part in kind.types]
    return {kind.table.name for kind in kinds if isinstance(kind, In)}


def sentence(ended: Ended, *parts: str) -> None:
    """The command ended in one sentence of ours that has these parts."""
    assert ended.code == 2, ended.err
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("redistil: "), ended.err
    for part in parts:
        assert part in lines[0]


def missing(path: Path) -> str:
    path.unlink()
    return "does not exist"


def truncated(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-20])
    return "not a readable Parquet file"


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return "not a readable Parquet file"


def of_another_table(path: Path) -> str:
    other = MEASURES if path.stem != MEASURES.name else QUERIES
    other.write(other.schema.empty_table(), path, MADE)
    return f"not a table `{path.stem}`"


@pytest.mark.parametrize("name", [n for n in COMMANDS if tables_of(*command_of(n).params)])
@pytest.mark.parametrize("harm", [missing, truncated, empty, of_another_table])
def test_an_unreadable_table_is_refused_first(redistil_, name, harm, tmp_path):
    command = command_of(name)
    for table in sorted(tables_of(*command.params)):
        out = tmp_path / "made" / "out.parquet"
        line = line_of(command, tmp_path, out)
        path = tmp_path / f"{table}.parquet"
        said = harm(path)
        sentence(redistil_(name, *line), str(path), said)
        assert not out.parent.exists()


def written(table: Table, path: Path, **columns: list[Any]) -> Path:
    table.write(table.rows(columns), path, MADE)
    return path


def harmed_lines(tmp_path: Path) -> dict[str, tuple[list[object], Path, Path]]:
    """Return command lines, what they write, and the table that is about to be harmed.

    The first two say nothing of a table in their types: they take several kinds.
    """
    queries = written(QUERIES, tmp_path / "queries.parquet", query_id=["1"], text=["a"])
    triples = written(
        TRIPLES, tmp_path / "t.parquet", query_id=["1"], positive_id=["a"], negative_id=["b"]
    )
    out = tmp_path / "made" / "out.parquet"
    other = tmp_path / "tokens.arrow"
    other.write_bytes(b"")
    return {
        "tokenize": ([tmp_path, queries, out, "--longest", 8], out, queries),
        "score": (
            [queries, queries, queries, out, "--over", triples, "--precision", "float32"],
            out,
            triples,
        ),
    }


@pytest.mark.parametrize("name", ["tokenize", "score"])
@pytest.mark.parametrize("harm", [truncated, empty])
def test_an_unreadable_source_is_refused(redistil_, name, harm, tmp_path):
    line, out, path = harmed_lines(tmp_path)[name]
    harm(path)
    sentence(redistil_(name, *line), str(path))
    assert not out.parent.exists()


def test_a_foreign_source_table_is_refused(redistil_, tmp_path):
    line, out, path = harmed_lines(tmp_path)["tokenize"]
    written(TEACHER_SCORES, path, query_id=["1"], doc_id=["a"], score=[1.0])
    sentence(redistil_("tokenize", *line), str(path), "not a table")
    assert not out.parent.exists()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"a: [", b"- 1\n- 2\n", b""])
def test_an_unreadable_recipe_is_refused(redistil_, content, tmp_path):
    command = command_of("train")
    line = line_of(command, tmp_path, tmp_path / "made" / "model")
    recipe = tmp_path / "broken.yaml"
    if content is not None:
        recipe.write_bytes(content)
    place = [isinstance(param.type, Settings) for param in command.params].index(True)
    line[place] = str(recipe)
    sentence(redistil_("train", *line), str(recipe), "recipe")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00\x01", b"words and words\n", b"q Q0 d 1 much x\n", b"q\tQ0\td\n"],
    ids=["empty", "binary", "words", "no number", "too short"],
)
def test_an_unreadable_run_is_refused(redistil_, content, tmp_path):
    source, out = tmp_path / "run.trec", tmp_path / "made" / "run.parquet"
    qrels = tmp_path / "qrels.parquet"
    written(QRELS, qrels, query_id=["q"], doc_id=["d"], relevance=[1])
    source.write_bytes(content)
    more = [qrels, out, "--drop-identical", "no", "--least-success", 0]
    sentence(redistil_("import-run", source, *more), str(source))
    sentence(redistil_("import-run", tmp_path, *more), str(tmp_path))
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_inputs_of_two_chains_are_refused(redistil_, tmp_path):
    """The files are tables, but of two versions of one corpus."""
    old, new = (lineage.make("export-passages", "docs", {"n": n}, "", []) for n in (1, 2))
    names = ("run", "queries", "qrels", "out")
    run, queries, qrels, out = (tmp_path / f"{name}.parquet" for name in names)
    RUN.write(ranked(["1"], ["a"], [1.0]), run, lineage.make("retrieve", "r", {}, "", [old]))
    judged = QRELS.rows({"query_id": ["1"], "doc_id": ["b"], "relevance": [1]})
    QRELS.write(judged, qrels, lineage.make("export-queries", "q", {}, "", [new]))
    asked = QUERIES.rows({"query_id": ["1"], "text": ["what"]})
    QUERIES.write(asked, queries, lineage.make("export-queries", "q", {}, "", [new]))
    line = [run, queries, qrels, out, "--kind", "lists", "--positives", "judged"]
    line += ["--relevant-from", 1, "--depth", 5, "--per-query", 1, "--seed", 1]
    sentence(redistil_("mine", *line), "export-passages docs", "retrieve r", "export-queries q")
    assert not out.exists()


# --- the record -------------------------------------------------------------------------------


def shuffled(run: Callable[..., Ended], source: Path, out: Path, *more: object) -> lineage.Made:
    ended = run("shuffle", source, out, "--depth", 5, "--seed", 3, *more)
    assert ended.code == 0, ended.err
    return lineage.of(out)


@pytest.fixture
def run_file(tmp_path) -> Path:
    path = tmp_path / "run.parquet"
    made = lineage.make("retrieve", "docs.bm25", {"depth": 9}, "c0de", [])
    RUN.write(ranked(["1", "1", "2"], ["a", "b", "a"], [1.0, 2.0, 3.0]), path, made)
    return path


def test_an_output_says_what_made_it(redistil_, run_file, tmp_path):
    made = shuffled(redistil_, run_file, tmp_path / "out.parquet", "--name", "random")
    assert (made.command, made.name) == ("shuffle", "random")
    assert dict(made.settings) == {"depth": 5, "seed": 3}
    source = lineage.of(run_file)
    assert dict(made.inputs) == {source.who: source.fingerprint}
    assert made.code == code_of("shuffle", {})


def test_the_default_name_is_the_path(redistil_, run_file, tmp_path):
    out = tmp_path / "out.parquet"
    assert shuffled(redistil_, run_file, out).name == str(out)


def test_threads_and_device_are_not_recorded():
    for name in ("rerank", "score", "train"):
        for param in command_of(name).params:
            if param.name in ("threads", "device", "name"):
                assert type(param).__name__ == "How"


def test_equal_commands_make_equal_bytes(redistil_, run_file, tmp_path):
    first, second = tmp_path / "a" / "out.parquet", tmp_path / "b" / "out.parquet"
    shuffled(redistil_, run_file, first, "--name", "random")
    shuffled(redistil_, run_file, second, "--name", "random")
    assert first.read_bytes() == second.read_bytes()


# --- imports ----------------------------------------------------------------------------------


def test_light_commands_import_no_torch(run_file, tmp_path):
    """Its start-up is seconds, a hundred times over in a study."""
    script = f"""
    import sys
    from redistil.cli import main
    for line in (
        ["mine", "--help"],
        ["shuffle", "--help"],
        ["evaluate", "--help"],
        ["shuffle", {str(run_file)!r}, {str(tmp_path / "out.parquet")!r},
         "--depth", "5", "--seed", "1"],
        ["trian"],
    ):
        sys.argv = ["redistil", *line]
        try:
            main()
        except SystemExit as stop:
            assert stop.code == (2 if line == ["trian"] else 0), line
        heavy = {{"torch", "transformers", "ranx", "scipy", "ir_datasets"}} & set(sys.modules)
        assert not heavy, (line, heavy)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.parquet").exists()


def test_the_command_is_installed():
    ended = subprocess.run(
        [Path(sys.executable).with_name("redistil"), "no-such"], capture_output=True, text=True
    )
    assert ended.returncode == 2 and "no command 'no-such'" in ended.stderr


def test_a_folder_stands_for_its_record(tmp_path):
    (tmp_path / "made.json").write_text("{}")
    for given in (tmp_path, tmp_path / "made.json"):
        assert Folder().convert(str(given), None, None) == tmp_path
    with pytest.raises(UserError, match="does not exist"):
        Folder().convert(str(tmp_path / "none"), None, None)


def test_help_groups_commands_by_stage(redistil_):
    shown = redistil_("--help").out
    heads = [line for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    stages = dict.fromkeys(COMMANDS.values())
    assert heads[1:] == [*(f"{stage.capitalize()}:" for stage in stages), "Questions:"]
    commands = shown.partition(heads[1])[2]
    assert "..." not in commands

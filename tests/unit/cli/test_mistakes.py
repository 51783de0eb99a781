"""Mistakes of users on the command line: one sentence, exit status 2, nothing left behind.

What may be wrong with tables is in test_cli.py, with checkpoints and models in test_bad_input.py.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

import redistil.cli
from redistil.errors import BadSettings
from redistil.stages.report.numbers.sealed import sealing
from redistil.storage.tables import MEASURES, PASSAGES, QRELS, QUERIES, RUN, ranked
from redistil.study.architectures import ARCHITECTURES
from redistil.study.checks import resolve
from tests.made import report_study, tiny


@pytest.fixture
def refused(monkeypatch, capsys) -> Callable[..., str]:
    """Run `redistil ARGUMENTS`, which is to end in one sentence; return it."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["redistil", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            redistil.cli.main()
        said = capsys.readouterr().err.strip()
        assert stop.value.code == 2, said
        told = said.splitlines()[-1]  # the summary of what was measured before may stand above
        assert told.startswith("redistil: ") and "Traceback" not in said, said
        return told

    return run


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Queries, passages, qrels and a run of two passages."""
    columns = {"query_id": ["q"], "doc_id": ["a"], "relevance": [1]}
    for table, rows in (
        (QRELS, QRELS.rows(columns)),
        (RUN, ranked(["q", "q"], ["a", "b"], [2.0, 1.0])),
        (QUERIES, QUERIES.rows({"query_id": ["q"], "text": ["alpha"]})),
        (PASSAGES, PASSAGES.rows({"doc_id": ["a", "b"], "text": ["alpha beta", "gamma"]})),
    ):
        table.write(rows, tmp_path / f"{table.name}.parquet", tiny.MADE)
    return tmp_path


# --- paths --------------------------------------------------------------------------------------


def lines_over(house: Path) -> dict[str, list[object]]:
    """Return lines whose output is one of their inputs, by what is wrong with the output."""
    run, qrels = house / "run.parquet", house / "qrels.parquet"
    (house / "link").symlink_to(run)
    how = ["--measure", "AP", "--relevant-from", 1]
    return {
        "argument": ["shuffle", run, run, "--depth", 5, "--seed", 1],
        "another spelling": ["export-run", run, house / "." / run.name, "--tag", "x"],
        "link": ["export-run", run, house / "link", "--tag", "x"],
        "option": ["evaluate", run, qrels, "--out", qrels, *how],
        "of several": ["evaluate", "--on", "d", run, qrels, "--out", run, *how],
    }


@pytest.mark.parametrize("wrong", ["argument", "another spelling", "link", "option", "of several"])
def test_no_command_overwrites_its_input(refused, house, wrong):
    before = {file: file.read_bytes() for file in house.iterdir()}
    said = refused(*lines_over(house)[wrong])
    assert "is read and would be written: give another output" in said
    after = {file: file.read_bytes() for file in house.iterdir() if file.name != "link"}
    assert after.items() <= before.items()


@pytest.mark.parametrize("out", ["", ".", "/"])
@pytest.mark.parametrize("command", ["evaluate", "shuffle"])
def test_an_output_has_a_name(refused, house, command, out):
    run, qrels = house / "run.parquet", house / "qrels.parquet"
    line = ["evaluate", run, qrels, "--measure", "AP", "--relevant-from", 1, "--out", out]
    if command == "shuffle":
        line = ["shuffle", run, out, "--depth", 5, "--seed", 1]
    assert "wanted the path of an output, got " in refused(*line)


def test_a_path_that_is_no_file_says_what_it_is(refused, house):
    os.mkfifo(house / "pipe")
    how = ["--measure", "AP", "--relevant-from", 1]
    for given, said in {"": "is a folder: give a file", "pipe": "is a pipe or a device"}.items():
        line = ["evaluate", house / given, house / "qrels.parquet", *how]
        assert f"{house / given} {said}" in refused(*line)
    line = ["import-run", house / "pipe", house / "qrels.parquet", house / "out.parquet"]
    assert "is a pipe or a device" in refused(
        *line, "--drop-identical", "false", "--least-success", 0
    )


def test_a_folder_without_a_record_has_no_trace(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ". is a folder without a record: give " in refused("trace", ".")


# --- what the system refuses ------------------------------------------------------------------


def test_a_folder_as_output_is_named(refused, house):
    out = house / "folder"
    out.mkdir()
    how = ["--depth", 5, "--seed", 1]
    for line in (["export-qrels", house / "qrels.parquet"], ["shuffle", house / "run.parquet"]):
        said = refused(*line, out, *(how if line[0] == "shuffle" else ()))
        assert f"{out}: Is a directory" in said and "check the path" in said
    assert out.is_dir() and not list(house.glob(".*"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission\ndenied", "/a/b"), "/a/b: Permission denied"),
        (OSError(errno.ENOSPC, "No space left", "/a/b"), "/a/b could not be written, its disk"),
        (OSError(errno.ENOSPC, "No space left"), "the log could not be written, its disk is full"),
        (OSError("no checkpoint of ours"), None),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), None),
    ],
)
def test_only_path_errors_are_user_mistakes(refused, monkeypatch, error: OSError, said: str | None):
    @click.command()
    def breaks() -> None:
        raise error

    monkeypatch.setattr(redistil.cli, "cli", breaks)
    if said:
        assert said in refused()
    else:
        with pytest.raises(type(error)):
            refused()


# --- settings of another shape ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("--corpus", "5", "an object"),
        ("--corpus", "null", "an object"),
        ("--corpus", "{", "JSON, an object"),
        ("--dataset", '"x"', "an object"),
    ],
)
def test_a_collection_must_be_an_object(refused, house, tmp_path, option, value, wanted):
    out = tmp_path / "made"
    given = {"--corpus": '{"pydocs": ["click"]}', "--dataset": '{"part": "test"}'} | {option: value}
    line = ["export-queries", out / "q.parquet", out / "r.parquet"]
    said = refused(*line, *(word for pair in given.items() for word in pair))
    assert f"{option}: wanted {wanted}, got " in said and value in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--measure", '["nDCG@10"]'),
        ("--measure", "d="),
        ("--relevant-from", "0"),
        ("--relevant-from", '{"d": 2}'),
        ("--relevant-from", "d=many"),
    ],
)
def test_misspelt_measures_are_refused(refused, house, option, value):
    out = house / "out.parquet"
    given = {"--measure": "nDCG@10", "--relevant-from": "1"} | {option: value}
    files = [house / "run.parquet", house / "qrels.parquet"]
    words = [word for pair in given.items() for word in pair]
    message = refused("evaluate", "--on", "d", *files, *words, "--out", out)
    assert "wanted " in message and "got " in message or "no measure" in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--measure", "ndcg@10"], "did you mean 'nDCG@10'"),
        (["--measure", "e=AP", "--measure", "AP"], "no --on names 'e'"),
        (["--relevant-from", "f=2"], "no --on names 'f'"),
        (["--relevant-from", "2"], "--relevant-from 2: it has a grade already"),
        (["--measure", "AP", "--measure", "AP"], "listed twice"),
    ],
)
def test_unknown_names_are_told(refused, house, more, told):
    files = [house / "run.parquet", house / "qrels.parquet"]
    line = ["evaluate", "--on", "d", *files, "--measure", "RR@10", "--relevant-from", 1]
    assert told in refused(*line, *more)


def test_a_dataset_needs_its_grade(refused, house):
    files = [house / "run.parquet", house / "qrels.parquet"]
    line = ["evaluate", "--on", "d", *files, "--on", "e", *files, "--measure", "AP"]
    assert "--relevant-from: none for e: give " in refused(*line, "--relevant-from", "d=2")


@pytest.mark.parametrize("given", ["none", "run", "both"])
def test_what_to_measure_is_told_once(refused, house, given):
    run, qrels = house / "run.parquet", house / "qrels.parquet"
    files = {"none": [], "run": [run], "both": [run, qrels, "--on", "d", run, qrels]}[given]
    message = refused("evaluate", *files, "--measure", "AP", "--relevant-from", 1)
    assert "wanted RUN QRELS, or --on DATASET RUN QRELS" in message


def test_a_source_must_be_an_object(refused, tmp_path):
    assert "--source: wanted an object, got 5" in refused("fetch", tmp_path / "x", "--source", "5")


def test_a_warm_up_needs_settings(refused, house):
    tables = [house / f"{name}.parquet" for name in ("passages", "queries", "qrels")]
    shape = ["--vocabulary", 300, "--layers", 1, "--width", 8, "--heads", 1]
    how = ["--family", "bert", *shape, "--relevant-from", 1, "--warmup", "{}"]
    line = ["build", *tables, house / "out", *how]
    said = refused(*line)
    assert "--warmup: wanted `" in said and "got nothing" in said
    assert not (house / "out" / "made.json").exists()


@pytest.mark.parametrize("depths", [[5000], [5000, 3]])
def test_depths_beyond_every_run_are_refused(refused, house, depths):
    out = house / "out.parquet"
    run, qrels = house / "run.parquet", house / "qrels.parquet"
    line = ["sweep", out, "--on", "d", run, qrels, "--runs", "x", "d", run]
    line += ["--measure", "nDCG@10", "--relevant-from", "d=1"]
    for depth in depths:
        line += ["--depth", depth]
    assert "every run has fewer candidates" in refused(*line)
    assert not out.exists()


def test_an_unknown_stemmer_is_refused(refused, house, capsys):
    tables = [house / f"{name}.parquet" for name in ("passages", "queries", "qrels")]
    how = ["--k1", 1, "--b", 0.4, "--depth", 5, "--drop-identical", "false", "--least-success", 0]
    line = ["redistil", "retrieve-bm25", *tables, house / "out.parquet", *how]
    with pytest.raises(SystemExit) as stop, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*map(str, line), "--stemmer", "klingon"])
        redistil.cli.main()
    assert stop.value.code == 2 and "'klingon' is not one of 'english'" in capsys.readouterr().err


# --- recipes, studies and their tables ----------------------------------------------------------


@pytest.fixture
def trained(house) -> Path:
    from redistil.storage.tables import LISTS

    tiny.checkpoint(house / "bert")
    for side in "qd":
        tiny.tokens(house / f"{side}.arrow", house / "bert", tiny.texts(4, side))
    columns = ["q0"], [["d0", "d1", "d2", "d3"]], [[1, 0, 0, 0]]
    rows = LISTS.rows(dict(zip(LISTS.schema.names, columns, strict=True)))
    LISTS.write(rows, house / "lists.parquet", tiny.Made("mine", "mined"))
    return house


@pytest.mark.parametrize("key", sorted(tiny.recipe().keys() - {"student", "loss", "backbone"}))
def test_an_incomplete_recipe_is_refused(refused, trained, monkeypatch, key):
    from redistil.stages import models

    monkeypatch.setattr(models, "optimise", lambda *_, **__: pytest.fail("work has begun"))
    recipe = trained / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({k: v for k, v in tiny.recipe().items() if k != key}))
    files = [trained / name for name in ("q.arrow", "d.arrow", "lists.parquet", "out")]
    backbone = trained / "bert" / "model.safetensors"
    message = refused("train", recipe, backbone, *files)
    if key == "architecture":
        known = ", ".join(ARCHITECTURES)
        assert f"{recipe}, architecture: wanted one of {known}, got None" in message
    else:
        assert f"{recipe}: a key is missing: it needs `{key}`" in message


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [1\n", "is not a readable study"), ("a: 1\n", "a: unknown key"), ("", "not")],
)
def test_an_unreadable_study_is_refused(refused, tmp_path, text, told):
    study, out = tmp_path / "study.yaml", tmp_path / "pairs.parquet"
    study.write_text(text)
    rows = {"query_id": ["q"], "dataset": ["d"], "measure": ["nDCG@10"], "value": [1.0]}
    MEASURES.write(MEASURES.rows(rows), tmp_path / "m.parquet", tiny.MADE)
    how = ["--measures", tmp_path / "m.parquet", "--resamples", 100, "--seed", 1]
    said = refused("compare", study, out, *how)
    assert str(study) in said and told in said
    assert not out.exists()


@pytest.mark.parametrize("command", ["compare", "contrast"])
def test_a_system_without_measures_is_named(refused, tmp_path, command):
    study, out = report_study.config(), tmp_path / "out.parquet"
    options = report_study.write(tmp_path, study)
    line: list[object] = [command, options["study"][0]]
    if command == "compare":
        line += [out, "--resamples", 100, "--seed", 1]
    else:
        found = report_study.write_texts(tmp_path, study)["away"]
        line += [*found["files"], out, *report_study.named(found, "runs")]
        line += ["--dataset", "away", "--queries", 2, "--depth", 2, "--characters", 40]
    assert "no measures file of " in refused(*line, "--measures", options["measures"][0])
    assert not out.exists()


def test_tables_of_another_version_are_refused(refused, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(dict(report_study.config())))
    tables = tmp_path / "tables"
    tables.mkdir()
    with sealing(tables, ["tables.json"], tiny.Made("tabulate", "small")):
        (tables / "tables.json").write_text(json.dumps({}))
    said = refused("plot", study, tables, tmp_path / "figures")
    assert "make it again (`snakemake -R tabulate`)" in said
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("header", ['"q1"x\td1\t1', 'query-id\tcorpus-id\t"score', "q1\td1\t1"])
def test_qrels_without_header_are_refused(refused, house, tmp_path, header):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "a"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "a"}\n')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(f"{header}\n")
    corpus = json.dumps({"folder": str(tmp_path)})
    line = ["export-queries", tmp_path / "q", tmp_path / "r"]
    said = refused(*line, "--corpus", corpus, "--dataset", '{"split": "test"}')
    assert "wanted the header" in said


def test_unknown_settings_are_named():
    given = dict(report_study.config()) | {"zz": 3}
    with pytest.raises(BadSettings, match="zz: unknown key"):
        resolve(given)

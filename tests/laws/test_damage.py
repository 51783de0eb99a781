"""A flipped bit, wherever it is, keeps a file from being used, and is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.cli.options import Settings, write_settings
from redistil.errors import Stale, UserError
from redistil.learning import students
from redistil.learning.students.checkpoints import load_tokenizer
from redistil.machine import latency
from redistil.machine.latency import Latency
from redistil.seeds import generator
from redistil.stages.backbones import gate
from redistil.stages.report.numbers import gates
from redistil.stages.teachers import gate as of_teacher
from redistil.storage import digests, lineage, states, verified
from redistil.storage.ragged import Ragged
from redistil.storage.tables import TABLES
from tests.made import tiny
from tests.made.table_rows import rows_of

PLACES = 40  # bits of each file that are flipped, one at a time

Reader = Callable[[Path], object]


def flipped(path: Path, name: str):
    """Flip bits of a file one at a time, at places drawn by `name`; it is whole at the end."""
    whole = path.read_bytes()
    rng = generator(16, "damage", name)
    for place in rng.integers(len(whole), size=PLACES).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        yield place
    path.write_bytes(whole)


def refused(read: Reader, path: Path, place: int) -> None:
    """`read` ends in one sentence that names the file and how it is made again."""
    with pytest.raises(UserError) as error:
        read(path)
    said = str(error.value)
    assert "\n" not in said and str(path.parent) in said, (place, said)
    if not isinstance(error.value, Stale):
        assert path.name in said and "snakemake -R" in said, (place, said)


def every_bit_counts(read: Reader, path: Path) -> None:
    read(path)
    for place in flipped(path, path.name):
        refused(read, path, place)
        assert digests.remade(path) in verified.verify(verified.files([path.parent])).remade(), (
            place
        )
    read(path)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_whole_or_refused(name, tmp_path):
    table, path = TABLES[name], tmp_path / f"{name}.parquet"
    table.write(rows_of(table), path, tiny.MADE)
    every_bit_counts(table.read, path)
    every_bit_counts(lineage.of, path)


@pytest.fixture
def backbone(tmp_path):
    return tiny.checkpoint(tmp_path / "bert")


def test_token_files_are_whole_or_refused(backbone, tmp_path):
    path = tiny.tokens(tmp_path / "d.arrow", backbone, tiny.texts(9, "d"))
    every_bit_counts(Ragged, path)
    every_bit_counts(lineage.of, path)


def test_checkpoints_are_whole_or_refused(backbone):
    for file in sorted(backbone.iterdir()):
        every_bit_counts(lambda path: lineage.of(path.parent), file)
        every_bit_counts(lambda path: load_tokenizer(path.parent), file)


def test_models_are_whole_or_refused(backbone, tmp_path):
    model = tiny.model(tmp_path / "model", backbone)
    students.load(model)
    for file in sorted(model.iterdir()):
        for place in flipped(file, file.name):
            refused(lambda path: students.load(path.parent), file, place)


def test_costs_are_whole_or_refused(tmp_path):
    path = tmp_path / "run.cost.json"
    digests.write_json({"seconds": 12.5, "pairs": 1000}, path)
    every_bit_counts(digests.read_json, path)


def test_latencies_are_whole_or_refused(tmp_path):
    path = tmp_path / "tiny-bert.json"
    found = Latency("a", "a/hinge/1", 9, 10, 2.0, 3.5, 4_000, 64.0, 32.0, 12.0, "an abacus", 2)
    latency.write(found, {"torch": "2"}, path)
    every_bit_counts(latency.read, path)


def test_gates_of_backbones_are_whole_or_refused(tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    gate.Verdict(9, 4, encoder=0.8, random=0.2, bm25=0.5, least=0.5).write(folder)
    tiny.record(folder, "build", "bert")
    for file in sorted(folder.iterdir()):
        every_bit_counts(lambda path: lineage.checked_folder(path.parent), file)


def test_gates_of_teachers_are_whole_or_refused(tmp_path):
    folder = tmp_path / "mean"
    folder.mkdir()
    verdict = of_teacher.Verdict("mean", "RR@10", ["dev"], 0.4, {"one": 0.3}, {"bm25": 0.2})
    verdict.write(folder, tiny.MADE)
    for file in sorted(folder.iterdir()):
        every_bit_counts(lambda path: gates.read([path.parent / of_teacher.RECORD]), file)


def test_stored_states_are_whole_or_refused(tmp_path):
    path = tmp_path / "0.arrow"
    rows = generator(16, "states").random((60, 3))
    with states.writer(path, tiny.MADE, "float32", 3) as append:
        append(pa.array(map(str, range(20))), rows, np.full(20, 3))
    every_bit_counts(states.Stored, path)
    every_bit_counts(lineage.of, path)


def test_recipes_are_whole_or_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    write_settings(tiny.recipe(), path)
    every_bit_counts(lambda file: Settings().convert(file, None, None), path)


def test_downloads_are_whole_or_refused(tmp_path):
    path = tmp_path / "scores.tsv"
    path.write_bytes(b"q1\td1\t0.5\n" * 20)
    digests.write_json({"xxh3": digests.of(path)}, lineage.downloaded(path))
    every_bit_counts(lineage.of, path)
    every_bit_counts(lambda record: lineage.of(path), lineage.downloaded(path))


def test_a_missing_file_is_named(backbone):
    (backbone / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json is missing: .*made\.json"):
        lineage.of(backbone)
    seen = verified.verify(verified.files([backbone]))
    assert list(seen.damaged) == [backbone / "tokenizer.json"]
    assert seen.remade() == [backbone / "made.json"]


def test_files_from_elsewhere_carry_none(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("title: mine\n")
    assert verified.verify([path]).bare == [path]
    assert lineage.of(path).command == "file"


def test_verify_names_what_to_remake(backbone, monkeypatch):
    monkeypatch.chdir(backbone.parent)
    whole = CliRunner().invoke(cli, ["verify", "bert"])
    assert whole.exit_code == 0 and "files are whole" in whole.output
    place = next(flipped(backbone / "model.safetensors", "verify"))
    found = CliRunner().invoke(cli, ["verify", "bert"])
    assert "bert/model.safetensors is damaged" in found.output, place
    assert "`snakemake -R bert/made.json`" in str(found.exception)

"""First stages by their commands: what they find, what they refuse."""

import re

import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.errors import UserError
from redistil.storage.ragged import Ragged
from redistil.storage.tables import QUERIES, RUN
from redistil.storage.tables import texts as texts_of
from tests.made import tiny
from tests.made.first_stages import bm25_run, judge

KEEP = ("--drop-identical", "false", "--least-success", "0")


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception


def test_the_commands_find_the_text_itself(tmp_path):
    folder = tiny.checkpoint(tmp_path / "splade", "splade")
    texts = {f"d{i}": word for i, word in enumerate(tiny.WORDS)}
    tiny.tokens(tmp_path / "p.arrow", folder, texts)
    tiny.tokens(tmp_path / "q.arrow", folder, {"q": "tensor"})
    made = str(folder / "made.json")
    words = ["encode", made, f"{tmp_path}/p.arrow", f"{tmp_path}/v.parquet"]
    for shard in (0, 1):
        words[-1] = f"{tmp_path}/v{shard}.parquet"
        run(*words, *f"--passage-length 9 --shard {shard} --shards 2".split())
    with pytest.raises(UserError, match="wanted one of 0 to 1"):
        run(*words, *"--passage-length 9 --shard 2 --shards 2".split())
    words = ["retrieve", made, f"{tmp_path}/q.arrow", judge(tmp_path, [("q", "d")])]
    words += [f"{tmp_path}/r.parquet", f"{tmp_path}/v0.parquet", f"{tmp_path}/v1.parquet"]
    run(*words, *"--query-length 9 --depth 2".split(), *KEEP)
    first = RUN.read(tmp_path / "r.parquet").to_pylist()[0]
    assert texts[first["doc_id"]] == "tensor"
    assert len(Ragged(tmp_path / "q.arrow")) == 1


def test_the_command_retrieves(tmp_path):
    out = bm25_run(tmp_path, tiny.texts(9, "d"), tiny.texts(3, "q", 2))
    words = [
        "retrieve-bm25",
        *(f"{tmp_path}/{n}.parquet" for n in ("passages", "queries", "qrels", "out")),
    ]
    run(*words, *"--k1 0.9 --b 0.4 --stemmer english --depth 10".split(), *KEEP)
    assert RUN.read(tmp_path / "out.parquet") == RUN.read(out)
    assert texts_of(tmp_path / "queries.parquet", QUERIES) == tiny.texts(3, "q", 2)


def test_commands_refuse_wrong_tables(tmp_path):
    bm25_run(tmp_path, {"a": "graph"}, {"q": "graph"})
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "passages.parquet").read_bytes()[:-20])
    options = [*"--k1 1 --b 0 --stemmer english --depth 1".split(), *KEEP]
    for wrong in ("queries", "cut", "missing"):
        words = ["retrieve-bm25", f"{tmp_path}/{wrong}.parquet", f"{tmp_path}/queries.parquet"]
        words += [f"{tmp_path}/qrels.parquet"]
        with pytest.raises(UserError, match=re.escape(f"{wrong}.parquet")):
            run(*words, tmp_path / "out.parquet", *options)
    assert not (tmp_path / "out.parquet").exists()

"""Token files: the ids of every text, as the checkpoint's own tokenizer gives them."""

import json

import pytest
from click.testing import CliRunner
from transformers import AutoTokenizer

from redistil.cli import cli
from redistil.errors import BadSource, BadTable
from redistil.stages import tokens
from redistil.storage import lineage
from redistil.storage.ragged import Ragged
from redistil.storage.tables import PASSAGES, QRELS, QUERIES
from tests.made import tiny

TEXTS = tiny.texts(9, "d", 7) | {"empty": "", "odd": "Émile's [SEP] tensor\n☃"}


def write(path, table, texts):
    columns = dict(zip(table.schema.names, (list(texts), list(texts.values())), strict=True))
    table.write(table.rows(columns), path, lineage.Made("export", path.stem))
    return path


def rows_of(path):
    file = Ragged(path)
    return {name: file[i].tolist() for i, name in enumerate(file.ids().to_pylist())}


@pytest.fixture(scope="module", params=["bert", "modernbert"])
def checkpoint(request, tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("house") / request.param, request.param)


@pytest.mark.parametrize("longest", [512, 4])
@pytest.mark.parametrize("at_once", [4096, 2])
def test_ids_are_cut_without_special_tokens(checkpoint, tmp_path, monkeypatch, longest, at_once):
    monkeypatch.setattr(tokens, "TEXTS", at_once)
    texts, out = write(tmp_path / "p.parquet", PASSAGES, TEXTS), tmp_path / "p.arrow"
    tokens.tokenize(checkpoint, PASSAGES, texts, out, tiny.MADE, longest)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    wanted = {
        name: tokenizer(text, add_special_tokens=False)["input_ids"][:longest]
        for name, text in TEXTS.items()
    }
    assert rows_of(out) == wanted
    assert list(rows_of(out)) == list(TEXTS), "in the order of the passages"
    assert wanted["empty"] == []


def test_limits_in_tokenizer_files_are_lifted(checkpoint, tmp_path):
    folder = tmp_path / "limited"
    folder.mkdir()
    file = json.loads((checkpoint / "tokenizer.json").read_text())
    how = {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    file["truncation"] = how
    file["padding"] = {"strategy": {"Fixed": 99}, "direction": "Right", "pad_to_multiple_of": None}
    file["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    (folder / "tokenizer.json").write_text(json.dumps(file))
    texts = write(tmp_path / "q.parquet", QUERIES, TEXTS)
    found = []
    for place in (folder, checkpoint):
        tokens.tokenize(place, QUERIES, texts, tmp_path / "q.arrow", tiny.MADE, 50)
        found.append(rows_of(tmp_path / "q.arrow"))
    assert found[0] == found[1]


def test_the_command_takes_queries_and_passages(checkpoint, tmp_path):
    for table in (QUERIES, PASSAGES):
        texts = write(tmp_path / f"{table.name}.parquet", table, TEXTS)
        words = ["tokenize", checkpoint / "made.json", texts, tmp_path / "out.arrow"]
        run(*words, "--longest", "5", "--name", "here")
        assert rows_of(tmp_path / "out.arrow").keys() == TEXTS.keys()
        made = lineage.of(tmp_path / "out.arrow")
        assert made.settings == {"longest": 5} and f"export {table.name}" in made.inputs


def test_bad_tokenizers_and_texts_are_refused(checkpoint, tmp_path):
    texts = write(tmp_path / "q.parquet", QUERIES, TEXTS)
    qrels = tmp_path / "qrels.parquet"
    QRELS.write(QRELS.schema.empty_table(), qrels, tiny.MADE)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/tokenizer.json").write_text("{}")
    out = tmp_path / "out.arrow"
    for place, table, said in (
        (tmp_path, texts, "tokenizer.json does not exist"),
        (tmp_path / "bad", texts, "is not a tokenizer"),
        (checkpoint, qrels, "is not a table"),
    ):
        with pytest.raises((BadSource, BadTable), match=said):
            run("tokenize", place, table, out, "--longest", "5")
        assert not out.exists()


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception

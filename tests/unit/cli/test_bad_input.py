"""Mistakes of users about models: one sentence, exit status 2, and no work begun."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml

import redistil.cli
from redistil.storage.tables import LISTS, PASSAGES, RUN
from tests.made import stores, tiny
from tests.made.students import SETTINGS


@pytest.fixture(scope="module", autouse=True)
def quiet():
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


@pytest.fixture
def refused(monkeypatch, capsys) -> Callable[..., str]:
    """Run `redistil ARGUMENTS`, which is to end in one sentence; return it."""

    def run(*arguments: object) -> str:
        capsys.readouterr()  # of what the test itself has built
        monkeypatch.setattr(sys, "argv", ["redistil", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            redistil.cli.main()
        said = capsys.readouterr().err.strip()
        assert stop.value.code == 2, said
        assert len(said.splitlines()) == 1 and said.startswith("redistil: "), said
        return said

    return run


@pytest.fixture
def house(tmp_path) -> Path:
    """A checkpoint, token files of four queries and passages, and a list for each query."""
    tiny.checkpoint(tmp_path / "bert")
    for side in "qd":
        tiny.tokens(tmp_path / f"{side}.arrow", tmp_path / "bert", tiny.texts(4, side))
    write_lists(tmp_path, [f"d{i}" for i in range(4)])
    return tmp_path


def write_lists(house: Path, docs: list[str], queries: int = 4) -> None:
    columns = [f"q{i}" for i in range(queries)], [docs] * queries, [[1, 0, 0, 0]] * queries
    rows = LISTS.rows(dict(zip(LISTS.schema.names, columns, strict=True)))
    LISTS.write(rows, house / "lists.parquet", tiny.Made("mine", "mined"))


def train(house: Path, **changed: Any) -> list[object]:
    recipe = house / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(tiny.recipe(**changed)))
    backbone = house / "bert" / "model.safetensors"
    files = [house / name for name in ("q.arrow", "d.arrow", "lists.parquet", "out")]
    return ["train", recipe, backbone, *files, "--device", "cpu"]


def nothing_made(house: Path) -> None:
    assert not list((house / "out").glob("*")), "nothing is left behind"


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    """Neither a step nor a score may be asked for."""
    for name in ("gradients.learn", "scoring.score_pairs"):
        fail = lambda *_, **__: pytest.fail("work has begun")  # noqa: E731
        monkeypatch.setattr(f"redistil.learning.{name}", fail)


# --- checkpoints ------------------------------------------------------------------------------


def fetch(folder: Path, out: Path, **more: Any) -> list[object]:
    return ["fetch", out, "--source", json.dumps({"folder": str(folder)} | more)]


def without_tokenizer(folder: Path) -> str:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    return "it has no tokenizer"


def of_a_larger_model(folder: Path) -> str:
    """The tokenizer of a model with more tokens."""
    config = json.loads((folder / "config.json").read_text())
    tokens = config["vocab_size"]
    small = transformers.BertConfig(**config | {"vocab_size": tokens - 20})
    transformers.BertModel(small).save_pretrained(folder)
    return f"its tokenizer has {tokens} tokens and its embedding {tokens - 20} rows"


def without_padding(folder: Path) -> str:
    said = json.loads((folder / "tokenizer_config.json").read_text())
    del said["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return "no padding token"


@pytest.mark.parametrize("harm", [without_tokenizer, of_a_larger_model])
def test_an_unfit_tokenizer_is_not_fetched(refused, house, harm):
    said = harm(house / "bert")
    message = refused(*fetch(house / "bert", house / "fetched" / "bert"))
    assert said in message and str(house / "bert") in message
    assert not list((house / "fetched").glob("*")), "nothing is left behind"


@pytest.mark.parametrize("harm", [without_tokenizer, of_a_larger_model, without_padding])
def test_an_unfit_tokenizer_is_not_trained(refused, house, harm):
    said = harm(house / "bert")
    tiny.record(house / "bert", "build", "bert")
    assert said in refused(*train(house))
    nothing_made(house)


def test_a_failed_fetch_changes_nothing(refused, house):
    out = shutil.copytree(house / "bert", house / "fetched")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    without_tokenizer(house / "bert")
    refused(*fetch(house / "bert", out))
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_an_unreachable_hub_names_the_remedy(refused, house, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(house / "cache"))
    source = json.dumps({"hub": "nobody/nothing", "revision": "main"})
    message = refused("fetch", house / "fetched" / "mine", "--source", source)
    assert "nobody/nothing at main cannot be reached" in message
    assert "`{folder: path}` in place of `hub` under backbones.mine in params.yaml" in message
    assert not (house / "fetched").exists()


@pytest.mark.parametrize("hub", ["not an id", "a/b/c", ""])
def test_an_invalid_hub_id_is_refused(refused, house, hub):
    source = json.dumps({"hub": hub, "revision": "main"})
    assert f"{hub} at main cannot be reached" in refused("fetch", house / "x", "--source", source)


@pytest.mark.parametrize("source", [{}, {"hub": "a/b"}, {"hubb": "a/b", "revision": "main"}])
def test_an_incomplete_source_is_refused(refused, house, source):
    message = refused("fetch", house / "x", "--source", json.dumps(source))
    assert 'wanted {"hub": id, "revision": ...} or {"folder": path}, got {' in message


# --- students of several architectures ------------------------------------------------------------

LENGTHS = ["--query-length", 8, "--passage-length", 12]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "alpha 1 2 3\nbeta 1 2\n",
            "line 2: wanted a word and 3 numbers (the width of the backbone)",
        ),
        ("alpha 1 2 3\nalpha 3 2 1\n", "line 2: 'alpha' has a vector in line 1 already: keep one"),
    ],
)
def test_unfit_word_vectors_are_refused(refused, house, text, said):
    (house / "vectors.txt").write_text(text)
    rows = {"doc_id": ["d0"], "text": ["alpha beta"]}
    PASSAGES.write(PASSAGES.rows(rows), house / "passages.parquet", tiny.MADE)
    how = ["--width", 3, "--least", 1, "--vectors", house / "vectors.txt", "--seed", 1]
    line = ["collect-words", house / "out" / "words", house / "passages.parquet", *how]
    assert f"{house / 'vectors.txt'}, {said}" in refused(*line)
    nothing_made(house)


def test_a_split_outside_the_backbone_is_refused(refused, house):
    recipe = tiny.recipe(architecture="prettr", split=1, offset="fixed")
    del recipe["pair_length"], recipe["pair_form"]
    line = train(house)
    line[1].write_text(yaml.safe_dump(recipe))
    assert "split: the backbone has 1 layers, so that at most 0 may read" in refused(*line)
    nothing_made(house)


@pytest.mark.parametrize("architecture", ["dot", "colbert", "prettr"])
def test_a_checkpoint_of_another_architecture_is_refused(refused, house, architecture):
    tiny.model(house / "model", house / "bert")
    own = []
    for key, value in SETTINGS[architecture].items():
        own += [f"--{key.replace('_', '-')}", value]
    line = ["adopt", house / "model", house / "out" / "model", "--architecture", architecture]
    message = refused(*line, *LENGTHS, *own)
    assert f"{house / 'model'} is a checkpoint of another architecture: wanted " in message
    nothing_made(house)


@pytest.mark.parametrize("other", [{"dimensions": 4}, {"passage_length": 11}], ids=str)
def test_states_of_another_model_are_refused(refused, house, other):
    """Of another projection, or of passages that were cut elsewhere."""
    for side in "qd":
        stores.write_tokens(house / f"bert-{side}.arrow", house / "bert", tiny.texts(4, side))
    for name, changed in (("colbert", {}), ("other", other)):
        stores.write_model(house / name, house / "bert", "colbert", **changed)
    (states,) = stores.embedded(house, house, model="other")
    rows = RUN.rows({"query_id": ["q0"], "doc_id": ["d0"], "rank": [1], "score": [0.0]})
    RUN.write(rows, house / "run.parquet", tiny.MADE)
    files = [house / name for name in ("colbert", "bert-q.arrow", "bert-d.arrow")]
    line = ["rerank", house / "run.parquet", *files, house / "out" / "run.parquet"]
    how = ["--depth", 5, "--precision", "float32", "--device", "cpu", "--states", states]
    message = refused(*line, *how)
    assert f"{states} holds states of another model: wanted those of train colbert" in message
    nothing_made(house)


# --- token files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("docs", "queries", "file", "missing"),
    [
        (["d0", "d1", "d2", "d77"], 4, "d.arrow", "'d77'"),
        (["d0", "d1", "d2", "d3"], 90, "q.arrow", "'q"),  # the first of those that it looks up
    ],
)
def test_training_refuses_ids_without_tokens(refused, house, docs, queries, file, missing):
    write_lists(house, docs, queries)
    message = refused(*train(house))
    assert f"ids are not in {house / file} (first: {missing}" in message
    nothing_made(house)


def test_reranking_refuses_ids_without_tokens(refused, house):
    tiny.model(house / "model", house / "bert")
    rows = RUN.rows({"query_id": ["q0"], "doc_id": ["elsewhere"], "rank": [1], "score": [0.0]})
    RUN.write(rows, house / "run.parquet", tiny.MADE)
    member = [house / "model/model.safetensors", house / "q.arrow", house / "d.arrow"]
    line = ["rerank", house / "run.parquet", *member, house / "out" / "run.parquet"]
    how = ["--depth", 5, "--precision", "float32", "--device", "cpu"]
    message = refused(*line, *how)
    assert f"1 of 1 ids are not in {house / 'd.arrow'} (first: 'elsewhere')" in message
    assert not (house / "out" / "run.parquet").exists()


# --- what is asked of the machine and the model -------------------------------------------------


def test_an_unknown_precision_is_refused(refused, house):
    message = refused(*train(house, precision="float16"))
    assert f"{house / 'recipe.yaml'}, precision: wanted one of " in message
    assert "got 'float16': did you mean 'bfloat16'?" in message
    nothing_made(house)


def test_a_precision_beyond_the_gpu_fails(refused, house, monkeypatch):
    """As on a V100. The device is pretended; so is what it can."""
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(
        "redistil.machine.processes.device_of", lambda name: torch.device("cuda", 0)
    )
    message = refused(*train(house, precision="bfloat16"))
    assert "capability 7.0) has no bfloat16" in message
    nothing_made(house)


def test_a_missing_device_is_refused(refused, house):
    assert "this machine has no 'cuda:99'" in refused(*train(house)[:-1], "cuda:99")
    nothing_made(house)


def test_pairs_beyond_position_embeddings_are_refused(refused, house):
    message = refused(*train(house, pair_length=513))
    assert "pair_length: the backbone reads 512 tokens at most, got 513" in message
    nothing_made(house)

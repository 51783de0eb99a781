"""Texts of a built backbone: no test query, no passage judged too low, no copy as a negative."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from redistil.cli import cli
from redistil.errors import BadTable
from redistil.stages import backbones
from redistil.stages.backbones.build import prepare
from redistil.stages.backbones.pairs import Pairs, Relevant
from redistil.storage.tables import PASSAGES, QUERIES
from tests.made import tiny
from tests.made.warm_up import FAMILIES, SETTINGS, WARMUP, sources, write

ASKED = tiny.texts(8, "q", 4) | {"q0": "zoology of yaks", "q5": "xylem and wax"}
GRADES = [1, 2, 1, 3, 2, 2, 1, 1]


def collection(folder, without=(), least=1):
    """Write passages, queries and qrels; queries and judgements may be missing altogether."""
    asked = {name: text for name, text in ASKED.items() if name not in without}
    judged = [(q, f"d{i}", g) for i, (q, g) in enumerate(zip(ASKED, GRADES, strict=True))]
    judged = [row for row in judged if row[0] in asked and row[2] >= least]
    return sources(folder, asked, judged)


def build(paths, out, family, *more, relevant_from=1):
    words = ["build", *map(str, paths), str(out), "--family", family, "--vocabulary", "300"]
    words += [*"--layers 1 --width 16 --heads 2 --warmup".split(), json.dumps(WARMUP)]
    words += ["--relevant-from", str(relevant_from), *map(str, more)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    names = ("model.safetensors", "tokenizer.json")
    return [(out / name).read_bytes() for name in names]


@pytest.mark.parametrize("family", FAMILIES)
def test_test_queries_change_no_backbone(tmp_path, family, caplog):
    every = collection(tmp_path / "every")
    elsewhere = {"t": "Zoology of YAKS?"}
    same = {"q5": "spelt otherwise"}
    test = write(tmp_path / "elsewhere.parquet", QUERIES, elsewhere, elsewhere.values())
    again = write(tmp_path / "same.parquet", QUERIES, same, same.values())
    apart = ["--test-elsewhere", test, "--test", again]
    found = build(every, tmp_path / "apart", family, *apart)
    assert f"1 of 8 queries left out: same text, in {test}" in caplog.messages
    assert f"1 of 8 queries left out: same id, in {again}" in caplog.messages
    fewer = collection(tmp_path / "fewer", without={"q0", "q5"})
    assert found == build(fewer, tmp_path / "without", family)
    weights, tokenizer = build(every, tmp_path / "with", family)
    assert found[0] != weights and found[1] != tokenizer


@pytest.mark.parametrize("family", FAMILIES)
def test_low_grades_are_no_positives(tmp_path, family):
    every, graded = collection(tmp_path / "every"), collection(tmp_path / "graded", least=2)
    found = build(every, tmp_path / "from-2", family, relevant_from=2)
    assert found == build(graded, tmp_path / "graded-alone", family)
    assert found[0] != build(every, tmp_path / "from-1", family)[0]


@pytest.mark.parametrize("how", [{"leave_out": {*ASKED}}, {"relevant_from": 4}])
def test_an_empty_training_set_is_refused(tmp_path, how):
    paths = collection(tmp_path / "every")
    with pytest.raises(BadTable, match="no query of .*queries.parquet has a passage of"):
        backbones.build(paths, tmp_path / "out", tiny.MADE, family="bert", **SETTINGS | how)
    assert not (tmp_path / "out").exists()


# --- copies are no negatives --------------------------------------------------------------------


def test_copies_of_relevant_passages_are_no_negatives(caplog):
    caplog.set_level("INFO")
    passages = [np.array(tokens) for tokens in ([1, 2, 3], [1, 2, 4], [5], [1, 2], [], [], [5, 6])]
    pairs = Pairs(passages, ["a", "a", "b"], [np.array([1])] * 3, np.array([0, 2, 4]))
    relevant = Relevant(pairs, length=2)
    every = np.tile(np.arange(len(passages)), (2, 1))
    of_a, of_b = relevant.among(np.array([1, 2]), every)
    assert of_a.nonzero()[0].tolist() == [0, 1, 2, 3], "both relevant ones, and texts cut alike"
    assert of_b.nonzero()[0].tolist() == [4], "an empty passage has no copy"
    assert "2 passages read like a relevant one: no negatives of its query" in caplog.messages


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beginning, learns", [("rank the tensor " * 4, False), ("", True)])
def test_a_step_of_copies_contrasts_nothing(tmp_path, family, beginning, learns):
    passages, queries, qrels = collection(tmp_path)
    texts = {name: beginning + text for name, text in tiny.texts(20, "d", 9).items()}
    write(passages, PASSAGES, texts, texts.values())
    bm25 = WARMUP["bm25"] | {"margins": 0.0, "tokens": 0.0}
    contrast_alone = WARMUP | {"bm25": bm25, "flops": 0.0}
    how = SETTINGS | {"warmup": contrast_alone}
    warming = prepare((passages, queries, qrels), family=family, **how)
    assert (warming.loss(0).item() > 1e-6) == learns

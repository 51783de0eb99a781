"""The gate of a warm-up: its candidates, its verdict, and the files that a build leaves."""

import json
import logging

import numpy as np
import pytest
import torch

from redistil.errors import UserError
from redistil.stages import backbones
from redistil.stages.backbones.gate import Gate, Verdict, held_out
from redistil.stages.backbones.lexicon import Lexicon
from tests.made import tiny
from tests.made.trained import NOTE
from tests.made.warm_up import SETTINGS, WARMUP, sources

CROSS = ["bert", "modernbert"]
PASSAGES = [np.array(row) for row in ([1, 2, 3], [1, 2], [1, 4, 4], [5, 6], [6, 7], [7, 8])]
QUERIES = [np.array([1, 2]), np.array([5, 6]), np.array([6, 7])]
OWN = np.array([2, 3, 4])
LEXICON = Lexicon.of(PASSAGES, 9, 1.2, 0.75)
DEPTH = 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    queries = tiny.texts(8, "q", 4)
    judged = [(query_id, f"d{i}", 1) for i, query_id in enumerate(queries)]
    return sources(tmp_path_factory.mktemp("corpus"), queries, judged)


class Scorer(torch.nn.Module):
    """A student of which only the score matters: a function of a query and a passage."""

    kept = None
    budget = 2048

    def __init__(self, score):
        super().__init__()
        self.score_one = score
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def for_scoring(self, precision):
        return self

    def costs(self, pairs):
        return [1] * len(pairs)

    def scores(self, pairs):
        texts = zip(pairs.query_texts(), pairs.passage_texts(), strict=True)
        return torch.tensor([float(self.score_one(q, p)) for q, p in texts])


def verdict(score, least=0.5):
    gate = Gate(QUERIES, OWN, PASSAGES, LEXICON, DEPTH)
    return gate.verdict(Scorer(score), least)


def own_first(query, passage):
    place = [tuple(each) for each in QUERIES].index(tuple(query))
    return tuple(passage) == tuple(PASSAGES[OWN[place]])


def build(corpus, out, family, **gate):
    how = SETTINGS | {"warmup": WARMUP | {"gate": {"queries": 2, "depth": 4, "least": 0.0} | gate}}
    backbones.build(corpus, out, tiny.MADE, family=family, **how)
    return out


def record(folder):
    return json.loads((folder / "gate.json").read_text())


def test_a_perfect_order_has_all_gain():
    ranked = verdict(own_first)
    assert ranked.encoder == 1
    assert ranked.passed
    assert ranked.queries == len(QUERIES)


def test_equal_scores_are_the_worst_order():
    blind = verdict(lambda query, passage: 3.0, least=0.6)
    worst = verdict(lambda query, passage: -own_first(query, passage))
    assert blind.encoder == worst.encoder < blind.random < 1
    assert not blind.passed


def test_chance_and_bm25_rank_the_same_candidates():
    gate = Gate([np.array([5, 6])], np.array([3]), PASSAGES, LEXICON, len(PASSAGES))
    ranked = gate.verdict(Scorer(lambda query, passage: 0), 0.5)
    gains = 1 / np.log2(np.arange(len(PASSAGES)) + 2)
    assert ranked.random == pytest.approx(gains.mean())
    assert ranked.encoder == pytest.approx(gains[-1])
    assert ranked.bm25 == 1, "only its own passage has both words"


def test_bm25_puts_passages_without_matches_last():
    ranked = Gate([np.array([1])], np.array([5]), PASSAGES, LEXICON, len(PASSAGES)).verdict(
        Scorer(lambda query, passage: tuple(passage) == (7, 8)), 0.5
    )
    assert ranked.encoder == 1
    assert ranked.bm25 == pytest.approx(1 / np.log2(len(PASSAGES) + 1)), "ties stand before it"


def test_every_query_has_depth_candidates():
    shown = []
    verdict(lambda query, passage: shown.append(tuple(passage)) or 0)
    assert len(shown) == DEPTH * len(QUERIES)
    assert {tuple(PASSAGES[row]) for row in OWN} <= {*shown}


def test_a_hash_of_ids_holds_queries_out():
    ids = [f"q{i}" for i in range(50)]
    chosen = held_out(ids, 5)
    assert len(chosen) == 5
    assert chosen == held_out(reversed(ids * 2), 5)
    assert chosen < held_out(ids, 6)
    assert chosen not in ({*ids[:5]}, {*sorted(ids)[:5]})


@pytest.mark.parametrize("family", CROSS)
def test_a_refused_backbone_leaves_no_weights(corpus, tmp_path, family):
    message = r"test did not learn to match: wanted at least 1\.000, got nDCG@10 0\.\d+ on 2 held-"
    with pytest.raises(UserError, match=message):
        build(corpus, tmp_path / "b", family, least=1.0, depth=8)
    left = {path.name for path in (tmp_path / "b").iterdir()}
    assert left <= {"checkpoint.safetensors", NOTE}


@pytest.mark.parametrize("family", CROSS)
def test_the_verdict_is_written_and_logged(corpus, tmp_path, family, caplog):
    caplog.set_level(logging.INFO)
    folder = build(corpus, tmp_path / "b", family)
    content = record(folder)
    assert content.pop("measure") == "nDCG@10"
    written = Verdict(**content)
    assert (written.queries, written.candidates, written.least) == (2, 4, 0.0)
    assert 0 <= written.encoder <= 1 and 0 < written.random < 1
    assert f"test: {written}" in caplog.messages
    again = build(corpus, tmp_path / "again", family)
    assert (folder / "gate.json").read_bytes() == (again / "gate.json").read_bytes()


def test_held_out_queries_change_no_weights(corpus, tmp_path):
    folder = build(corpus, tmp_path / "b", "bert")
    queries = tiny.texts(8, "q", 4)
    judged = [(query_id, f"d{i}", 1) for i, query_id in enumerate(queries)]
    chosen = held_out(queries, 2)
    fewer = [row for row in judged if row[0] not in chosen]
    rest = sources(tmp_path / "rest", queries, fewer)
    plain = SETTINGS | {"warmup": WARMUP}
    backbones.build(rest, tmp_path / "plain", tiny.MADE, family="bert", **plain)
    weights = [(place / "model.safetensors").read_bytes() for place in (folder, tmp_path / "plain")]
    assert weights[0] == weights[1]


def test_a_small_set_loses_a_quarter(corpus, tmp_path):
    assert record(build(corpus, tmp_path / "b", "bert", queries=8))["queries"] == 2
    assert held_out(["a", "b", "c"], 1) == set()


def test_a_build_killed_at_its_gate_resumes(corpus, tmp_path, monkeypatch):
    how = WARMUP | {"steps": 100, "gate": {"queries": 2, "depth": 4, "least": 0.0}}
    settings = SETTINGS | {"warmup": how}

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Gate, "verdict", killed)
        with pytest.raises(KeyboardInterrupt):
            backbones.build(corpus, tmp_path / "b", tiny.MADE, family="bert", **settings)
    left = {path.name for path in (tmp_path / "b").iterdir()}
    assert left == {"checkpoint.safetensors", NOTE}
    for name in ("b", "straight"):
        backbones.build(corpus, tmp_path / name, tiny.MADE, family="bert", **settings)
    folders = [tmp_path / "b", tmp_path / "straight"]
    files = [{path.name: path.read_bytes() for path in each.iterdir()} for each in folders]
    for content in files:
        del content["cost.json"]  # no two builds share it
    assert files[0] == files[1]


def test_a_splade_has_no_gate(corpus, tmp_path):
    folder = build(corpus, tmp_path / "b", "splade")
    assert not (folder / "gate.json").exists()
    assert (folder / "model.safetensors").exists()

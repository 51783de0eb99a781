"""A study whose teacher is an ensemble with BM25: what is made, from what, by which settings."""

import re

import pytest

from redistil.study import paths
from redistil.study.artefacts import gated_teachers, settings_of
from tests.made.configs import config_of, put, refusal, resolved

BM25 = {"k1": 0.9, "b": 0.4, "stemmer": "english"}
RUNS = "results/{study}/runs/{member}/{dataset}.parquet"


@pytest.fixture
def config():
    config = config_of("embedded")
    best = {"average": ["pydocs-bert", "pydocs-bm25"], "standardise": "query"}
    put(config, "teachers best", best)
    put(config, "sources scored-triples teacher", "best")
    put(config, "sources ranked-lists teacher", "best")
    put(config, "grid teachers", ["best"])
    return config


def test_every_member_has_scores_and_runs(config):
    asked = settings_of(resolved(config))
    assert asked["score-bm25", "pydocs-bm25"] == BM25
    assert asked["average", "best"] == {"standardise": "query"}
    assert asked["fuse", "best/pydocs-test"] == {"standardise": "query"}
    assert asked["rerank-bm25", "pydocs-bm25/pydocs-test"] == {"depth": 20} | BM25
    reranked = {"depth": 20, "precision": "float32"}
    assert asked["rerank", "pydocs-bert/pydocs-test"] == reranked
    assert ("rerank", "best/pydocs-test") not in asked
    assert ("score", "pydocs-bm25") not in asked


def test_a_plain_mean_says_nothing_of_scales(config):
    put(config, "teachers pydocs-mean", {"average": ["pydocs-bert", "pydocs-modernbert"]})
    put(config, "grid teachers", ["pydocs-mean"])
    asked = settings_of(resolved(config))
    assert asked["average", "pydocs-mean"] == asked["fuse", "pydocs-mean/pydocs-test"] == {}


def test_a_run_of_an_ensemble_needs_its_members(config):
    known = {"averaged": "best", "dataset": "pydocs-test"}
    assert paths.paths(resolved(config), RUNS, "members", known) == [
        "results/embedded/runs/pydocs-bert/pydocs-test.parquet",
        "results/embedded/runs/pydocs-bm25/pydocs-test.parquet",
    ]


def test_bm25_scores_its_training_set(config):
    study, known = resolved(config), {"lexical": "pydocs-bm25"}
    queries, passages = (
        paths.paths(study, f"data/corpora/{file}.parquet", "members", known)
        for file in ("queries/{dataset}", "passages/{corpus}")
    )
    assert queries == ["data/corpora/queries/pydocs-train.parquet"]
    assert passages == ["data/corpora/passages/pydocs.parquet"]
    assert paths.paths(study, "{over}", "over", known) == ["pydocs-triples", "pydocs-lists"]


def test_a_teacher_is_of_one_wildcard(config):
    patterns = paths.constraints(resolved(config))
    kinds = ("scored", "lexical", "averaged", "published", "ranked")
    for name, kind in (("pydocs-bm25", "lexical"), ("pydocs-bert", "scored"), ("best", "averaged")):
        assert [each for each in kinds if re.fullmatch(patterns[each], name)] == [kind]


def test_bm25_alone_may_teach_and_rerank(config):
    put(config, "sources scored-triples teacher", "pydocs-bm25")
    put(config, "grid teachers", ["pydocs-bm25"])
    study = resolved(config)
    assert ("rerank-bm25", "pydocs-bm25/pydocs-held-out") in settings_of(study)
    models = paths.paths(study, "{model}", "members", {"teacher": "pydocs-bm25"})
    assert models == [], "it has no model"


def test_bm25_scores_what_it_teaches_on(config):
    put(config, "teachers pydocs-bm25 over", ["pydocs-lists"])
    said = "sources.scored-triples: teacher 'pydocs-bm25' scores ['pydocs-lists'], not"
    assert refusal(config).startswith(said)


def test_the_gate_of_an_ensemble_has_its_runs(config):
    asked = settings_of(resolved(config))
    assert asked["gate", "best"] == {
        "on": ["pydocs-dev"],
        "members": ["pydocs-bert", "pydocs-dev", "pydocs-bm25", "pydocs-dev"],
        "baselines": ["bm25", "pydocs-dev", "tiny-splade", "pydocs-dev"],
        "measure": "nDCG@10",
        "depth": 20,
        "relevant_from": [1],
    }
    assert asked["fuse", "best/pydocs-dev"] == {"standardise": "query"}
    assert asked["rerank-bm25", "pydocs-bm25/pydocs-dev"] == {"depth": 20} | BM25
    assert ("rerank", "pydocs-bert/pydocs-dev") in asked


def test_only_what_teaches_has_a_gate(config):
    put(config, "grid teachers", ["best", "pydocs-modernbert"])
    assert gated_teachers(resolved(config)) == ["best"]
    put(config, "grid losses", ["infonce"])
    assert gated_teachers(resolved(config)) == []


def test_nothing_is_gated_without_a_validation(config):
    put(config, "training validation", None)
    assert gated_teachers(resolved(config)) == []


@pytest.mark.parametrize("name", ["morand2026", "morand2026-rerun", "rank-distillm"])
def test_published_scores_have_no_gate(name):
    assert gated_teachers(resolved(name)) == []

"""Margins of teachers, from their tables to the legend."""

from pathlib import Path

import numpy as np
import pytest

from redistil.errors import BadTable
from redistil.stages.report.figures.margins import histograms
from redistil.stages.report.numbers import margins
from redistil.stages.report.numbers.margins import Margins
from redistil.storage import lineage
from redistil.storage.tables import LISTS, TEACHER_SCORES, TRIPLES


def taught(folder: Path, scores: dict[tuple[str, str], float]) -> Path:
    rows = [(query, doc, score) for (query, doc), score in scores.items()]
    columns = dict(zip(TEACHER_SCORES.schema.names, zip(*rows, strict=True), strict=True))
    made = lineage.make("score", "t", {}, "", [])
    TEACHER_SCORES.write(TEACHER_SCORES.rows(columns), folder / "scores.parquet", made)
    return folder / "scores.parquet"


def test_margins_of_triples_and_of_lists(tmp_path: Path):
    made = lineage.make("mine", "n", {}, "", [])
    triples = {"query_id": ["1", "1"], "positive_id": ["a", "a"], "negative_id": ["b", "c"]}
    TRIPLES.write(TRIPLES.rows(triples), tmp_path / "triples.parquet", made)
    lists = {"query_id": ["1"], "doc_ids": [["a", "b", "c"]], "relevances": [[2, 0, 0]]}
    LISTS.write(LISTS.rows(lists), tmp_path / "lists.parquet", made)
    scores = taught(tmp_path, {("1", "a"): 2.0, ("1", "b"): 0.5, ("1", "c"): 3.0})
    for kind in ("triples", "lists"):
        found = margins.margins("t", scores, tmp_path / f"{kind}.parquet", kind)
        assert found.values.tolist() == [1.5, -1.0]
        assert found.ordered == 0.5
    nobody = lists | {"relevances": [[0, 0, 0]]}
    LISTS.write(LISTS.rows(nobody), tmp_path / "lists.parquet", made)
    assert margins.margins("t", scores, tmp_path / "lists.parquet", "x") is None


def test_a_pair_without_a_score_is_refused(tmp_path: Path):
    made = lineage.make("mine", "n", {}, "", [])
    triples = {"query_id": ["1"], "positive_id": ["a"], "negative_id": ["b"]}
    TRIPLES.write(TRIPLES.rows(triples), tmp_path / "triples.parquet", made)
    with pytest.raises(BadTable, match="has no score for .*'b'"):
        scores = taught(tmp_path, {("1", "a"): 2.0})
        margins.margins("t", scores, tmp_path / "triples.parquet", "x")


def test_of_many_queries_the_same_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(margins, "QUERIES", 3)
    ids = [str(number) for number in range(20)]
    triples = {"query_id": ids, "positive_id": ["a"] * 20, "negative_id": ["b"] * 20}
    made = lineage.make("mine", "n", {}, "", [])
    TRIPLES.write(TRIPLES.rows(triples), tmp_path / "triples.parquet", made)
    chosen = [row["query_id"] for row in margins._sampled(TRIPLES, tmp_path / "triples.parquet")]
    assert len(chosen) == 3 and chosen != sorted(ids)[:3]


def test_agreement_and_order_stand_in_the_legend():
    one = Margins("wide", "triples", np.array([1.0, 2.0, -1.0, 3.0]))
    other = Margins("deep", "triples", np.array([1.0, -2.0, -1.0, 4.0]))
    axes = histograms({"triples": [one, other]}).axes[0]
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert words[0] == "wide: positive first on 75%"
    assert words[1] == "deep: positive first on 50%, as wide on 75%"

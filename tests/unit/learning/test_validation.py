"""Values of a validation: those of the stage `measures`, query by query."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.errors import BadTable
from redistil.learning.validation import Judged
from redistil.stages import measures
from redistil.stages.models.reading import Dataset, TokenFiles, judged_candidates
from redistil.storage.tables import QRELS, RUN, ranked
from redistil.study.measures import MEASURES, Kind
from redistil.study.recipes import Validated
from tests.made import tiny

NAMES = ["nDCG@3", "nDCG", "RR@2", "RR", "AP", "AP@3", "R@3", "P@9", "Success@2"]
DOCS = [f"d{i}" for i in range(8)]
QUERIES = ["q0", "q1", "q2"]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    backbone = tiny.checkpoint(folder / "bert")
    files = {"q": tiny.texts(3, "q", 4), "d": tiny.texts(8, "d", 4)}
    return [tiny.tokens(folder / f"{side}.arrow", backbone, t) for side, t in files.items()]


qrels_rows = st.dictionaries(
    st.tuples(st.sampled_from(QUERIES), st.sampled_from(DOCS)), st.integers(-1, 3), min_size=1
)
pairs = st.lists(
    st.tuples(st.sampled_from(QUERIES), st.sampled_from(DOCS)), unique=True, min_size=1
)


def validated(level):
    """Return a validation on `dev` that counts grades from `level` as relevant."""
    return Validated(
        datasets={"dev": level}, first_stage="f", depth=5, every=1, measure="RR", keep="last"
    )


@settings(max_examples=60, deadline=None)
@given(qrels_rows, pairs, st.data())
def test_values_equal_the_stage(tokens, tmp_path_factory, judged, shown, data):
    """Ties, unjudged passages, graded and negative grades, queries without candidates."""
    folder = tmp_path_factory.mktemp("case")
    if not {query for query, _ in judged} & {query for query, _ in shown}:
        return
    columns = dict(zip(("query_id", "doc_id"), zip(*judged, strict=True), strict=True))
    qrels = QRELS.rows(columns | {"relevance": list(judged.values())})
    QRELS.write(qrels, folder / "qrels.parquet", tiny.MADE)
    first = ranked(*zip(*shown, strict=True), [0.0] * len(shown))
    RUN.write(first, folder / "run.parquet", tiny.MADE)
    level = data.draw(st.integers(1, 2))
    dataset = Dataset("dev", folder / "run.parquet", folder / "qrels.parquet", *tokens)
    files = TokenFiles.of(*tokens)
    known = judged_candidates(dataset, files, validated(level))
    scores = np.array(
        data.draw(
            st.lists(
                st.sampled_from([0.0, 0.5, 1.0]),
                min_size=len(known.query),
                max_size=len(known.query),
            )
        ),
        np.float32,
    )
    queries = [files[0].ids()[row].as_py() for row in known.queries]
    passages = [files[1].ids()[row].as_py() for row in known.passages]
    run = ranked(queries, passages, scores)
    wanted = [measures.parse(name) for name in NAMES]
    rows = measures.evaluate("dev", run, qrels, wanted, level).rows
    for name in NAMES:
        values = rows.filter(pa.compute.equal(rows["measure"], name))["value"].to_numpy()
        assert known.value(name, scores) == pytest.approx(values.mean(), abs=1e-9), name


def test_a_value_by_hand():
    """Grades 0, 2, 1 in the order of the scores; a second judged query has no candidate."""
    known = Judged(
        query=np.array([0, 0, 0]),
        queries=np.zeros(3, np.int64),
        passages=np.arange(3),
        grade=np.array([2.0, 1.0, 0.0]),
        last=np.array([2, 1, 0]),
        ideal=(np.array([2.0, 1.0]), np.array([1.0])),
        relevant_from=2,
    )
    scores = np.array([1.0, 0.5, 3.0], np.float32)
    dcg, best = 2 / np.log2(3) + 1 / np.log2(4), 2 + 1 / np.log2(3)
    assert known.value("nDCG", scores) == pytest.approx(dcg / best / 2)
    assert known.value("RR@10", scores) == known.value("AP", scores) == 0.25
    tied = np.zeros(3, np.float32)  # doc_id downwards: the third, the second, the first
    assert known.value("RR", tied) == pytest.approx(1 / 3 / 2)


def test_a_measure_is_added_by_one_entry(monkeypatch):
    hits = Kind(lambda one: float(len(one.relevant_ranks)), "hits", binary=True, uncut=True)
    monkeypatch.setitem(MEASURES, "Hits", hits)
    known = Judged(
        query=np.zeros(3, np.int64),
        queries=np.zeros(3, np.int64),
        passages=np.arange(3),
        grade=np.array([1.0, 0.0, 2.0]),
        last=np.arange(3),
        ideal=(np.array([2.0, 1.0]),),
        relevant_from=1,
    )
    run = ranked(["q"] * 3, ["d0", "d1", "d2"], [3.0, 2.0, 1.0])
    qrels = QRELS.rows({"query_id": ["q"] * 2, "doc_id": ["d0", "d2"], "relevance": [1, 2]})
    for name, wanted in (("Hits", 2), ("Hits@2", 1)):
        assert known.value(name, np.array([3, 2, 1], np.float32)) == wanted
        rows = measures.evaluate("d", run, qrels, [measures.parse(name)], 1).rows
        assert rows["value"].to_pylist() == [wanted]


def test_every_measure_is_compared_with_ranx():
    assert {name.partition("@")[0] for name in NAMES} == set(MEASURES)


def test_candidates_of_other_queries_are_refused(tokens, tmp_path):
    qrels = QRELS.rows({"query_id": ["elsewhere"], "doc_id": ["d0"], "relevance": [1]})
    QRELS.write(qrels, tmp_path / "qrels.parquet", tiny.MADE)
    RUN.write(ranked(["q0"], ["d0"], [1.0]), tmp_path / "run.parquet", tiny.MADE)
    dataset = Dataset("dev", tmp_path / "run.parquet", tmp_path / "qrels.parquet", *tokens)
    with pytest.raises(BadTable, match="are both of one dataset"):
        judged_candidates(dataset, TokenFiles.of(*tokens), validated(1))

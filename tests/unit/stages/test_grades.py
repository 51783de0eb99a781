"""Grades of a training set: what is a positive, and what a list says of it."""

import pytest

from redistil.errors import BadTable
from redistil.stages import negatives
from redistil.storage.lineage import Made
from redistil.storage.tables import LISTS, QRELS, RUN, TRIPLES, ranked
from redistil.study import artefacts as study
from tests.made.configs import config_of

MADE = Made("test", "test")
JUDGED = [("a", "d0", 1), ("a", "d3", 3), ("a", "d5", 2), ("b", "d1", 1), ("b", "d2", 0)]
LENGTH = 8


def mined(folder, kind, **how):
    rows = [(q, f"d{i}", float(LENGTH - i)) for q in "ab" for i in range(LENGTH)]
    RUN.write(ranked(*zip(*rows, strict=True)), folder / "run.parquet", MADE)
    columns = dict(zip(QRELS.schema.names, zip(*JUDGED, strict=True), strict=True))
    QRELS.write(QRELS.rows(columns), folder / "qrels.parquet", MADE)
    out = folder / f"{kind}.parquet"
    how = {"positives": "judged", "depth": LENGTH, "per_query": 99, "seed": 1} | how
    drawing = negatives.Drawing(kind=kind, **how)
    negatives.mine(folder / "run.parquet", folder / "qrels.parquet", out, MADE, drawing)
    return out


def test_lists_keep_grades_of_positives(tmp_path):
    first, second = LISTS.read(mined(tmp_path, "lists", relevant_from=1)).to_pylist()
    assert first["doc_ids"][:3] == ["d0", "d3", "d5"]
    assert first["relevances"] == [1, 3, 2, 0, 0, 0, 0, 0]
    assert second["relevances"] == [1] + [0] * (LENGTH - 2), "d2 is judged, and in no list"


@pytest.mark.parametrize(
    ("positives", "wanted"),
    [("judged", ["d3", "d5"]), ("retrieved", ["d3", "d5"]), ("first-retrieved", ["d3"])],
)
def test_low_grades_are_not_mined(tmp_path, positives, wanted):
    how = {"relevant_from": 2, "positives": positives}
    (only,) = LISTS.read(mined(tmp_path, "lists", **how)).to_pylist()
    assert only["query_id"] == "a", "b has no passage of grade 2"
    assert only["doc_ids"][: len(wanted)] == wanted and "d0" not in only["doc_ids"]
    assert all(grade >= 2 for grade in only["relevances"][: len(wanted)])
    assert set(TRIPLES.read(mined(tmp_path, "triples", **how))["positive_id"].to_pylist()) == set(
        wanted
    )


def test_a_set_below_the_grade_is_refused(tmp_path):
    with pytest.raises(BadTable, match="no query of .* has a relevant passage"):
        mined(tmp_path, "lists", relevant_from=4)


def test_every_reader_gets_the_grade():
    config = config_of("embedded")
    config["datasets"]["pydocs-train"]["relevant_from"] = 2
    asked = study.settings_of(config)
    for key in (("mine", "pydocs-lists"), ("mine", "pydocs-triples"), ("build", "tiny-bert")):
        assert asked[key]["relevant_from"] == 2, key
    assert asked["mine", "msmarco-colbertv2"]["relevant_from"] == 1

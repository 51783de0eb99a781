"""Steps without a gradient: counted, and a training of nothing else refused."""

import pytest

from redistil.errors import BadSource
from redistil.learning.history import Point
from redistil.stages.models import idle
from redistil.storage.tables import LISTS, TEACHER_SCORES
from tests.made.trained import DISTILLING, train, write, write_house

RANKNET = DISTILLING | {"objective": "ranknet"}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A house whose teacher `tied` has one score for all passages, but those of one query."""
    folder = write_house(tmp_path_factory.mktemp("house"))
    rows = LISTS.read(folder / "lists.parquet").to_pylist()
    for name, varied in (("tied", ()), ("partly", ("q0",))):
        scores = []
        for row in rows:
            for place, doc_id in enumerate(row["doc_ids"]):
                scores.append((row["query_id"], doc_id, place * (row["query_id"] in varied)))
        write(folder / f"{name}.parquet", TEACHER_SCORES, scores, "wise")
    return folder


def test_a_training_without_pairs_is_refused(house, tmp_path):
    with pytest.raises(BadSource, match="mined, ranknet: the first 4 steps had no gradient"):
        train(house, tmp_path / "m", scores="tied", **RANKNET | {"steps": 4})
    assert not (tmp_path / "m" / "made.json").exists()


def test_steps_without_pairs_are_counted(house, tmp_path, caplog):
    how = RANKNET | {"steps": 8, "batch": 1}
    train(house, tmp_path / "m", scores="partly", **how)
    (told,) = [line for line in caplog.messages if "gradient" in line]
    assert told == "6 of 8 steps had no gradient: they taught nothing"


def points(*norms, first=0):
    return [Point(first + n, 0.0, norm, 0.1) for n, norm in enumerate(norms)]


def test_idle_steps_are_refused_at_the_start_alone():
    told = []
    learned = idle.Idle(told.append, 1000, "lists")
    for point in points(0.0, 0.5, *[0.0] * 200):
        learned(point)
    resumed = idle.Idle(told.append, 1000, "lists")
    for point in points(*[0.0] * 200, first=700):
        resumed(point)
    assert len(told) == 402

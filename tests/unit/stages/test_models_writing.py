"""Files that a training leaves beside its weights: curve, validations, the last weights."""

import pytest

from redistil.learning.history import Point
from redistil.stages.models.writing import curve
from tests.made.trained import train, validating, values_of, weights, write_house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return write_house(tmp_path_factory.mktemp("house"))


def test_a_curve_has_every_step():
    points = [Point(i, float(i), 2.0 * i, 0.1) for i in range(5)]
    rows = curve(points).to_pylist()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["loss"] for row in rows] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [row["gradient_norm"] for row in rows] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_the_best_weights_are_the_model_and_the_last_lie_beside_them(house, tmp_path):
    how = {"steps": 12, "learning_rate": 0.1, "batch": 4}
    best = train(house, tmp_path / "best", validation=validating(), **how)
    last = train(house, tmp_path / "last", validation=validating(keep="last"), **how)
    values = values_of(best)
    assert list(values) == [2, 4, 6, 8, 10, 12] and values == values_of(last)
    step = max(values, key=lambda step: (values[step], -step))
    assert step < 12, "the last is the best: this test sees nothing"
    assert (best / "last.safetensors").read_bytes() == weights(last) != weights(best)
    assert not list(last.glob("last.*")) and not list(best.glob("best-*"))


def test_without_validation_there_is_no_row(house, tmp_path):
    assert not values_of(train(house, tmp_path / "m"))

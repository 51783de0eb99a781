"""Rows put aside in buckets."""

import numpy as np
import pytest

from redistil.storage.spill import buckets

KIND = np.dtype([("key", "i4"), ("value", "f4")])


def rows(keys):
    out = np.zeros(len(keys), KIND)
    out["key"], out["value"] = keys, np.arange(len(keys))
    return out


def test_a_bucket_has_its_rows_in_the_order_they_came(tmp_path):
    with buckets(tmp_path / "out", KIND, 3) as into:
        for start in (0, 4, 8):
            part = rows(range(start, start + 4))
            into.add(part, part["key"] % 3)
        assert [into.read(b)["key"].tolist() for b in range(3)] == [
            [0, 3, 6, 9],
            [1, 4, 7, 10],
            [2, 5, 8, 11],
        ]
    assert list(tmp_path.iterdir()) == []


def test_work_comes_back_in_order_and_is_not_far_ahead(tmp_path):
    begun, seen = [], []

    def work(part):
        begun.append(len(begun))
        return int(part["key"][0])

    with buckets(tmp_path / "out", KIND, 20) as into:
        into.add(rows(range(20)), np.arange(20))
        for key in into.each(work, threads=2):
            seen.append(key)
            assert len(begun) <= len(seen) + 3, "what is done but not taken is held in memory"
    assert seen == list(range(20))


def test_an_error_of_the_work_is_raised_and_nothing_left(tmp_path):
    def work(part):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        with buckets(tmp_path / "out", KIND, 9) as into:
            list(into.each(work, 2))
    assert list(tmp_path.iterdir()) == []

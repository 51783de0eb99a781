"""Stretches of equal keys, against counting them one by one."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistil.storage.stretches import positions, stretches


@given(st.lists(st.integers(0, 3)))
@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_stretches_equal_a_plain_loop(kind, keys):
    lengths = [len(list(same)) for _, same in groupby(keys)]
    starts, found = stretches(np.array(keys, kind))
    assert found.tolist() == lengths
    assert starts.tolist() == [sum(lengths[:place]) for place in range(len(lengths))]
    counted = [place for length in lengths for place in range(1, length + 1)]
    assert positions(np.array(keys, kind)).tolist() == counted

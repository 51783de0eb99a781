"""Named streams: fixed for all time, independent of each other and of the global state."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from redistil.seeds import derive, fraction, generator


def test_streams_never_move():
    """These numbers are in every result: a change of them changes every result."""
    assert derive(1, "order", 0) == 0x602727A21D034EE
    assert generator(1, "order", 0).integers(1000, size=4).tolist() == [7, 777, 566, 123]
    assert fraction("a query") == 0.831789371149035


def test_seed_and_every_name_call_another_stream():
    called = [derive(1), derive(2), derive(1, "a"), derive(1, "b"), derive(1, "a", 1)]
    called += [derive(1, "a", 2), derive(11), derive(1, 1), derive(1, "a1")]
    assert len(set(called)) == len(called)


@given(st.integers(0, 2**63), st.text())
def test_a_seed_fits_63_bits(seed, name):
    """torch and numpy both take it."""
    assert 0 <= derive(seed, name) < 2**63


def test_drawing_from_one_stream_moves_no_other_and_no_global_state():
    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].tolist(), random.getstate()
    wanted = generator(1, "b").random(3).tolist()
    generator(1, "a").random(100)
    assert generator(1, "b").random(3).tolist() == wanted
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


@given(st.text())
def test_a_fraction_is_below_one(text):
    assert 0 <= fraction(text) < 1


def test_the_greatest_fraction_is_below_one(monkeypatch):
    class Greatest:
        def digest(self) -> bytes:
            return b"\xff" * 32

    monkeypatch.setattr("redistil.seeds.hashlib.sha256", lambda _: Greatest())
    assert 0.9999 < fraction("whatever") < 1


def test_fractions_are_spread_evenly():
    drawn = [fraction(f"query {i}") for i in range(2000)]
    counts = np.histogram(drawn, bins=10, range=(0, 1))[0]
    assert counts.min() > 150 and counts.max() < 250

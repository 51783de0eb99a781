"""Ids as codes: their place among the known ids, in the order of their bytes."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil.errors import BadTable
from redistil.storage.identifiers import Identifiers, Places

words = st.lists(st.text(max_size=3) | st.integers(0, 40).map(str), min_size=1)
numbers = st.lists(st.integers(0, 99).map(str), min_size=7)


@settings(deadline=None)
@given(words | numbers, words | numbers)
def test_codes_are_places_among_known_ids(known, asked):
    ids = Identifiers(pa.array(known, pa.string()))
    placed = sorted(set(known), key=lambda text: text.encode())
    wanted = [placed.index(text) if text in placed else -1 for text in asked]
    assert ids.codes(pa.array(asked, pa.string())).tolist() == wanted
    assert ids.ids(np.arange(len(ids))).to_pylist() == placed


odd_ids = "007 01 -0 +1 1.0 D1 0x1F 99999999999 2147483648 -1".split()
odd_ids += [" 1", "1 ", "", "9" * 19, "9" * 30, "\uff11", "1\n"]


@settings(deadline=None)
@given(numbers, st.lists(st.integers(-5, 300).map(str) | st.sampled_from(odd_ids), min_size=1))
def test_numbers_sort_by_their_spelling(known, asked):
    """However an id is spelled otherwise, it is another id."""
    ids = Identifiers(pa.chunked_array([known[:3], known[3:]], pa.string()))
    assert ids.numeric
    codes = {text: place for place, text in enumerate(sorted(set(known)))}
    for column in (pa.array(asked), pa.chunked_array([asked[:1], asked[1:]], pa.string())):
        assert ids.codes(column).tolist() == [codes.get(text, -1) for text in asked]


@pytest.mark.parametrize("odd", ["007", "-1", "+1", "1.0", "D1", " 1", "", "99999999999", "123456"])
def test_unplain_numbers_are_kept_as_text(odd):
    ids = Identifiers(pa.array(["1", "2", odd]))
    assert not ids.numeric
    assert ids.codes(pa.array([odd, "7", "x"])).tolist()[1:] == [-1, -1]
    assert ids.ids(ids.codes(pa.array([odd]))).to_pylist() == [odd]


def test_no_ids_know_nothing():
    ids = Identifiers(pa.array([], pa.string()))
    assert len(ids) == 0 and ids.codes(pa.array(["a"])).tolist() == [-1]


@settings(deadline=None)
@given(words | numbers, words | numbers)
def test_places_are_where_ids_stand_last(column, asked):
    last = {text: place for place, text in enumerate(column)}
    places = Places(pa.array(column, pa.string()), Path("some.parquet"))
    there = [text for text in asked if text in last]
    assert places.of(pa.array(there, pa.string())).tolist() == [last[text] for text in there]
    if missing := [text for text in asked if text not in last]:
        told = f"{len(missing)} of {len(asked)} ids are not in some.parquet (first: {missing[0]!r})"
        with pytest.raises(BadTable, match=re.escape(told)):
            places.of(pa.array(asked, pa.string()))


def test_empty_columns_have_no_places():
    with pytest.raises(BadTable, match="1 of 1 ids are not in"):
        Places(pa.array([], pa.string()), Path("some.parquet")).of(pa.array(["a"]))

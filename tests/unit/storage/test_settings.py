"""Settings as they are stated: what is missing or misshapen is told to their user."""

from typing import Any

import pytest

from redistil.errors import BadSettings
from redistil.storage.settings import Stated, fits, read, stated, worded


def test_missing_settings_are_users_mistakes():
    found = Stated({"a": 1, "b": {"c": [{"d": 2}]}}, "x.yaml")
    assert found == {"a": 1, "b": {"c": [{"d": 2}]}}, "it is equal to what was stated"
    assert found["b"]["c"][0]["d"] == 2 and found.get("e") is None and "e" not in found
    with pytest.raises(BadSettings, match="x.yaml: wanted `e`, got only a, b: make it again"):
        found["e"]
    with pytest.raises(BadSettings, match="x.yaml, b, c: wanted `e`, got only d"):
        found["b"]["c"][0]["e"]
    with pytest.raises(BadSettings, match="got nothing"):
        stated({}, "x")["e"]


@pytest.mark.parametrize("content", [b"a: [1\n", b"- 1\n", b"", b"\xff\xfe\x00", None])
def test_files_without_settings_are_refused(content, tmp_path):
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadSettings, match=r"study\.yaml is not a (readable )?study") as refused:
        read(path, "study")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        (dict, [{}, {"a": [1]}], [5, [], "x", None, True]),
        (list[int], [[], [0, 5]], [5, {}, ["a"], [True], [1.5], [[1]]]),
        (list[str], [["a"]], ["a", [1], [["a"]], [None]]),
        (dict[str, int], [{"a": 1}], [{"a": "1"}, {"a": True}, [1]]),
        (dict[str, list[str]], [{"a": ["b"]}], [{"a": 5}, {"a": "b"}, {"a": [1]}]),
    ],
)
def test_values_fit_their_shapes(shape: Any, good: list[Any], bad: list[Any]):
    assert [fits(value, shape) for value in good] == [True] * len(good)
    assert [fits(value, shape) for value in bad] == [False] * len(bad)


def test_a_shape_is_told_in_words():
    assert worded(dict) == "an object"
    assert worded(dict[str, list[str]]) == "an object, each value a list, each item text"

"""Settings as they are stated: what is missing or misshapen is told to their user."""

import pytest

from redistil.errors import BadSettings
from redistil.storage.settings import Stated, read, stated


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

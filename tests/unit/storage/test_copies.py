"""Passages with the same text as a relevant one."""

from redistil.storage import copies
from redistil.storage.lineage import Made
from redistil.storage.tables import PASSAGES


def test_copies_of_a_text_are_found(tmp_path):
    texts = {"a": "one", "b": "two", "c": "one", "d": "", "e": "", "f": "One"}
    columns = {"doc_id": list(texts), "text": list(texts.values())}
    path = tmp_path / "passages.parquet"
    PASSAGES.write(PASSAGES.rows(columns), path, Made("test", "test"))
    found = copies.find(path, ["a", "d", "gone"])
    assert found.absent == {"gone"}
    assert found.of(["a"], ["b", "c", "f"]) == {"c"}
    assert found.of(["b"], ["c"]) == set(), "b was not looked for"
    assert found.of(["d"], ["e"]) == set(), "passages without text are no copies"


def test_an_accent_may_be_a_character(tmp_path):
    columns = {"doc_id": ["a", "b", "c"], "text": ["caf\u00e9", "cafe\u0301", "cafe"]}
    path = tmp_path / "passages.parquet"
    PASSAGES.write(PASSAGES.rows(columns), path, Made("test", "test"))
    assert copies.find(path, ["a"]).of(["a"], ["b", "c"]) == {"b"}

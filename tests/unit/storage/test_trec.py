"""Columns of text files: the same rows wherever blocks end, and a bad one quoted."""

import pyarrow as pa
import pytest

from redistil.errors import BadTable
from redistil.storage import trec


@pytest.mark.parametrize("block", [1, 2, 7, 20, 100, 1 << 24])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blocks_do_not_change_rows(tmp_path, monkeypatch, block, end):
    """Lines longer than a block, blank ones, and a last one without an end among them."""
    monkeypatch.setattr(trec, "BLOCK", block)
    lines = ["q ü", "", "q " + "d" * 30, "", "", "r 1", "s 22"]
    (tmp_path / "a.txt").write_bytes(end.join(lines).encode())
    types = {"query_id": pa.string(), "doc_id": pa.string()}
    found = pa.Table.from_batches(trec.column_batches(tmp_path / "a.txt", types, " "))
    assert [" ".join(row.values()) for row in found.to_pylist()] == [x for x in lines if x]
    (tmp_path / "a.txt").write_bytes(end.join([*lines, "one two three"]).encode())
    with pytest.raises(BadTable, match="wanted the columns query_id doc_id"):
        list(trec.column_batches(tmp_path / "a.txt", types, " "))


HEAD = "# ir_metadata.start\n# a: b\n# ir_metadata.end\n"


@pytest.mark.parametrize("block", [1, 12, 40, 1 << 24])
@pytest.mark.parametrize("head", ["", "\n\n", HEAD, HEAD + "\n"])
@pytest.mark.parametrize("bad", ["one 2 three", "one two", "one 99999999999", "one"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bad_line_is_quoted_with_its_number(tmp_path, monkeypatch, block, head, bad, end):
    monkeypatch.setattr(trec, "BLOCK", max(block, len(head) * 2))
    text = f"{head}q 1\n\n q  2\n" + "q 3\n" * 9 + f"{bad}\nq 4\nq bad\n"
    number = text.split("\n").index(bad) + 1
    (tmp_path / "a.txt").write_bytes(text.replace("\n", end).encode())
    types = {"query_id": pa.string(), "relevance": pa.int32()}
    with pytest.raises(BadTable, match=rf"a.txt, line {number}: wanted the columns query") as said:
        list(trec.column_batches(tmp_path / "a.txt", types, " "))
    assert "#" not in str(said.value).replace("column #1", "") and bad.split()[-1] in str(
        said.value
    )


@pytest.mark.parametrize("block", [1, 8, 30, 1 << 24])
def test_blanks_of_any_number_part_words(tmp_path, monkeypatch, block):
    monkeypatch.setattr(trec, "BLOCK", block)
    (tmp_path / "a.txt").write_bytes(b" q  d\t\r\nr\t e\n\n  s f")
    types = {"query_id": pa.string(), "doc_id": pa.string()}
    found = pa.Table.from_batches(trec.column_batches(tmp_path / "a.txt", types, " "))
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("q", "d"),
        ("r", "e"),
        ("s", "f"),
    ]


def test_rows_may_begin_with_a_hash(tmp_path):
    (tmp_path / "a.txt").write_text("# 1\n#ir_metadata.start 2\n#q 3\n")
    types = {"query_id": pa.string(), "doc_id": pa.string()}
    found = pa.Table.from_batches(trec.column_batches(tmp_path / "a.txt", types, " "))
    assert found["query_id"].to_pylist() == ["#", "#ir_metadata.start", "#q"]

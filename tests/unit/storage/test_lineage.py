"""Records: equal settings are equal, another version is noticed, and only code that runs counts."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistil.errors import BadTable, Stale
from redistil.storage import lineage, ragged
from redistil.storage.lineage import Made
from redistil.storage.tables import QUERIES


def made(command: str, name: str, *inputs: Made, **settings: object) -> Made:
    return lineage.make(command, name, settings, "c0de", inputs)


# --- fingerprints -----------------------------------------------------------------------------


def test_numbers_are_compared_by_value():
    assert made("train", "m", rate=2).fingerprint == made("train", "m", rate=2.0).fingerprint
    assert made("train", "m", rate=2).fingerprint != made("train", "m", rate=2.5).fingerprint
    assert lineage.digest([1, {"a": 2.0}]) == lineage.digest((1.0, {"a": 2}))


def test_order_of_items_alone_counts():
    assert lineage.digest({"a": 1, "b": 2}) == lineage.digest({"b": 2, "a": 1})
    assert lineage.digest({"a": [1, 2]}) != lineage.digest({"a": [2, 1]})


def test_options_without_value_do_not_count():
    assert lineage.digest({"a": 1, "b": None}) == lineage.digest({"a": 1})


def test_text_and_number_differ():
    assert lineage.digest({"a": "2"}) != lineage.digest({"a": 2})


@pytest.mark.parametrize("changed", ["command", "name", "settings", "code", "inputs"])
def test_fingerprints_cover_all_that_decides(changed):
    source = made("export", "s")
    given = {
        "command": "tokenize",
        "name": "t",
        "settings": {"longest": 8},
        "code": "c0de",
        "inputs": [source],
    }
    other = given | {
        changed: {"settings": {"longest": 9}, "inputs": [made("export", "s", depth=1)]}.get(
            changed, "another"
        )
    }
    assert lineage.make(**given).fingerprint != lineage.make(**other).fingerprint


json_values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.text())
def test_a_record_survives_being_written(settings, name):
    whole = made("train", name, made("export", "s", **{"x": 1}), **{"given": settings})
    again = Made.loads(whole.dumps())
    assert again.fingerprint == whole.fingerprint
    assert again.ancestors.keys() == whole.ancestors.keys()
    assert again.dumps() == whole.dumps()


# --- one chain --------------------------------------------------------------------------------


def test_ancestors_travel_along():
    passages = made("export-passages", "docs")
    tokens = made("tokenize", "docs.bert", passages)
    model = made("train", "m", tokens)
    assert set(model.ancestors) == {passages.fingerprint, tokens.fingerprint}
    assert set(model.chain()) == {model.fingerprint, *model.ancestors}
    assert model.inputs == {"tokenize docs.bert": tokens.fingerprint}


def test_two_versions_of_ancestors_are_refused():
    old, new = made("export-passages", "docs", n=1), made("export-passages", "docs", n=2)
    tokens, run = made("tokenize", "docs.bert", old), made("retrieve", "docs.bm25", new)
    with pytest.raises(Stale) as refused:
        made("rerank", "run", tokens, run)
    said = str(refused.value)
    for part in ("tokenize docs.bert", "retrieve docs.bm25", "export-passages docs"):
        assert part in said
    assert old.fingerprint in said and new.fingerprint in said and "\n" not in said


def test_inputs_contradicting_ancestors_are_refused():
    old, new = made("export-passages", "docs", n=1), made("export-passages", "docs", n=2)
    with pytest.raises(Stale, match="export-passages docs"):
        made("rerank", "run", made("tokenize", "docs.bert", old), new)


def test_repeated_ancestors_are_one_chain():
    passages = made("export-passages", "docs")
    tokens, run = made("tokenize", "t", passages), made("retrieve", "r", passages)
    assert len(made("rerank", "run", tokens, run, passages).ancestors) == 3


def test_reading_more_refuses_another_version():
    passages, other = made("export-passages", "docs"), made("export-passages", "docs", n=2)
    tokens = made("tokenize", "docs.bert", passages)
    table = made("tabulate", "board").reading(tokens)
    assert table.inputs == {tokens.who: tokens.fingerprint}
    assert set(table.ancestors) == set(tokens.chain())
    assert table.fingerprint != made("tabulate", "board").fingerprint
    with pytest.raises(Stale, match="export-passages docs"):
        made("tabulate", "board").reading(tokens, made("retrieve", "r", other))


# --- edited records ---------------------------------------------------------------------------


def edited(record: Made, *path: str, value: object) -> str:
    whole = json.loads(record.dumps())
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(whole)


def test_an_edited_record_is_refused():
    passages = made("export-passages", "docs", n=1)
    record = made("tokenize", "docs.bert", passages, longest=8)
    cases = [
        edited(record, "settings", "longest", value=9),
        edited(record, "code", value="other"),
        edited(record, "inputs", passages.who, value="0" * 16),
        edited(record, "ancestors", passages.fingerprint, "settings", "n", value=2),
    ]
    for text in cases:
        with pytest.raises(Stale, match="tokenize docs.bert .*rebuild it"):
            Made.loads(text)


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"ancestors": {}}', "null", "1"])
def test_what_is_no_record_is_refused(text, tmp_path):
    with pytest.raises(Stale, match="rebuild it"):
        Made.loads(text)
    if text:
        (tmp_path / lineage.SIDECAR).write_text(text)
        with pytest.raises(Stale, match=str(tmp_path)):
            lineage.of(tmp_path)


# --- what a path carries ----------------------------------------------------------------------

RECORD = made("export-queries", "dev", made("file", "there"), corpus="docs")


def test_a_parquet_file_carries_its_record(tmp_path):
    path = tmp_path / "queries.parquet"
    QUERIES.write(QUERIES.rows({"query_id": ["1"], "text": ["a"]}), path, RECORD)
    assert lineage.of(path) == RECORD


def test_an_arrow_file_carries_its_record(tmp_path):
    path = tmp_path / "queries.arrow"
    with ragged.writer(path, RECORD) as append:
        append(["1"], [[1, 2]])
    assert lineage.of(path) == RECORD


def test_files_carry_their_folders_record(tmp_path):
    (tmp_path / lineage.SIDECAR).write_text(RECORD.dumps())
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert lineage.of(tmp_path) == RECORD
    assert lineage.of(tmp_path / "model.safetensors") == RECORD


def test_outside_files_stand_for_themselves(tmp_path):
    path = tmp_path / "run.trec"
    path.write_text("q Q0 d 1 2.0 x\n")
    first = lineage.of(path)
    assert first.who == f"file {path}"
    assert lineage.of(path) == first
    path.write_text("q Q0 d 1 3.0 x\n")
    assert lineage.of(path).fingerprint != first.fingerprint


def test_outside_folders_are_all_their_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.json").write_text("1")
    (tmp_path / "sub" / "b.json").write_text("2")
    seen = {lineage.of(tmp_path).fingerprint}
    (tmp_path / "sub" / "b.json").write_text("3")
    seen.add(lineage.of(tmp_path).fingerprint)
    (tmp_path / "sub" / "b.json").rename(tmp_path / "b.json")
    seen.add(lineage.of(tmp_path).fingerprint)
    assert len(seen) == 3


def test_outside_parquet_stands_for_itself(tmp_path):
    path = tmp_path / "theirs.parquet"
    pa.parquet.write_table(pa.table({"a": [1]}), path)
    assert lineage.of(path).command == "file"


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
@pytest.mark.parametrize("content", [None, b"", b"PAR1 ARROW1 but no such file" * 9])
def test_an_unreadable_file_is_named(name, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadTable, match=str(tmp_path / name)) as refused:
        lineage.of(tmp_path / name)
    assert "\n" not in str(refused.value)

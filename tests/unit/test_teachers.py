"""Teacher scores: computed, averaged and imported, pair by pair."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from redistil import tables, teachers
from redistil.cli import cli
from redistil.errors import BadTable, UserError
from redistil.processes import Processes
from redistil.ragged import Ragged
from redistil.students.cat import Cat
from redistil.tables import LISTS, TEACHER_SCORES, TRIPLES
from tests.unit import tiny

MADE = tiny.MADE


def scores_file(path, scores):
    """Write {(query, passage): score}."""
    rows = [(q, d, s) for (q, d), s in scores.items()]
    columns = dict(zip(TEACHER_SCORES.schema.names, zip(*rows, strict=True), strict=True))
    TEACHER_SCORES.write(TEACHER_SCORES.rows(columns), path, MADE)
    return path


def scores_of(path):
    rows = TEACHER_SCORES.read(path).to_pylist()
    return {(row["query_id"], row["doc_id"]): row["score"] for row in rows}


def write(path, table, *rows):
    columns = dict(zip(table.schema.names, zip(*rows, strict=True), strict=True))
    table.write(table.rows(columns), path, MADE)
    return path


# --- the mean of several --------------------------------------------------------------------------

logits = st.floats(-30, 30, width=32)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(logits, logits, logits), min_size=1, max_size=9))
def test_an_ensemble_is_the_plain_mean_of_raw_logits(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("mean")
    pairs = [("q", f"d{i}") for i in range(len(rows))]
    members = [
        scores_file(folder / f"{m}.parquet", dict(zip(pairs, column, strict=True)))
        for m, column in enumerate(zip(*rows, strict=True))
    ]
    teachers.average(members, folder / "mean.parquet", MADE)
    wanted = {pair: np.float32(sum(row) / 3) for pair, row in zip(pairs, rows, strict=True)}
    assert scores_of(folder / "mean.parquet") == wanted


def test_an_ensemble_of_a_teacher_with_itself_is_itself(tmp_path):
    scores = {("q", "a"): 1.1, ("q", "b"): -7.3, ("r", "a"): 22.7}
    member = scores_file(tmp_path / "one.parquet", scores)
    teachers.average([member, member, member], tmp_path / "mean.parquet", MADE)
    assert TEACHER_SCORES.read(tmp_path / "mean.parquet") == TEACHER_SCORES.read(member)


@pytest.mark.parametrize("other", [{("q", "b"): 1.0}, {("q", "a"): 1.0, ("q", "b"): 1.0}])
def test_members_that_scored_other_pairs_are_refused(tmp_path, other):
    members = [
        scores_file(tmp_path / "one.parquet", {("q", "a"): 1.0}),
        scores_file(tmp_path / "two.parquet", other),
    ]
    with pytest.raises(UserError, match="two.parquet and .*one.parquet scored different pairs"):
        teachers.average(members, tmp_path / "mean.parquet", MADE)
    assert not (tmp_path / "mean.parquet").exists()


def test_what_is_said_of_the_members_is_measured(tmp_path):
    pairs = [("q", "a"), ("q", "b"), ("q", "c")]
    members = [
        scores_file(tmp_path / f"{name}.parquet", dict(zip(pairs, values, strict=True)))
        for name, values in (("up", [1, 2, 3]), ("flat", [5, 5, 5]))
    ]
    up, flat = teachers.average(members, tmp_path / "mean.parquet", MADE)
    assert "mean 2.000, spread 0.816, correlation with the ensemble 1.000" in up
    assert "mean 5.000, spread 0.000, correlation with the ensemble 0.000" in flat


# --- published files ------------------------------------------------------------------------------

T2 = [
    "9.015625\t0.1\tq1\td1\td2",
    "9.015625\t-11.333333\tq1\td1\td3",
    "1e-05\t2.5\tq0\t007\td2",
]


def import_text(tmp_path, text, form):
    (tmp_path / "published").write_text(text)
    out = tmp_path / "scores.parquet", tmp_path / "pairs.parquet"
    teachers.import_scores(tmp_path / "published", *out, MADE, form)
    return out


def test_a_file_of_scored_triples_keeps_every_score_as_a_float32(tmp_path):
    scores, pairs = import_text(tmp_path, "\n".join(T2) + "\n", "scored-triples")
    assert scores_of(scores) == {
        ("q1", "d1"): np.float32("9.015625"),
        ("q1", "d2"): np.float32("0.1"),
        ("q1", "d3"): np.float32("-11.333333"),
        ("q0", "007"): np.float32("1e-05"),
        ("q0", "d2"): np.float32("2.5"),
    }
    triples = [tuple(row.values()) for row in TRIPLES.read(pairs).to_pylist()]
    assert triples == [("q0", "007", "d2"), ("q1", "d1", "d2"), ("q1", "d1", "d3")]


def test_the_margins_of_scored_triples_are_those_of_the_file(tmp_path):
    scores, pairs = import_text(tmp_path, "\n".join(T2), "scored-triples")
    found = scores_of(scores)
    margins = {
        tuple(row.values()): found[row["query_id"], row["positive_id"]]
        - found[row["query_id"], row["negative_id"]]
        for row in TRIPLES.read(pairs).to_pylist()
    }
    for line in T2:
        positive, negative, *triple = line.split("\t")
        assert margins[tuple(triple)] == pytest.approx(float(positive) - float(negative), rel=1e-6)


BAD_T2 = {
    "a column short": "1.0\t2.0\tq\td",
    "spaces for tabs": "1.0 2.0 q d e",
    "a word for a score": "high\t2.0\tq\td\te",
    "nothing": "",
    "a triple twice": "1.0\t2.0\tq\td\te\n" * 2,
    "two scores of a pair": "1.0\t2.0\tq\td\te\n1.5\t2.0\tq\td\tf",
}


@pytest.mark.parametrize("text", BAD_T2.values(), ids=BAD_T2.keys())
def test_a_malformed_file_of_triples_is_refused_and_nothing_written(tmp_path, text):
    with pytest.raises(BadTable) as caught:
        import_text(tmp_path, text, "scored-triples")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


def test_two_scores_of_a_pair_are_named(tmp_path):
    with pytest.raises(BadTable, match="1 of 3 pairs have different scores .*'q', passage 'd'"):
        import_text(tmp_path, BAD_T2["two scores of a pair"], "scored-triples")


def test_a_trec_run_becomes_lists_in_the_teachers_order(tmp_path):
    lines = ["q1 Q0 a 1 5.5 t", "q1 Q0 b 2 7.25 t", "q1 Q0 c 3 5.5 t", "q0 Q0 a 1 -1 t"]
    scores, pairs = import_text(tmp_path, "\n".join(lines), "trec")
    assert LISTS.read(pairs).to_pylist() == [
        {"query_id": "q0", "doc_ids": ["a"], "relevances": [0]},
        {"query_id": "q1", "doc_ids": ["b", "c", "a"], "relevances": [0, 0, 0]},
    ]
    assert scores_of(scores)["q1", "b"] == 7.25 and len(scores_of(scores)) == 4


def test_a_run_with_a_pair_twice_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(BadTable, match="repeat a"):
        import_text(tmp_path, "q Q0 a 1 5.5 t\nq Q0 a 2 4.5 t", "trec")
    assert [path.name for path in tmp_path.iterdir()] == ["published"]


# --- what is scored, and how ----------------------------------------------------------------------


@pytest.mark.parametrize("group", [2, 1 << 17])
def test_distinct_pairs_are_each_pair_of_every_file_once(tmp_path, monkeypatch, group):
    monkeypatch.setattr(tables, "ROW_GROUP", group)
    triples = write(
        tmp_path / "t.parquet",
        TRIPLES,
        ("q1", "a", "b"),
        ("q1", "a", "c"),
        ("q0", "a", "b"),
    )
    rows = [(f"q{i}", [f"d{j}" for j in range(i)] + ["b"], [0] * (i + 1)) for i in range(5)]
    lists = write(tmp_path / "l.parquet", LISTS, *rows)
    found = teachers.distinct_pairs([triples, lists, triples])
    pairs = [tuple(row.values()) for row in found.to_pylist()]
    wanted = {(q, d) for q, docs, _ in rows for d in docs}
    wanted |= {("q1", "a"), ("q1", "b"), ("q1", "c"), ("q0", "a"), ("q0", "b")}
    assert pairs == sorted(wanted)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A trained model, token files and lists to be scored."""
    folder = tmp_path_factory.mktemp("house")
    backbone = tiny.checkpoint(folder / "bert")
    queries, passages = tiny.texts(4, "q", 4), tiny.texts(12, "d", 20)
    tiny.tokens(folder / "q.arrow", backbone, queries)
    tiny.tokens(folder / "d.arrow", backbone, passages)
    tiny.model(folder / "model", backbone)
    rows = [(q, [f"d{(3 * i + j) % 12}" for j in range(5)], [0] * 5) for i, q in enumerate(queries)]
    write(folder / "lists.parquet", LISTS, *rows)
    return folder


def test_a_score_is_the_models_raw_logit(house, tmp_path):
    files = house / "q.arrow", house / "d.arrow"
    out = tmp_path / "scores.parquet"
    device = Processes("cpu")
    over = [house / "lists.parquet"] * 2
    teachers.score(house / "model", files, over, out, MADE, "float32", device)
    found = scores_of(out)
    student, (queries, passages) = Cat.load(house / "model").eval(), map(Ragged, files)
    assert len(found) == 4 * 5
    for (query_id, doc_id), score in found.items():
        pair = queries[int(query_id[1:])], passages[int(doc_id[1:])]
        with torch.inference_mode():
            assert score == pytest.approx(float(student.score([pair[0]], [pair[1]])), rel=1e-3)
    assert len(set(found.values())) > 10, "a logit, not a constant"


def test_the_command_scores_in_any_order_of_files(house, tmp_path):
    triples = write(tmp_path / "t.parquet", TRIPLES, ("q0", "d9", "d0"), ("q3", "d2", "d3"))
    over = str(triples), str(house / "lists.parquet")
    tables_of = []
    for name, first, second in (("one", *over), ("two", *reversed(over))):
        words = ["score", *(str(house / n) for n in ("model/made.json", "q.arrow", "d.arrow"))]
        words += [str(tmp_path / f"{name}.parquet"), "--over", first, "--over", second]
        result = CliRunner().invoke(cli, [*words, "--precision", "float32", "--device", "cpu"])
        assert result.exit_code == 0, result.output
        tables_of.append(TEACHER_SCORES.read(tmp_path / f"{name}.parquet"))
    assert tables_of[0] == tables_of[1]
    assert len(tables_of[0]) == 4 * 5 + 3, "q0 with d0 is in a list already"


def test_an_id_without_tokens_is_refused(house, tmp_path):
    lists = write(tmp_path / "l.parquet", LISTS, ("q0", ["d0", "d99"], [1, 0]))
    with pytest.raises(BadTable, match="first: 'd99'"):
        teachers.score(
            *(house / "model", (house / "q.arrow", house / "d.arrow"), [lists]),
            *(tmp_path / "out.parquet", MADE, "float32", Processes("cpu")),
        )
    assert not (tmp_path / "out.parquet").exists()


def test_neither_triples_nor_lists_are_refused(tmp_path):
    path = scores_file(tmp_path / "s.parquet", {("q", "d"): 1.0})
    with pytest.raises(BadTable, match="s.parquet is not a table"):
        teachers.distinct_pairs([path])

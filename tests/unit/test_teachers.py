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

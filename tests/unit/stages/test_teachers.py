"""Teacher scores: computed, averaged and imported, pair by pair."""

import itertools
import json
import shlex

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from redistil.cli import cli
from redistil.errors import BadTable, UserError
from redistil.learning import ensembles
from redistil.learning.students.cat import Cat
from redistil.machine.processes import Processes
from redistil.stages import teachers
from redistil.stages.teachers import ensemble
from redistil.storage import lineage, pools, tables
from redistil.storage.ragged import Ragged
from redistil.storage.tables import LISTS, TEACHER_SCORES, TRIPLES
from redistil.study import artefacts as study
from tests.made import tiny

MADE = tiny.MADE


def scores_file(path, scores):
    """Write {(query, passage): score}."""
    rows = [(q, d, s) for (q, d), s in scores.items()]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(TEACHER_SCORES.schema.names)}
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
    ensemble.average(members, folder / "mean.parquet", folder / "mean.json", MADE)
    wanted = {pair: np.float32(sum(row) / 3) for pair, row in zip(pairs, rows, strict=True)}
    assert scores_of(folder / "mean.parquet") == wanted


def test_an_ensemble_of_a_teacher_with_itself_is_itself(tmp_path):
    scores = {("q", "a"): 1.1, ("q", "b"): -7.3, ("r", "a"): 22.7}
    member = scores_file(tmp_path / "one.parquet", scores)
    ensemble.average([member] * 3, tmp_path / "mean.parquet", tmp_path / "mean.json", MADE)
    assert TEACHER_SCORES.read(tmp_path / "mean.parquet") == TEACHER_SCORES.read(member)


def averaged(tmp_path, *scores):
    names = "abcdef"[: len(scores)]
    members = [
        scores_file(tmp_path / f"{n}.parquet", s) for n, s in zip(names, scores, strict=True)
    ]
    out = tmp_path / "mean.parquet", tmp_path / "mean.json"
    said = ensemble.average(members, *out, MADE)
    return json.loads(out[1].read_text()), said


@pytest.mark.parametrize(
    "other",
    [
        {("q", "b"): 1.0, ("q", "c"): 1.0},
        {("q", "a"): 1.0},
        {("q", "a"): 1.0, ("q", "b"): 1.0, ("q", "c"): 1.0},
        {},
    ],
)
@pytest.mark.parametrize("piece", [1, 1 << 16])
def test_members_that_scored_other_pairs_are_refused(tmp_path, monkeypatch, other, piece):
    monkeypatch.setattr(ensembles, "PIECE", piece)
    first = {("q", "a"): 1.0, ("q", "b"): 1.0}
    with pytest.raises(UserError, match="b.parquet and .*a.parquet scored different pairs"):
        averaged(tmp_path, first, other)
    assert {path.name for path in tmp_path.iterdir()} == {"a.parquet", "b.parquet"}


def test_an_ensemble_may_be_standardised_by_query(tmp_path):
    """Of q the members are evenly spaced, alike; of r the second does not vary."""
    first = {("q", "a"): 1.0, ("q", "b"): 2.0, ("r", "a"): 9.0, ("r", "b"): 1.0}
    second = {("q", "a"): 100.0, ("q", "b"): 300.0, ("r", "a"): 7.0, ("r", "b"): 7.0}
    members = [scores_file(tmp_path / f"{n}.parquet", s) for n, s in (("a", first), ("b", second))]
    out = tmp_path / "mean.parquet", tmp_path / "mean.json"
    run("average", *out, *members, "--standardise", "query")
    assert list(scores_of(out[0]).values()) == [-1.0, 1.0, 0.5, -0.5]
    assert lineage.of(out[0]).settings == {"standardise": "query"}
    raw = json.loads(out[1].read_text())["scores"]
    assert raw[1]["mean"] == 103.5, "the members as they are"


def test_what_is_said_of_the_members_is_measured(tmp_path):
    pairs = [("q", "a"), ("q", "b"), ("q", "c"), ("r", "a")]
    scores = [dict(zip(pairs, s, strict=True)) for s in ([1, 2, 3, 2], [5, 3, 4, 0], [7] * 4)]
    record, said = averaged(tmp_path, *scores)
    assert (record["queries"], record["pairs"]) == (2, 4)
    (up, mixed, flat, _) = record["scores"]
    assert (up["mean"], up["spread"]) == (2.0, pytest.approx(0.5**0.5))
    assert (mixed["mean"], flat["spread"]) == (3.0, 0.0)
    first = record["agreement"][0]
    # of a<b, a<c, b<c the second inverts the first two; ranks 1 2 3 and 3 1 2
    assert first["inverted_margins"] == pytest.approx(2 / 3) and first["margins"] == 3
    assert first["rank_correlation"] == pytest.approx(-0.5)
    assert record["agreement"][1]["rank_correlation"] is None, "one of them never varies"
    assert any("rank correlation -0.500, 66.7% of 3 margins inverted" in line for line in said)
    assert any("rank correlation undefined, undefined of 0 margins" in line for line in said)


values = st.lists(st.integers(0, 4), min_size=2, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.lists(values, min_size=1, max_size=5), st.integers(0, 99), st.sampled_from([1, 3, 99]))
def test_agreement_is_what_scipy_finds_query_by_query(tmp_path_factory, lists, seed, piece):
    rng = np.random.default_rng(seed)
    left = {(f"q{i}", f"d{j}"): float(v) for i, row in enumerate(lists) for j, v in enumerate(row)}
    right = {pair: float(rng.integers(0, 5)) for pair in left}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensembles, "PIECE", piece)
        patch.setattr(ensemble, "COMPARED", piece)
        record, _ = averaged(tmp_path_factory.mktemp("agree"), left, right)
    rho, inverted, ordered = [], 0, 0
    for i in range(len(lists)):
        a, b = ([s[p] for p in s if p[0] == f"q{i}"] for s in (left, right))
        if len(set(a)) > 1 and len(set(b)) > 1:
            rho.append(stats.spearmanr(a, b).statistic)
        signs = [(a[x] - a[y]) * (b[x] - b[y]) for x, y in itertools.combinations(range(len(a)), 2)]
        inverted, ordered = inverted + sum(s < 0 for s in signs), ordered + sum(map(bool, signs))
    found = record["agreement"][0]
    assert found["margins"] == ordered
    assert found["inverted_margins"] == (pytest.approx(inverted / ordered) if ordered else None)
    assert found["rank_correlation"] == (pytest.approx(np.mean(rho), abs=1e-9) if rho else None)


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
    monkeypatch.setattr(pools, "PIECE", group)
    pieces = list(teachers.distinct_pairs([triples, lists, triples]))
    pairs = [tuple(row.values()) for piece in pieces for row in piece.to_pylist()]
    assert len(pieces) == (5 if group == 2 else 2), "as they are read, not all at once"
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


# --- a re-ranker of others ------------------------------------------------------------------------

READS = {"architecture": "cat", "query_length": 8, "passage_length": 16, "pair_length": 27}
READS |= {"pair_form": "native"}


def published(folder, labels=1, head=True):
    """Write a re-ranker as the hub has them, and what `fetch` makes of it; return both folders."""
    encoder = tiny.checkpoint(folder / "encoder")
    if head:
        torch.manual_seed(1)
        network = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=labels)
        torch.nn.init.normal_(network.classifier.weight, std=9.0)
        network.save_pretrained(encoder)
    (encoder / "made.json").unlink()
    run("fetch", folder / "fetched", "--source", json.dumps({"folder": str(encoder)}))
    return encoder, folder / "fetched"


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception


def adopt(fetched, out, **changed):
    run("adopt", fetched / "made.json", out, *shlex.split(study.flags(READS | changed)))
    return out


def test_a_published_re_ranker_scores_as_plain_transformers_does(house, tmp_path):
    encoder, fetched = published(tmp_path)
    model, out = adopt(fetched, tmp_path / "model"), tmp_path / "scores.parquet"
    files = house / "q.arrow", house / "d.arrow"
    how = "--over", house / "lists.parquet", "--precision", "float32", "--device", "cpu"
    run("score", model / "made.json", *files, out, *how)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    network = AutoModelForSequenceClassification.from_pretrained(encoder).eval()
    texts = tiny.texts(4, "q", 4) | tiny.texts(12, "d", 20)
    found = scores_of(out)
    for (query_id, doc_id), score in found.items():
        query = tokenizer(texts[query_id], add_special_tokens=False)["input_ids"]
        cut = {"truncation": "only_second", "max_length": len(query) + 16 + 3}
        pair = tokenizer(texts[query_id], texts[doc_id], return_tensors="pt", **cut)
        with torch.inference_mode():
            assert score == pytest.approx(float(network(**pair).logits), abs=1e-4)
    assert len(found) == 20 and np.std(list(found.values())) > 0.01
    made = lineage.of(out)
    assert {"adopt", "fetch", "checkpoint"} <= {m.command for m in made.ancestors.values()}


NO_RE_RANKER = {
    "an encoder": ({"head": False}, {}, "are not in it .*: the encoder is there, but no trained"),
    "two labels": (
        {"labels": 2},
        {},
        "its head gives 2 numbers for a pair, and the score of a re-",
    ),
    "too long": ({}, {"pair_length": 999}, "pair_length: the backbone reads 512 tokens at most"),
}


@pytest.mark.parametrize(("kind", "changed", "said"), NO_RE_RANKER.values(), ids=NO_RE_RANKER)
def test_what_is_no_re_ranker_is_refused_and_leaves_nothing(tmp_path, kind, changed, said):
    _, fetched = published(tmp_path, **kind)
    with pytest.raises(UserError, match=said):
        adopt(fetched, tmp_path / "model", **changed)
    assert not (tmp_path / "model").exists()


# --- what is scored is refused, in shards ---------------------------------------------------------


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
        list(teachers.distinct_pairs([path]))


@pytest.mark.parametrize("group", [2, 6, 50])
def test_shards_do_not_depend_on_the_pieces_that_files_are_read_in(
    house, tmp_path, monkeypatch, group
):
    monkeypatch.setattr(teachers, "SHARD", 4)
    files = house / "q.arrow", house / "d.arrow"
    rows = [(f"q{q}", f"d{q + i}", f"d{9 - i}") for q in range(4) for i in range(4)]
    over = [write(tmp_path / "t.parquet", TRIPLES, *rows), house / "lists.parquet"]

    def scored(name):
        monkeypatch.setattr(teachers.Shards, "join", lambda *_: 0)
        out = tmp_path / name
        teachers.score(house / "model", files, over, out, MADE, "float32", Processes("cpu"))
        shards = sorted(tmp_path.glob(f".{name}.shards/.*.parquet"))
        return [(shard.name, TEACHER_SCORES.read(shard)) for shard in shards]

    whole = scored("whole")
    monkeypatch.setattr(tables, "ROW_GROUP", 2 * group)
    monkeypatch.setattr(pools, "PIECE", group)
    assert len(whole) == 4 and scored("pieces") == whole

"""First stages: exact search, BM25 and imported runs, against plain arithmetic."""

import math
import re

import numpy as np
import pyarrow as pa
import pytest
import torch
from click.testing import CliRunner

from redistil import tables
from redistil.candidates import bm25, imported, splade
from redistil.cli import cli
from redistil.errors import BadSource, BadTable, UserError
from redistil.ragged import Ragged
from redistil.seeds import generator
from redistil.splade import Splade
from redistil.tables import PASSAGES, QUERIES, RUN, VECTORS
from redistil.tables import texts as texts_of
from tests.unit import tiny

MADE = tiny.MADE


def by_hand(scores, query_ids, doc_ids, depth, drop=False):
    """(query, passage, rank) of dense scores: above 0, ties by doc_id downwards."""
    found = []
    for row, query_id in enumerate(query_ids):
        pairs = [(score, doc) for score, doc in zip(scores[row], doc_ids, strict=True) if score > 0]
        pairs = [pair for pair in pairs if not (drop and pair[1] == query_id)]
        best = sorted(pairs, reverse=True)[:depth]
        found += [(query_id, doc, rank) for rank, (_, doc) in enumerate(best, start=1)]
    return sorted(found)


def ranking(path):
    rows = RUN.read(path).to_pylist()
    return sorted((row["query_id"], row["doc_id"], row["rank"]) for row in rows)


# --- SPLADE -------------------------------------------------------------------------------------

TERMS = 12


class Bag:
    """An encoder whose vector counts a text's tokens: whole numbers, so that sums are exact."""

    special = 0

    def to(self, device):
        return self

    def eval(self):
        return self

    def vectors(self, texts, longest):
        rows = [np.bincount(np.asarray(text[:longest], int), minlength=TERMS) for text in texts]
        return torch.from_numpy(np.stack(rows).astype(np.float32))


@pytest.fixture
def bag(monkeypatch):
    monkeypatch.setattr(Splade, "load", classmethod(lambda cls, folder: Bag()))


def token_file(path, rows):
    from redistil import ragged

    with ragged.writer(path, MADE) as append:
        append(list(rows), [list(map(int, row)) for row in rows.values()])
    return path


def collection(tmp_path, passages, queries):
    files = token_file(tmp_path / "p.arrow", passages), token_file(tmp_path / "q.arrow", queries)
    dense = [Bag().vectors(list(r.values()), 99) for r in (queries, passages)]
    return files, (dense[0] @ dense[1].T).numpy()


def search(tmp_path, files, depth, drop=False, threads=1):
    vectors, out = tmp_path / "vectors.parquet", tmp_path / "run.parquet"
    device = torch.device("cpu")
    splade.encode(tmp_path, files[0], vectors, MADE, passage_length=99, device=device)
    splade.retrieve(
        *(tmp_path, files[1], vectors, out, MADE),
        query_length=99,
        depth=depth,
        drop_identical=drop,
        threads=threads,
    )
    return out


def random_rows(name, count, size):
    rng = generator(3, name)
    return {f"{name}{i}": rng.integers(TERMS, size=rng.integers(1, size)) for i in range(count)}


@pytest.mark.parametrize("depth", [1, 5, 100])
@pytest.mark.parametrize("group", [2, 14, 1 << 17])
def test_the_search_is_exact_in_however_many_pieces(tmp_path, monkeypatch, bag, depth, group):
    monkeypatch.setattr(tables, "ROW_GROUP", group)
    monkeypatch.setattr(splade, "WINDOW", 16)
    passages, queries = random_rows("d", 60, 6), random_rows("q", 9, 4)
    files, dense = collection(tmp_path, passages, queries)
    out = search(tmp_path, files, depth, threads=2)
    assert ranking(out) == by_hand(dense, queries, passages, depth)
    rows = {(row["query_id"], row["doc_id"]): row["score"] for row in RUN.read(out).to_pylist()}
    places = list(queries), list(passages)
    assert all(dense[places[0].index(q), places[1].index(d)] == s for (q, d), s in rows.items())


def test_a_tie_at_the_cut_is_broken_by_doc_id_downwards(tmp_path, monkeypatch, bag):
    monkeypatch.setattr(tables, "ROW_GROUP", 20)
    passages = {f"d{i:02}": [1] for i in range(60)}
    files, _ = collection(tmp_path, passages, {"q": [1, 1]})
    assert ranking(search(tmp_path, files, 2)) == [("q", "d58", 2), ("q", "d59", 1)]


def test_the_querys_own_passage_is_dropped_where_asked_and_another_takes_its_place(tmp_path, bag):
    passages = {"a": [1, 1, 1], "b": [1, 1], "c": [1], "d": [2]}
    files, dense = collection(tmp_path, passages, {"a": [1], "b": [1]})
    assert ranking(search(tmp_path, files, 2)) == by_hand(dense, "ab", passages, 2)
    dropped = ranking(search(tmp_path, files, 2, drop=True))
    assert dropped == [("a", "b", 1), ("a", "c", 2), ("b", "a", 1), ("b", "c", 2)]


def test_an_encoder_that_says_nothing_is_refused(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [1]}, {"q": [], "r": []})
    with pytest.raises(BadSource, match="all 2 vectors of the queries are empty"):
        search(tmp_path, files, 2)
    assert not (tmp_path / "run.parquet").exists()


def test_an_empty_query_has_no_candidate_and_the_others_keep_theirs(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [1], "b": [2]}, {"q": [], "r": [2]})
    assert ranking(search(tmp_path, files, 2)) == [("r", "b", 1)]


def test_a_checkpoint_encodes_as_the_formula_says(tmp_path):
    """max over tokens of log(1 + relu(logit)), padding out of it, cut with the special tokens."""
    folder = tiny.checkpoint(tmp_path / "splade", "splade")
    texts = tiny.texts(5, "d", 3) | {"long": " ".join(tiny.WORDS)}
    tokens = tiny.tokens(tmp_path / "p.arrow", folder, texts)
    out, device = tmp_path / "vectors.parquet", torch.device("cpu")
    splade.encode(folder, tokens, out, MADE, passage_length=8, device=device)
    rows = VECTORS.read(out).to_pylist()
    assert [row["doc_id"] for row in rows] == list(texts)
    encoder = Splade.load(folder).eval()
    for row, text in zip(rows, texts.values(), strict=True):
        inputs = encoder.tokenizer(text, truncation=True, max_length=8, return_tensors="pt")
        with torch.inference_mode():
            logits = encoder.network(**inputs).logits[0]
        wanted = torch.log1p(torch.relu(logits)).amax(0).numpy()
        got = np.zeros(len(wanted), np.float32)
        got[row["terms"]] = row["weights"]
        assert row["terms"] == sorted(row["terms"]) and min(row["weights"]) > 0
        assert got == pytest.approx(wanted, abs=1e-5)


def test_the_commands_find_the_text_itself(tmp_path):
    folder = tiny.checkpoint(tmp_path / "splade", "splade")
    texts = {f"d{i}": word for i, word in enumerate(tiny.WORDS)}
    tiny.tokens(tmp_path / "p.arrow", folder, texts)
    tiny.tokens(tmp_path / "q.arrow", folder, {"q": "tensor"})
    made = str(folder / "made.json")
    words = ["encode", made, f"{tmp_path}/p.arrow", f"{tmp_path}/v.parquet"]
    run(*words, "--passage-length", "9")
    words = ["retrieve", made, f"{tmp_path}/q.arrow", f"{tmp_path}/v.parquet"]
    run(*words, f"{tmp_path}/r.parquet", *"--query-length 9 --depth 2".split(), *KEEP)
    first = RUN.read(tmp_path / "r.parquet").to_pylist()[0]
    assert texts[first["doc_id"]] == "tensor"
    assert len(Ragged(tmp_path / "q.arrow")) == 1


KEEP = ("--drop-identical", "false")


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception


# --- BM25 ---------------------------------------------------------------------------------------


def bm25_run(tmp_path, passages, queries, **how):
    for table, texts in ((PASSAGES, passages), (QUERIES, queries)):
        columns = dict(zip(table.schema.names, (list(texts), list(texts.values())), strict=True))
        table.write(table.rows(columns), tmp_path / f"{table.name}.parquet", MADE)
    out = tmp_path / "bm25.parquet"
    how = {"k1": 0.9, "b": 0.4, "stemmer": "english", "depth": 10, "drop_identical": False} | how
    paths = (tmp_path / "passages.parquet", tmp_path / "queries.parquet", out)
    bm25.retrieve_bm25(*paths, MADE, **how)
    return out


def lucene(passages, query, k1, b):
    """Scores of Lucene's BM25, a word at a time."""
    words = {doc: text.split() for doc, text in passages.items()}
    average = sum(map(len, words.values())) / len(words)
    scores = dict.fromkeys(words, 0.0)
    for word in query.split():
        having = sum(word in text for text in words.values())
        idf = math.log(1 + (len(words) - having + 0.5) / (having + 0.5))
        for doc, text in words.items():
            tf = text.count(word)
            scores[doc] += idf * tf / (tf + k1 * (1 - b + b * len(text) / average))
    return scores


def test_bm25_is_lucenes_by_hand(tmp_path):
    passages = {"a": "tensor rank rank", "b": "rank", "c": "graph tensor tensor", "d": "table"}
    out = bm25_run(tmp_path, passages, {"q": "rank tensor", "r": "table"}, k1=1.2, b=0.5)
    rows = RUN.read(out).to_pylist()
    for query_id, query in (("q", "rank tensor"), ("r", "table")):
        wanted = {d: s for d, s in lucene(passages, query, 1.2, 0.5).items() if s > 0}
        got = {row["doc_id"]: row["score"] for row in rows if row["query_id"] == query_id}
        assert got == pytest.approx(wanted, rel=1e-5)


def test_bm25_stems_words(tmp_path):
    out = bm25_run(tmp_path, {"a": "ranking tensors", "b": "graph"}, {"q": "ranked tensor"})
    assert ranking(out) == [("q", "a", 1)]


def test_bm25_breaks_any_number_of_ties_at_the_cut(tmp_path):
    passages = {f"d{i:03}": "graph" for i in range(200)} | {"best": "graph graph"}
    out = bm25_run(tmp_path, passages, {"q": "graph"}, depth=3)
    assert ranking(out) == [("q", "best", 1), ("q", "d198", 3), ("q", "d199", 2)]


def test_bm25_drops_the_querys_own_passage_where_asked(tmp_path):
    passages = {"a": "graph graph", "b": "graph", "c": "tensor"}
    assert ranking(bm25_run(tmp_path, passages, {"a": "graph"}, depth=1)) == [("a", "a", 1)]
    out = bm25_run(tmp_path, passages, {"a": "graph"}, depth=1, drop_identical=True)
    assert ranking(out) == [("a", "b", 1)]


def test_a_query_of_unknown_words_has_no_candidate(tmp_path):
    out = bm25_run(tmp_path, {"a": "graph", "b": "tensor"}, {"q": "zebra", "r": "graph"})
    assert ranking(out) == [("r", "a", 1)]


def test_the_command_retrieves(tmp_path):
    out = bm25_run(tmp_path, tiny.texts(9, "d"), tiny.texts(3, "q", 2))
    words = ["retrieve-bm25", *(f"{tmp_path}/{n}.parquet" for n in ("passages", "queries", "out"))]
    run(*words, *"--k1 0.9 --b 0.4 --stemmer english --depth 10".split(), *KEEP)
    assert RUN.read(tmp_path / "out.parquet") == RUN.read(out)
    assert texts_of(tmp_path / "queries.parquet", QUERIES) == tiny.texts(3, "q", 2)


# --- runs from elsewhere ------------------------------------------------------------------------

LINES = ["q1 Q0 007 1 9.5 tag", "q1 Q0 d,2 2 9.25 tag", 'q10 Q0 d"3 1 1e-3 tag']


def import_text(tmp_path, text, drop=False):
    source, out = tmp_path / "a.run", tmp_path / "a.parquet"
    source.write_text(text)
    imported.import_run(source, out, MADE, drop_identical=drop)
    return RUN.read(out)


@pytest.mark.parametrize("delimiter", [" ", "\t"])
@pytest.mark.parametrize("end", ["\n", ""])
def test_a_trec_run_is_taken_whole(tmp_path, delimiter, end):
    rows = import_text(tmp_path, "\n".join(LINES).replace(" ", delimiter) + end)
    found = [tuple(row.values()) for row in rows.to_pylist()]
    assert found == [
        ("q1", "007", 1, 9.5),
        ("q1", "d,2", 2, 9.25),
        ("q10", 'd"3', 1, pytest.approx(1e-3)),
    ]


def test_ranks_are_written_anew_from_the_scores(tmp_path):
    lines = ["q Q0 a 1 1.0 t", "q Q0 b 2 3.0 t", "q Q0 c 3 3.0 t"]
    rows = import_text(tmp_path, "\n".join(lines)).to_pylist()
    assert [(row["doc_id"], row["rank"]) for row in rows] == [("c", 1), ("b", 2), ("a", 3)]


def test_an_imported_run_drops_identical_ids_where_asked(tmp_path):
    lines = ["a Q0 a 1 2.0 t", "a Q0 b 2 1.0 t"]
    assert import_text(tmp_path, "\n".join(lines))["rank"].to_pylist() == [1, 2]
    rows = import_text(tmp_path, "\n".join(lines), drop=True).to_pylist()
    assert [(row["doc_id"], row["rank"]) for row in rows] == [("b", 1)]


MALFORMED = {
    "a column short": "q Q0 d 1 0.5",
    "a column more": "q Q0 d 1 0.5 tag more",
    "a word for a score": "q Q0 d 1 high tag",
    "a score that is no number": "q Q0 d 1 nan tag",
    "an endless score": "q Q0 d 1 inf tag",
    "nothing": "",
    "a pair twice": "q Q0 d 1 0.5 tag\nq Q0 d 2 0.4 tag",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_run_is_refused_in_one_sentence(tmp_path, text):
    with pytest.raises(BadTable) as caught:
        import_text(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.run").write_bytes(b"q Q0 \xff\xfe 1 0.5 tag\n")
    with pytest.raises(BadTable):
        imported.import_run(tmp_path / "a.run", tmp_path / "out", MADE, drop_identical=False)


def test_the_commands_refuse_the_wrong_table_and_write_nothing(tmp_path):
    bm25_run(tmp_path, {"a": "graph"}, {"q": "graph"})
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "passages.parquet").read_bytes()[:-20])
    options = [*"--k1 1 --b 0 --stemmer english --depth 1".split(), *KEEP]
    for wrong in ("queries", "cut", "missing"):
        words = ["retrieve-bm25", f"{tmp_path}/{wrong}.parquet", f"{tmp_path}/queries.parquet"]
        with pytest.raises(UserError, match=re.escape(f"{wrong}.parquet")):
            run(*words, tmp_path / "out.parquet", *options)
    assert not (tmp_path / "out.parquet").exists()


def test_vectors_survive_the_round_trip_of_their_table(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 4)
    rows = VECTORS.rows(
        {
            "doc_id": list("abcde"),
            "terms": [[], [1], [], [0, 3], [2]],
            "weights": [[], [1.0]] + [[], [0.5, 2.0], [3.0]],
        }
    )
    VECTORS.write(rows, tmp_path / "v.parquet", MADE)
    matrices = [m.toarray() for m, _ in splade._shards(tmp_path / "v.parquet", 4)]
    assert [len(m) for m in matrices] == [2, 2, 1]
    wanted = [[0] * 4, [0, 1, 0, 0], [0] * 4, [0.5, 0, 0, 2], [0, 0, 3, 0]]
    assert np.concatenate(matrices).tolist() == wanted
    ids = [ids for _, ids in splade._shards(tmp_path / "v.parquet", 4)]
    assert pa.concat_arrays(ids).to_pylist() == list("abcde")

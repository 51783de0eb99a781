"""First stages: exact search, BM25 and imported runs, against plain arithmetic."""

import gzip
import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from scipy import sparse

from redistil import tables, trec
from redistil.candidates import bm25, imported, search, splade
from redistil.cli import cli
from redistil.errors import BadSource, BadTable, UserError
from redistil.ragged import Ragged
from redistil.seeds import generator
from redistil.splade import Splade
from redistil.tables import PASSAGES, QRELS, QUERIES, RUN, VECTORS
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


def judge(tmp_path, pairs, name="qrels"):
    """A file of judgements: (query, passage) are relevant."""
    queries, docs = zip(*pairs, strict=True)
    rows = QRELS.rows({"query_id": queries, "doc_id": docs, "relevance": [1] * len(docs)})
    QRELS.write(rows, tmp_path / f"{name}.parquet", MADE)
    return tmp_path / f"{name}.parquet"


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


def found(tmp_path, files, depth, drop=False, threads=1, shards=1, **how):
    device, out = torch.device("cpu"), tmp_path / "run.parquet"
    vectors = [tmp_path / f"vectors{shard}.parquet" for shard in range(shards)]
    for shard, path in enumerate(vectors):
        where = {"shard": shard, "shards": shards, "device": device}
        splade.encode(tmp_path, files[0], path, MADE, passage_length=99, **where)
    how = {"query_length": 99, "least_success": 0.0, "threads": threads} | how
    qrels = how.pop("qrels", None) or judge(tmp_path, [("q", "d")])
    splade.retrieve(
        *(tmp_path, files[1], qrels, out, vectors, MADE), depth=depth, drop_identical=drop, **how
    )
    return out


def random_rows(name, count, size):
    rng = generator(3, name)
    return {f"{name}{i}": rng.integers(TERMS, size=rng.integers(1, size)) for i in range(count)}


@pytest.fixture
def small(monkeypatch):
    """Let pieces, windows and passes be so small that a test has many of them."""
    monkeypatch.setattr(tables, "ROW_GROUP", 14)
    monkeypatch.setattr(splade, "WINDOW", 16)
    monkeypatch.setattr(splade, "QUERIES", 5)
    monkeypatch.setattr(search, "TOGETHER", 2)
    monkeypatch.setattr(search, "PIECE", 25)


@pytest.mark.parametrize("depth", [1, 5, 100])
def test_the_search_is_exact(tmp_path, bag, depth):
    passages, queries = random_rows("d", 60, 6), random_rows("q", 9, 4)
    files, dense = collection(tmp_path, passages, queries)
    out = found(tmp_path, files, depth, threads=2)
    assert ranking(out) == by_hand(dense, queries, passages, depth)
    rows = {(row["query_id"], row["doc_id"]): row["score"] for row in RUN.read(out).to_pylist()}
    places = list(queries), list(passages)
    assert all(dense[places[0].index(q), places[1].index(d)] == s for (q, d), s in rows.items())


@pytest.mark.parametrize("drop", [False, True])
def test_the_run_is_the_same_however_many_shards_pieces_and_passes(
    tmp_path, monkeypatch, bag, small, drop
):
    passages, queries = random_rows("d", 60, 6), random_rows("q", 9, 4)
    passages |= {name: passages["d7"] for name in queries}  # they could be dropped
    files, dense = collection(tmp_path, passages, queries)
    wanted = by_hand(dense, queries, passages, 5, drop)
    runs = []
    for shards in (1, 2, 7, 60):
        runs.append(found(tmp_path, files, 5, drop, shards=shards).read_bytes())
        assert ranking(tmp_path / "run.parquet") == wanted, shards
    assert len(set(runs)) == 1


def test_scores_do_not_hang_on_the_shard_to_the_last_bit(tmp_path, monkeypatch):
    """Weights with all their digits: a sum in another order would show."""
    rng = generator(5, "weights")
    passages, queries = (
        sparse.csr_matrix(sparse.random_array(shape, density=0.4, rng=rng, dtype=np.float32))
        for shape in ((80, 50), (6, 50))
    )
    found = []
    for size in (80, 7):
        monkeypatch.setattr(search, "PIECE", size * 20)
        monkeypatch.setattr(tables, "ROW_GROUP", 2 * size)
        rows = splade._vector_rows(pa.array([f"d{i}" for i in range(80)]), passages)
        VECTORS.write(rows, tmp_path / "v.parquet", MADE)
        indexes = search.pieces([tmp_path / "v.parquet"], 50)
        found.append(search.search(queries, indexes, 9, 2)[0])
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))
    assert len(found[0].score) == 6 * 9


@pytest.mark.parametrize("ties", [3, 60, 300])
def test_however_many_tie_at_the_cut_they_are_ranked_by_doc_id_downwards(tmp_path, bag, ties):
    order = generator(1, "order").permutation(ties)  # the winner lies anywhere in the corpus
    passages = {f"d{i:03}": [1] for i in order} | {"best": [1, 1], "none": [2]}
    files, _ = collection(tmp_path, passages, {"q": [1, 1], "r": [2]})
    rows = [("q", "best", 1), ("q", f"d{ties - 1:03}", 2), ("r", "none", 1)]
    assert ranking(found(tmp_path, files, 2)) == rows


def test_the_querys_own_passage_is_dropped_where_asked_and_another_takes_its_place(tmp_path, bag):
    passages = {"a": [1, 1, 1], "b": [1, 1], "c": [1], "d": [2]}
    files, dense = collection(tmp_path, passages, {"a": [1], "b": [1]})
    assert ranking(found(tmp_path, files, 2)) == by_hand(dense, "ab", passages, 2)
    dropped = ranking(found(tmp_path, files, 2, drop=True))
    assert dropped == [("a", "b", 1), ("a", "c", 2), ("b", "a", 1), ("b", "c", 2)]


def test_an_encoder_that_says_nothing_is_refused(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [1]}, {"q": [], "r": []})
    with pytest.raises(BadSource, match="all 2 vectors of the queries of .* are empty"):
        found(tmp_path, files, 2)
    assert not (tmp_path / "run.parquet").exists()


def test_an_encoder_that_says_nothing_of_any_passage_is_refused(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [], "b": []}, {"q": [1]})
    with pytest.raises(BadSource, match="all 2 vectors of the passages of .* are empty"):
        found(tmp_path, files, 2)
    assert not (tmp_path / "vectors0.parquet").exists()


def test_empty_passages_are_counted_aloud(tmp_path, bag, caplog):
    files, _ = collection(tmp_path, {"a": [], "b": [1]}, {"q": [1], "r": []})
    found(tmp_path, files, 2)
    assert "1 of 2 passages of" in caplog.text and "1 of 2 queries of" in caplog.text


def test_a_first_stage_that_finds_nothing_relevant_is_refused(tmp_path, bag, caplog):
    """As a checkpoint does whose weights were not loaded: vectors full of plausible numbers."""
    passages, queries = {"a": [1], "b": [2], "c": [3]}, {"q": [1], "r": [2], "s": [4]}
    files, _ = collection(tmp_path, passages, queries)
    right, wrong = [("q", "a"), ("r", "b"), ("s", "c")], [("q", "c"), ("r", "a"), ("s", "b")]
    found(tmp_path, files, 2, least_success=0.6, qrels=judge(tmp_path, right))
    assert "1 of 3 judged queries have no candidate" in caplog.text
    (tmp_path / "run.parquet").unlink()
    for least, pairs, share in ((0.7, right, 2), (0.1, wrong, 0)):
        with pytest.raises(BadSource, match=f"{share} of 3 judged queries have a relevant"):
            found(tmp_path, files, 2, least_success=least, qrels=judge(tmp_path, pairs))
    assert not (tmp_path / "run.parquet").exists()


def test_an_empty_query_has_no_candidate_and_the_others_keep_theirs(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [1], "b": [2]}, {"q": [], "r": [2]})
    assert ranking(found(tmp_path, files, 2)) == [("r", "b", 1)]


def test_a_checkpoint_encodes_as_the_formula_says(tmp_path):
    """max over tokens of log(1 + relu(logit)), padding out of it, cut with the special tokens."""
    folder = tiny.checkpoint(tmp_path / "splade", "splade")
    texts = tiny.texts(5, "d", 3) | {"long": " ".join(tiny.WORDS)}
    tokens = tiny.tokens(tmp_path / "p.arrow", folder, texts)
    out, device = tmp_path / "vectors.parquet", torch.device("cpu")
    how = {"passage_length": 8, "shard": 0, "shards": 1, "device": device}
    splade.encode(folder, tokens, out, MADE, **how)
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


def test_a_vector_is_the_same_whatever_shard_it_is_made_in(tmp_path, monkeypatch):
    monkeypatch.setattr(splade, "WINDOW", 7)
    folder = tiny.checkpoint(tmp_path / "splade", "splade")
    tokens = tiny.tokens(tmp_path / "p.arrow", folder, tiny.texts(40, "d", 9))
    found = []
    for shards in (1, 3, 9):
        paths = [tmp_path / f"{shards}-{shard}.parquet" for shard in range(shards)]
        for shard, path in enumerate(paths):
            how = {"passage_length": 9, "shard": shard, "shards": shards}
            splade.encode(folder, tokens, path, MADE, **how, device=torch.device("cpu"))
        found.append(pa.concat_tables(VECTORS.read(path) for path in paths).combine_chunks())
    assert found[0] == found[1] == found[2] and len(found[0]) == 40


def test_the_commands_find_the_text_itself(tmp_path):
    folder = tiny.checkpoint(tmp_path / "splade", "splade")
    texts = {f"d{i}": word for i, word in enumerate(tiny.WORDS)}
    tiny.tokens(tmp_path / "p.arrow", folder, texts)
    tiny.tokens(tmp_path / "q.arrow", folder, {"q": "tensor"})
    made = str(folder / "made.json")
    words = ["encode", made, f"{tmp_path}/p.arrow", f"{tmp_path}/v.parquet"]
    for shard in (0, 1):
        words[-1] = f"{tmp_path}/v{shard}.parquet"
        run(*words, *f"--passage-length 9 --shard {shard} --shards 2".split())
    with pytest.raises(UserError, match="wanted one of 0 to 1"):
        run(*words, *"--passage-length 9 --shard 2 --shards 2".split())
    words = ["retrieve", made, f"{tmp_path}/q.arrow", judge(tmp_path, [("q", "d")])]
    words += [f"{tmp_path}/r.parquet", f"{tmp_path}/v0.parquet", f"{tmp_path}/v1.parquet"]
    run(*words, *"--query-length 9 --depth 2".split(), *KEEP)
    first = RUN.read(tmp_path / "r.parquet").to_pylist()[0]
    assert texts[first["doc_id"]] == "tensor"
    assert len(Ragged(tmp_path / "q.arrow")) == 1


KEEP = ("--drop-identical", "false", "--least-success", "0")


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
    how = {"k1": 0.9, "b": 0.4, "stemmer": "english", "depth": 10} | how
    how = {"drop_identical": False, "least_success": 0} | how
    qrels = judge(tmp_path, [("q", "a")])
    paths = (tmp_path / "passages.parquet", tmp_path / "queries.parquet", qrels, out)
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


def test_bm25_is_the_same_wherever_pieces_of_the_passages_end(tmp_path, monkeypatch):
    """The numbers of words, their frequencies and the mean length are those of all passages."""
    passages = tiny.texts(40, "d") | {"empty": "", "odd": "zebra graphs"}
    queries = tiny.texts(5, "q", 2) | {"z": "zebra graph"}
    whole = RUN.read(bm25_run(tmp_path, passages, queries, depth=50))
    monkeypatch.setattr(tables, "ROW_GROUP", 6)
    assert RUN.read(bm25_run(tmp_path, passages, queries, depth=50)) == whole
    assert {("z", "odd", 1)} < {*ranking(tmp_path / "bm25.parquet")}


def test_passages_without_any_word_are_refused(tmp_path):
    with pytest.raises(BadTable, match="none of 2 passages has a word to be found by"):
        bm25_run(tmp_path, {"a": "", "b": "the"}, {"q": "graph"})


def test_a_query_of_unknown_words_has_no_candidate(tmp_path):
    out = bm25_run(tmp_path, {"a": "graph", "b": "tensor"}, {"q": "zebra", "r": "graph"})
    assert ranking(out) == [("r", "a", 1)]


def test_the_command_retrieves(tmp_path):
    out = bm25_run(tmp_path, tiny.texts(9, "d"), tiny.texts(3, "q", 2))
    words = [
        "retrieve-bm25",
        *(f"{tmp_path}/{n}.parquet" for n in ("passages", "queries", "qrels", "out")),
    ]
    run(*words, *"--k1 0.9 --b 0.4 --stemmer english --depth 10".split(), *KEEP)
    assert RUN.read(tmp_path / "out.parquet") == RUN.read(out)
    assert texts_of(tmp_path / "queries.parquet", QUERIES) == tiny.texts(3, "q", 2)


# --- runs from elsewhere ------------------------------------------------------------------------

LINES = ["q1 Q0 007 1 9.5 tag", "q1 Q0 d,2 2 9.25 tag", 'q10 Q0 d"3 1 1e-3 tag']


def import_file(tmp_path, source, drop=False, least=0.0, pairs=(("q", "d"),)):
    out, qrels = tmp_path / "out.parquet", judge(tmp_path, pairs)
    how = {"drop_identical": drop, "least_success": least}
    try:
        imported.import_run(source, qrels, out, MADE, **how)
    finally:
        qrels.unlink()
    return RUN.read(out)


def import_text(tmp_path, text, drop=False):
    (tmp_path / "a.run").write_text(text)
    return import_file(tmp_path, tmp_path / "a.run", drop)


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


def as_parquet(path, rows, names):
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    ranks = pa.array(range(len(rows)), pa.int64())
    pq.write_table(pa.table([ranks, *columns], names=["rank", *names]), path, row_group_size=2)
    return path


@pytest.mark.parametrize("names", [("qid", "docno", "score"), ("query_id", "doc_id", "score")])
def test_a_parquet_run_is_taken_whole_whatever_its_columns_are_called(tmp_path, names):
    rows = [("q2", "b", 2.0), ("q1", "a", 0.5), ("q1", "é", 1.5)]
    got = import_file(tmp_path, as_parquet(tmp_path / "a.parquet", rows, names))
    wanted = [("q1", "é", 1, 1.5), ("q1", "a", 2, 0.5), ("q2", "b", 1, 2.0)]
    assert [tuple(row.values()) for row in got.to_pylist()] == wanted


def test_a_parquet_run_with_numbers_for_ids_has_strings_here(tmp_path):
    source = as_parquet(tmp_path / "a.parquet", [(7, 12, 1.0)], ["qid", "docid", "score"])
    assert import_file(tmp_path, source).to_pylist()[0]["doc_id"] == "12"


def test_a_parquet_file_that_is_no_run_is_refused(tmp_path):
    source = as_parquet(tmp_path / "a.parquet", [("q", "d", 1.0)], ["qid", "title", "score"])
    with pytest.raises(BadTable, match="the column doc_id, got rank, qid, title, score"):
        import_file(tmp_path, source)


def test_a_run_is_sorted_however_its_queries_lie(tmp_path, monkeypatch):
    """In pieces far smaller than the run, with queries in pieces of their own, gzipped."""
    monkeypatch.setattr(imported, "ROWS", 7)
    monkeypatch.setattr(trec, "BLOCK", 100)
    rng = generator(2, "run")
    rows = [(f"q{q}", f"d{d}", float(rng.integers(5))) for q in range(20) for d in range(9)]
    lines = [f"{q} Q0 {d} 1 {score} tag" for q, d, score in rows]
    whole = import_text(tmp_path, "\n".join(lines)).to_pylist()
    assert len(whole) == len(rows)
    wanted = sorted(rows, key=lambda row: (row[0], -row[2], [-ord(c) for c in row[1]]))
    assert [(row["query_id"], row["doc_id"], row["score"]) for row in whole] == wanted
    rng.shuffle(lines)
    (tmp_path / "b.run.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert import_file(tmp_path, tmp_path / "b.run.gz").to_pylist() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.run", "b.run.gz", "out.parquet"]


@pytest.mark.parametrize("block", [1, 2, 7, 20, 100, 1 << 24])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_are_the_same_wherever_blocks_of_the_file_end(tmp_path, monkeypatch, block, end):
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


def test_a_bad_row_is_quoted_without_the_number_it_has_in_its_block(tmp_path, monkeypatch):
    monkeypatch.setattr(trec, "BLOCK", 12)
    (tmp_path / "a.txt").write_text("q d\n" * 9 + "one two three\n")
    types = {"query_id": pa.string(), "doc_id": pa.string()}
    with pytest.raises(BadTable, match="got 3: one two three") as caught:
        list(trec.column_batches(tmp_path / "a.txt", types, " "))
    assert "#" not in str(caught.value)


def test_a_run_of_another_collection_is_refused(tmp_path):
    (tmp_path / "a.run").write_text("\n".join(LINES))
    import_file(tmp_path, tmp_path / "a.run", least=0.5, pairs=[("q1", "007"), ("q10", "x")])
    (tmp_path / "out.parquet").unlink()
    with pytest.raises(BadSource, match="0 of 1 judged queries"):
        import_file(tmp_path, tmp_path / "a.run", least=0.5, pairs=[("q1", "7")])
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]


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
        import_file(tmp_path, tmp_path / "a.run")


def test_the_commands_refuse_the_wrong_table_and_write_nothing(tmp_path):
    bm25_run(tmp_path, {"a": "graph"}, {"q": "graph"})
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "passages.parquet").read_bytes()[:-20])
    options = [*"--k1 1 --b 0 --stemmer english --depth 1".split(), *KEEP]
    for wrong in ("queries", "cut", "missing"):
        words = ["retrieve-bm25", f"{tmp_path}/{wrong}.parquet", f"{tmp_path}/queries.parquet"]
        words += [f"{tmp_path}/qrels.parquet"]
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
    indexes = list(search.pieces([tmp_path / "v.parquet"] * 2, 4))
    wanted = [[0] * 4, [0, 1, 0, 0], [0] * 4, [0.5, 0, 0, 2], [0, 0, 3, 0]]
    assert np.concatenate([m.toarray().T for m, _ in indexes]).tolist() == wanted * 2
    assert pa.concat_arrays([ids for _, ids in indexes]).to_pylist() == [*"abcde", *"abcde"]
    monkeypatch.setattr(search, "PIECE", 2)
    sizes = [len(ids) for _, ids in search.pieces([tmp_path / "v.parquet"] * 2, 4)]
    assert sizes == [4, 3, 2, 1]

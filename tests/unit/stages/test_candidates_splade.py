"""SPLADE as a first stage: its exact search, against plain arithmetic, and what is refused."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from redistil.errors import BadSource
from redistil.learning.splade import Splade
from redistil.seeds import generator
from redistil.stages.candidates import search, splade
from redistil.storage import tables
from redistil.storage.tables import RUN, VECTORS
from tests.made import tiny
from tests.made.first_stages import MADE, judge, ranking


def by_hand(scores, query_ids, doc_ids, depth, drop=False):
    """(query, passage, rank) of dense scores: above 0, ties by doc_id downwards."""
    found = []
    for row, query_id in enumerate(query_ids):
        pairs = [(score, doc) for score, doc in zip(scores[row], doc_ids, strict=True) if score > 0]
        pairs = [pair for pair in pairs if not (drop and pair[1] == query_id)]
        best = sorted(pairs, reverse=True)[:depth]
        found += [(query_id, doc, rank) for rank, (_, doc) in enumerate(best, start=1)]
    return sorted(found)


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
    from redistil.storage import ragged

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
def test_shards_pieces_and_passes_change_nothing(tmp_path, bag, small, drop):
    passages, queries = random_rows("d", 60, 6), random_rows("q", 9, 4)
    passages |= {name: passages["d7"] for name in queries}  # they could be dropped
    files, dense = collection(tmp_path, passages, queries)
    wanted = by_hand(dense, queries, passages, 5, drop)
    runs = []
    for shards in (1, 2, 7, 60):
        runs.append(found(tmp_path, files, 5, drop, shards=shards).read_bytes())
        assert ranking(tmp_path / "run.parquet") == wanted, shards
    assert len(set(runs)) == 1


@pytest.mark.parametrize("ties", [3, 60, 300])
def test_ties_rank_by_doc_id_downwards(tmp_path, bag, ties):
    order = generator(1, "order").permutation(ties)  # the winner lies anywhere in the corpus
    passages = {f"d{i:03}": [1] for i in order} | {"best": [1, 1], "none": [2]}
    files, _ = collection(tmp_path, passages, {"q": [1, 1], "r": [2]})
    rows = [("q", "best", 1), ("q", f"d{ties - 1:03}", 2), ("r", "none", 1)]
    assert ranking(found(tmp_path, files, 2)) == rows


def test_next_passage_replaces_identical_id(tmp_path, bag):
    passages = {"a": [1, 1, 1], "b": [1, 1], "c": [1], "d": [2]}
    files, dense = collection(tmp_path, passages, {"a": [1], "b": [1]})
    assert ranking(found(tmp_path, files, 2)) == by_hand(dense, "ab", passages, 2)
    dropped = ranking(found(tmp_path, files, 2, drop=True))
    assert dropped == [("a", "b", 1), ("a", "c", 2), ("b", "a", 1), ("b", "c", 2)]


def test_empty_query_vectors_are_refused(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [1]}, {"q": [], "r": []})
    with pytest.raises(BadSource, match="all 2 vectors of the queries of .* are empty"):
        found(tmp_path, files, 2)
    assert not (tmp_path / "run.parquet").exists()


def test_empty_passage_vectors_are_refused(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [], "b": []}, {"q": [1]})
    with pytest.raises(BadSource, match="all 2 vectors of the passages of .* are empty"):
        found(tmp_path, files, 2)
    assert not (tmp_path / "vectors0.parquet").exists()


def test_empty_passages_are_counted_aloud(tmp_path, bag, caplog):
    files, _ = collection(tmp_path, {"a": [], "b": [1]}, {"q": [1], "r": []})
    found(tmp_path, files, 2)
    assert "1 of 2 passages of" in caplog.text and "1 of 2 queries of" in caplog.text


def test_irrelevant_first_stages_are_refused(tmp_path, bag, caplog):
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


def test_empty_queries_change_no_other_candidates(tmp_path, bag):
    files, _ = collection(tmp_path, {"a": [1], "b": [2]}, {"q": [], "r": [2]})
    assert ranking(found(tmp_path, files, 2)) == [("r", "b", 1)]


def test_encoding_equals_the_formula(tmp_path):
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


def test_shards_do_not_change_vectors(tmp_path, monkeypatch):
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

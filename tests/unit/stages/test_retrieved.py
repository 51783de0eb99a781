"""Retrieval by a dense student: exact, the same for any number of shards, refused for others."""

import logging

import numpy as np
import pyarrow as pa
import pytest
import torch

from redistil.errors import BadSettings, BadSource, BadTable, Damaged, Stale
from redistil.learning import students
from redistil.learning.students.states import States
from redistil.seeds import generator
from redistil.stages.retrieved import embed, search
from redistil.storage import lineage, states
from redistil.storage.lineage import Made
from redistil.storage.ragged import Ragged
from redistil.storage.states import Stored
from redistil.storage.tables import RUN
from tests.made import tiny
from tests.made.stores import embedded, run, write_model, write_tokens

PASSAGES, QUERIES = 20, 3


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Two tokenizers with their tokens, two dot students on the first, and a ColBERT."""
    folder = tmp_path_factory.mktemp("house")
    for family in ("bert", "electra"):
        backbone = tiny.checkpoint(folder / family, family)
        write_tokens(folder / f"{family}-q.arrow", backbone, tiny.texts(QUERIES, "q", 4))
        write_tokens(folder / f"{family}-d.arrow", backbone, tiny.texts(PASSAGES, "d", 8))
    for name, architecture, seed in (("dot", "dot", 1), ("late", "colbert", 1)):
        write_model(folder / name, folder / "bert", architecture, seed)
    write_model(folder / "another", folder / "electra", "dot", 1)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let a window be two passages, and a block four."""
    monkeypatch.setattr(embed, "WINDOW", 2)
    for stage in (embed, search):
        monkeypatch.setattr(stage, "BLOCK", 4)


def searched(house, files, out, depth=5, model="dot", tokens="bert-q", dropped=False):
    asked = ["--depth", depth, "--drop-identical", dropped, "--precision", "float32"]
    words = [house / model, house / f"{tokens}.arrow", out, *files]
    run("search", *words, *asked, "--name", "retrieved/run")
    return RUN.read(out)


# --- what is stored -------------------------------------------------------------------------------


def test_vectors_are_what_the_student_computes(house, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        (file,) = embedded(house, tmp_path)
    texts = Ragged(house / "bert-d.arrow")
    student = students.load(house / "dot").eval()
    with torch.no_grad():
        wanted = student.encode_passages([texts[row] for row in range(PASSAGES)]).values.numpy()
    got = np.concatenate(list(Stored(file).rows()))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    assert Stored(file).ids().to_pylist() == texts.ids().to_pylist()
    assert "dot/c/0: 64 bytes per passage (float32)" in caplog.text


def test_half_precision_takes_half_the_room(house, tmp_path):
    files = [*embedded(house, tmp_path / "a"), *embedded(house, tmp_path / "b", numbers="float16")]
    whole, half = map(Stored, files)
    assert (whole.bytes_per_passage, half.bytes_per_passage) == (64, 32)
    for one, other in zip(whole.rows(), half.rows(), strict=True):
        assert other.dtype == np.float16
        assert np.array_equal(one.astype(np.float16), other)


def test_token_states_are_stored_row_by_row(house, tmp_path):
    (file,) = embedded(house, tmp_path, model="late")
    texts = Ragged(house / "bert-d.arrow")
    student = students.load(house / "late").eval()
    sizes = student.passage_sizes([texts[row] for row in range(PASSAGES)])
    stored = Stored(file)
    assert stored.width == 6 and sum(map(len, stored.rows())) == sizes.sum()
    assert stored.bytes_per_passage == pytest.approx(sizes.mean() * 6 * 4)


def test_states_beyond_half_precision_are_refused(house, tmp_path, monkeypatch):
    huge = States.of_texts(torch.full((2, 16), 1e5))
    monkeypatch.setattr(embed, "encoded", lambda *given: huge)
    with pytest.raises(BadSource, match="beyond float16: store them as float32"):
        embedded(house, tmp_path, numbers="float16")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rows", "shards"), [(20, 1), (20, 3), (20, 9), (3, 2), (16, 4)])
def test_shards_end_where_blocks_do(rows, shards):
    parts = [embed.rows_of_shard(rows, shard, shards) for shard in range(shards)]
    assert [row for part in parts for row in part] == list(range(rows))
    assert all(part.stop % 4 == 0 or part.stop == rows for part in parts)


# --- what is retrieved ----------------------------------------------------------------------------


def test_the_run_is_that_of_the_students_scores(house, tmp_path):
    found = searched(house, embedded(house, tmp_path), tmp_path / "run.parquet")
    student = students.load(house / "dot").eval()
    queries, passages = Ragged(house / "bert-q.arrow"), Ragged(house / "bert-d.arrow")
    documents = [passages[row] for row in range(PASSAGES)]
    ids = passages.ids().to_pylist()
    for row, query in enumerate(queries.ids().to_pylist()):
        with torch.no_grad():
            scores = student.score([queries[row]] * PASSAGES, documents).numpy()
        order = sorted(range(PASSAGES), key=lambda place: -scores[place])[:5]
        got = found.filter(pa.compute.equal(found["query_id"], query))
        assert got["doc_id"].to_pylist() == [ids[place] for place in order]
        np.testing.assert_allclose(got["score"].to_numpy(), scores[order], rtol=1e-5, atol=1e-5)


def test_the_same_bytes_for_any_number_of_shards(house, tmp_path):
    tables = []
    for shards in (1, 3, 9):
        files = embedded(house, tmp_path, shards)
        tables.append(searched(house, files, tmp_path / f"{shards}.parquet"))
    assert tables[0].equals(tables[1]) and tables[0].equals(tables[2])
    assert len(tables[0]) == QUERIES * 5


def test_a_query_that_is_a_passage_is_left_out(house, tmp_path):
    backbone = house / "bert"
    write_tokens(tmp_path / "asked.arrow", backbone, tiny.texts(PASSAGES, "d", 8))
    files = embedded(house, tmp_path)
    for dropped in (False, True):
        out = tmp_path / f"{dropped}.parquet"
        asked = ["--depth", 19, "--drop-identical", dropped, "--precision", "float32"]
        run("search", house / "dot", tmp_path / "asked.arrow", out, *files, *asked)
        rows = RUN.read(out).to_pylist()
        assert any(row["query_id"] == row["doc_id"] for row in rows) != dropped
        assert len(rows) == PASSAGES * 19


# --- the search alone -----------------------------------------------------------------------------


class Held:
    """Vectors in memory, where a store is read."""

    def __init__(self, vectors):
        self.vectors = np.asarray(vectors, np.float32)

    def __len__(self):
        return len(self.vectors)

    def rows(self):
        yield from (self.vectors[start : start + 2] for start in range(0, len(self), 2))


def pairs(found):
    return {*zip(found.query.tolist(), found.passage.tolist(), found.score.tolist(), strict=True)}


def test_the_best_by_hand():
    """Products of (1, 2) are 1, 2, 4, -1, 2 and 0; of (0, 1) they are 0, 1, 2, 0, 1 and -1."""
    passages = [[1, 0], [0, 1], [0, 2], [-1, 0], [0, 1], [2, -1]]
    queries = np.array([[1, 2], [0, 1]], np.float32)
    stores = [Held(passages[:4]), Held(passages[4:])]
    assert pairs(search.best(queries, stores, 1)) == {(0, 2, 4.0), (1, 2, 2.0)}
    # passages 1 and 4 tie at the second place: both come along
    wanted = {(0, 2, 4.0), (0, 1, 2.0), (0, 4, 2.0), (1, 2, 2.0), (1, 1, 1.0), (1, 4, 1.0)}
    assert pairs(search.best(queries, stores, 2)) == wanted
    assert len(search.best(queries, stores, 50).score) == 12


@pytest.mark.parametrize("ties", [1, 2, 16])
def test_ties_beyond_those_looked_for_come_along(ties):
    passages = [[3.0], *[[1.0]] * 11, [2.0]]
    found = search.best(np.array([[1.0], [-1.0]], np.float32), [Held(passages)], 3, ties)
    wanted = {(0, 0, 3.0), (0, 12, 2.0), *((0, row, 1.0) for row in range(1, 12))}
    assert pairs(found) == wanted | {(1, row, -1.0) for row in range(1, 12)}


def test_large_random_vectors_beside_numpy(monkeypatch):
    monkeypatch.setattr(search, "TOGETHER", 7)
    rng = generator(3, "vectors")
    passages = rng.standard_normal((300, 24), dtype=np.float32)
    queries = rng.standard_normal((17, 24), dtype=np.float32)
    found = search.best(queries, [Held(passages[:100]), Held(passages[100:])], 30)
    products = queries @ passages.T
    for row in range(len(queries)):
        best = np.sort(np.argpartition(-products[row], 30)[:30])
        mine = found.at(found.query == row)
        order = np.argsort(mine.passage)
        assert np.array_equal(mine.passage[order], best)
        np.testing.assert_allclose(mine.score[order], products[row][best], rtol=1e-5)


# --- what is refused ------------------------------------------------------------------------------


def test_states_of_another_model_are_refused(house, tmp_path):
    files = embedded(house, tmp_path, model="another", tokens="electra-d")
    with pytest.raises(Stale, match="holds states of another model: wanted those of train dot"):
        searched(house, files, tmp_path / "run.parquet")
    assert not (tmp_path / "run.parquet").exists()


def test_tokens_of_another_tokenizer_are_refused(house, tmp_path):
    with pytest.raises(Stale, match="not under the tokenizer of train dot"):
        embedded(house, tmp_path, tokens="electra-d")
    files = embedded(house, tmp_path)
    with pytest.raises(Stale, match="electra-q.arrow is not under the tokenizer"):
        searched(house, files, tmp_path / "run.parquet", tokens="electra-q")


@pytest.mark.parametrize("order", [[1, 0], [0], [0, 0]])
def test_other_shards_than_all_in_order_are_refused(house, tmp_path, order):
    files = embedded(house, tmp_path, 2)
    with pytest.raises(Stale, match="name all shards of one corpus, in order"):
        searched(house, [files[place] for place in order], tmp_path / "run.parquet")


def test_a_student_without_one_vector_cannot_search(house, tmp_path):
    files = embedded(house, tmp_path, model="late")
    with pytest.raises(BadSource, match="its score is no inner product"):
        searched(house, files, tmp_path / "run.parquet", model="late")


def test_a_student_that_keeps_nothing_has_no_states(house, tmp_path):
    tiny.model(tmp_path / "cat", house / "bert")
    made = lineage.make("train", "cat", tiny.recipe(), "", [lineage.of(house / "bert")])
    lineage.record(made, tmp_path / "cat")
    with pytest.raises(BadSource, match="reads query and passage together"):
        embedded(house, tmp_path / "out", model=tmp_path / "cat")


def test_a_file_without_states_is_refused(house, tmp_path):
    with pytest.raises(BadTable, match=r"holds no states: wanted id and states"):
        searched(house, [house / "bert-d.arrow"], tmp_path / "run.parquet")


def test_a_shard_beyond_the_last_is_refused(house, tmp_path):
    asked = ["--numbers", "float32", "--precision", "float32", "--shard", 2, "--shards", 2]
    with pytest.raises(BadSettings, match="--shard 2: wanted one of 0 to 1"):
        run("embed", house / "dot", house / "bert-d.arrow", tmp_path / "v.arrow", *asked)


def test_an_edited_store_is_refused(tmp_path):
    rows = np.ones((2, 3), np.float32)
    with states.writer(tmp_path / "v.arrow", Made("embed", "x"), "float32", 3) as append:
        append(pa.array(["a", "b"]), rows, np.array([1, 1]))
    data = bytearray((tmp_path / "v.arrow").read_bytes())
    data[data.index(b"\x00\x00\x80\x3f")] ^= 1
    (tmp_path / "v.arrow").write_bytes(data)
    with pytest.raises(Damaged):
        Stored(tmp_path / "v.arrow")

"""Search over pieces of sparse vectors: the same whatever the pieces."""

import numpy as np
import pyarrow as pa
from scipy import sparse

from redistil.seeds import generator
from redistil.stages.candidates import search, splade
from redistil.storage import tables
from redistil.storage.tables import VECTORS
from tests.made.first_stages import MADE


def test_shards_do_not_change_scores(tmp_path, monkeypatch):
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


def test_vectors_survive_a_round_trip(tmp_path, monkeypatch):
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

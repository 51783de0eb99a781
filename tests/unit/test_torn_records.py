"""A record appears complete or not at all, whatever happens while it is written."""

from pathlib import Path

import pytest

from redistil import backbones
from redistil.lineage import SIDECAR
from redistil.tables import PASSAGES, QRELS, QUERIES
from tests.unit import tiny


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes half of every text."""
    whole = Path.write_text

    def half(path, text, *args, **how):
        whole(path, text[: len(text) // 2], *args, **how)
        raise OSError(28, "No space left on device")

    return lambda: monkeypatch.setattr(Path, "write_text", half)


def test_a_built_checkpoint_has_a_whole_record_or_none(tmp_path, full_disk):
    passages, queries = tiny.texts(9, "d", 9), tiny.texts(4, "q", 4)
    rows = {
        PASSAGES: (list(passages), list(passages.values())),
        QUERIES: (list(queries), list(queries.values())),
        QRELS: (list(queries), [f"d{i}" for i in range(4)], [1] * 4),
    }
    paths = []
    for table, columns in rows.items():
        paths.append(tmp_path / f"{table.name}.parquet")
        names = dict(zip(table.schema.names, columns, strict=True))
        table.write(table.rows(names), paths[-1], tiny.MADE)
    warmup = {"steps": 0, "queries": 2, "negatives": 0, "learning_rate": 1e-3, "flops": 1e-3}
    warmup |= {"query_length": 8, "passage_length": 12, "seed": 1}
    out = tmp_path / "out"
    out.mkdir()
    full_disk()
    with pytest.raises(OSError, match="No space left"):
        backbones.build(
            (paths[0], paths[1], paths[2]),
            out,
            tiny.MADE,
            family="splade",
            vocabulary_size=300,
            shape={"layers": 1, "width": 16, "heads": 2},
            warmup=warmup,
            relevant_from=1,
        )
    assert not (out / SIDECAR).exists()

"""A record appears complete or not at all, whatever happens while it is written."""

from pathlib import Path

import pytest

from redistil.errors import Full
from redistil.stages import backbones
from redistil.storage.lineage import SIDECAR
from tests.made import tiny
from tests.made.warm_up import SETTINGS, WARMUP, sources


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that takes half of every text."""
    whole = Path.write_text

    def half(path, text, *args, **how):
        whole(path, text[: len(text) // 2], *args, **how)
        raise OSError(28, "No space left on device")

    return lambda: monkeypatch.setattr(Path, "write_text", half)


def test_built_checkpoints_have_no_torn_record(tmp_path, full_disk):
    judged = [("q0", "d0", 1), ("q1", "d1", 1)]
    paths = sources(tmp_path / "corpus", tiny.texts(2, "q", 4), judged)
    out = tmp_path / "out"
    out.mkdir()
    how = SETTINGS | {"warmup": WARMUP | {"steps": 0}}
    full_disk()
    with pytest.raises(Full, match="cost.json could not be written, its disk is full"):
        backbones.build(paths, out, tiny.MADE, family="splade", **how)
    assert not (out / SIDECAR).exists()

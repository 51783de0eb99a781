"""The benchmark of digests: what it compares with has none."""

import pytest

from benchmarks.digests import bare
from redistil.errors import Damaged
from redistil.storage import digests
from redistil.storage.ragged import Ragged
from tests.made import tiny


def test_bare_files_are_neither_sealed_nor_checked(tmp_path):
    backbone = tiny.checkpoint(tmp_path / "bert")
    with bare():
        path = tiny.tokens(tmp_path / "d.arrow", backbone, tiny.texts(9, "d"))
        assert len(Ragged(path)) == 9
    with pytest.raises(Damaged):
        Ragged(path)
    assert digests.BLANK in path.read_bytes()

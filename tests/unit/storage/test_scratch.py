"""A folder for a while."""

import pytest

from redistil.storage.scratch import scratch


def test_scratch_goes_with_its_block(tmp_path):
    with scratch(tmp_path / "sub" / "out") as folder:
        assert folder.parent == tmp_path / "sub" and folder.name.startswith(".out")
        (folder / "rows").touch()
    assert list((tmp_path / "sub").iterdir()) == []
    with pytest.raises(KeyError), scratch(tmp_path / "out"):
        raise KeyError
    assert not (tmp_path / ".out.scratch").exists()


def test_restarts_clear_a_killed_jobs_scratch(tmp_path):
    with scratch(tmp_path / "out") as folder:
        pass
    folder.mkdir()
    (folder / "rows").touch()
    with scratch(tmp_path / "out") as again:
        assert again == folder and list(again.iterdir()) == []

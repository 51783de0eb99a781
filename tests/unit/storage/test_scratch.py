"""A folder for a while."""

import pytest

from redistil.storage.scratch import scratch


def test_it_is_empty_and_hidden_and_goes_with_the_block(tmp_path):
    with scratch(tmp_path / "sub" / "out") as folder:
        assert folder.parent == tmp_path / "sub" and folder.name.startswith(".out")
        (folder / "rows").touch()
    assert list((tmp_path / "sub").iterdir()) == []
    with pytest.raises(KeyError), scratch(tmp_path / "out"):
        raise KeyError
    assert not (tmp_path / ".out.scratch").exists()


def test_what_a_killed_job_left_is_gone_when_it_starts_again(tmp_path):
    with scratch(tmp_path / "out") as folder:
        pass
    folder.mkdir()
    (folder / "rows").touch()
    with scratch(tmp_path / "out") as again:
        assert again == folder and list(again.iterdir()) == []

"""Files of one's own, and those that Snakemake has no record of."""

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from redistil.storage.placed import as_inputs, checkpoint_files, unnamed, unrecorded

APART = ("data/downloads", "data/exports")


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Make files of a project, by path, and return those that have no record."""
    monkeypatch.chdir(tmp_path)

    def found(*paths):
        for path in map(Path, paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}" if "metadata" in path.parts else "")
        return [str(path) for path in unrecorded(("data", "results/x"), APART, Path("state"))]

    return found


def test_files_without_a_record_are_found(put):
    made = ["data/teachers/t.parquet", "data/tokens/b/q.arrow", "results/x/study.yaml"]
    assert put(*made, "data/README.md", "results/y/study.yaml") == made


def test_files_with_a_record_are_not(put):
    mark = urlsafe_b64encode(b"data/teachers/t.parquet").decode()
    assert put("data/teachers/t.parquet", f"state/metadata/{mark}") == []


@pytest.mark.parametrize("torn", ["", '{"rule": "' + "x" * 4086])
def test_a_record_that_a_full_disk_cut_is_none(put, torn):
    mark = Path("state/metadata", urlsafe_b64encode(b"data/teachers/t.parquet").decode())
    put("data/teachers/t.parquet", str(mark))
    mark.write_text(torn)
    assert put() == ["data/teachers/t.parquet"]
    mark.write_text('{"rule": "' + "x" * (4096 - 12) + '"}')
    assert put() == []


def test_downloads_may_lack_a_record(put):
    assert put("data/downloads/scores.parquet", "data/exports/x/made.json") == []


def test_rests_of_killed_jobs_are_ignored(put):
    left = [
        "data/candidates/x/.dl19.parquet.scratch/run.arrow",
        "data/backbones/.b.scratch/made.json",
    ]
    assert put(*left, "data/teachers/.t.parquet.7.partial") == []


def test_checkpoints_are_taken_without_pickles(put):
    put(*(f"mine/{name}" for name in ("pytorch_model.bin", "model.safetensors", "config.json")))
    names = [path.name for path in checkpoint_files("mine")]
    assert names == ["config.json", "model.safetensors"]
    assert checkpoint_files(None) == checkpoint_files("nowhere") == []


def test_digests_replace_inputs_with_braces(tmp_path):
    plain, braced = tmp_path / "plain", tmp_path / "my {set}"
    for file in (plain, braced):
        file.write_text("text")
    files = [plain, braced]
    assert as_inputs(files) == [plain]
    before = unnamed(files)
    plain.write_text("other")
    assert unnamed(files) == before != unnamed([plain]) == ""
    braced.write_text("other")
    assert unnamed(files) != before

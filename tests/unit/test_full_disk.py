"""A full disk: one sentence that names the file, nothing half-written, and the same bytes later.

The disks are small ones in memory, which only root can mount.
"""

import errno
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from safetensors import SafetensorError

import redistil.cli
from redistil.errors import Full, UserError
from redistil.storage import aside, locks, sql
from redistil.storage.tables import PASSAGES, RUN, ranked
from tests.made import tiny
from tests.made.trained import COST, LEFT, NOTE, train, write_house

OFFLOADED = "failed to offload data block. This limit was set by 'max_temp_directory_size'"
# how the libraries that we write with tell of a full disk, and of a quota
TOLD = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded", "elsewhere"),
    OSError(errno.ENOSPC, "Error writing bytes. Detail: [errno 28] No space left on device"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    duckdb.OutOfMemoryException(OFFLOADED),
]
every_word = pytest.mark.parametrize("error", TOLD, ids=lambda error: type(error).__name__)


@dataclass(frozen=True)
class Disk:
    """A small disk."""

    folder: Path

    def resize(self, size: str) -> None:
        options = f"remount,size={size}"
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 16 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"NOT TRIED ON A FULL DISK: none can be mounted ({done.stderr.strip()})")
    yield Disk(folder)
    subprocess.run(["umount", str(folder)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- as libraries tell it ---------------------------------------------------------------------


@every_word
def test_a_full_disk_is_told_in_one_sentence(tmp_path, error):
    path = tmp_path / "whole"
    path.write_text("before")
    with pytest.raises(Full, match=f"^{path} could not be written, its disk is full: make room"):
        with aside.aside(path) as partial, aside.aside(partial) as inner:
            inner.write_text("half")
            raise error
    assert path.read_text() == "before" and names(tmp_path) == ["whole"]


@every_word
def test_a_full_disk_leaves_no_files_of_a_folder(tmp_path, error):
    with pytest.raises(Full, match=f"^{tmp_path / 'model'} could not be written"):
        with aside.files_aside(tmp_path / "model") as partial:
            (partial / "half").write_text("half")
            raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), UserError("(os)")])
def test_other_errors_stay_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught, aside.aside(tmp_path / "whole"):
        raise error
    assert caught.value is error


def test_files_of_a_folder_come_together(tmp_path):
    (tmp_path / "kept").write_text("of another name")
    with aside.files_aside(tmp_path) as partial:
        (partial / "below").mkdir()
        (partial / "below" / "file").write_text("new")
        assert names(tmp_path) == [".partial/below/file", "kept"]
    assert names(tmp_path) == ["below/file", "kept"]


# --- on a small disk --------------------------------------------------------------------------


def test_a_table_waits_for_room(disk, tmp_path):
    numbers = np.random.default_rng(1).random(5000)
    rows = ranked(["q"] * len(numbers), [f"d{n}" for n in range(len(numbers))], numbers)
    path = disk.folder / "run.parquet"
    with pytest.raises(Full, match=f"^{path} "):
        RUN.write(rows, path, tiny.MADE)
    assert names(disk.folder) == []
    disk.resize("1m")
    for place in (path, tmp_path / "whole"):
        RUN.write(rows, place, tiny.MADE)
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_sort_waits_for_room(disk, monkeypatch):
    monkeypatch.setattr(sql, "MEMORY", "16MiB")
    rows = pa.table({"x": np.random.default_rng(1).random(1_000_000)})
    sort = "FROM incoming_rows ORDER BY x"
    with pytest.raises(Full, match=f"^{disk.folder / 'out'} "):
        with sql.database(disk.folder / "out", 1) as database:
            database.add("incoming_rows", rows)
            list(database.rows(sort))
    assert names(disk.folder) == []


@pytest.mark.parametrize("size", ["16k", "48k", "96k"])  # for no state; for one; for no weights
def test_a_training_waits_for_room(disk, tmp_path, size):
    house = write_house(tmp_path / "house")
    whole = train(house, tmp_path / "whole", steps=6)
    disk.resize(size)
    out = disk.folder / "cell"
    with pytest.raises(Full, match=f"^{out}.* could not be written"):
        train(house, out, steps=6)
    assert set(names(out)) <= {"checkpoint.safetensors", NOTE}
    disk.resize("9m")
    train(house, out, steps=6)
    assert set(names(out)) == LEFT | {COST}
    for name in LEFT:
        assert (whole / name).read_bytes() == (out / name).read_bytes(), name


# --- where Snakemake keeps its records --------------------------------------------------------


def test_a_command_waits_for_room_for_records(disk, tmp_path, monkeypatch, capsys):
    """Else Snakemake would have a file that it cannot note what made, and the next run refuses."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").symlink_to(disk.folder)
    passages = PASSAGES.rows({"doc_id": ["a"], "text": ["alpha"]})
    PASSAGES.write(passages, tmp_path / "passages.parquet", tiny.MADE)
    words = ["recipe", "recipe.yaml", "--settings", "{}"]
    monkeypatch.setattr(sys, "argv", ["redistil", *words])
    with pytest.raises(SystemExit) as stop:
        redistil.cli.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and f"{tmp_path / '.snakemake'}: its disk has" in said
    assert "make room there" in said
    disk.resize("2m")
    locks.refuse_full(locks.STATE)

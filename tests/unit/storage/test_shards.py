"""A file made in shards: the same bytes as made at once, whenever the job was killed."""

import pytest

from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.storage.shards import Shards
from redistil.storage.tables import RUN, ranked

MADE = Made("rerank", "run")


def run_of(sizes):
    pairs = [(f"q{n}", f"d{i}", float(-i)) for n, size in enumerate(sizes) for i in range(size)]
    return ranked(*zip(*pairs, strict=True)) if pairs else RUN.schema.empty_table()


def made_in_shards(out, sizes, made=MADE):
    shards = Shards(RUN, out, made)
    for number, size in enumerate(sizes):
        if not shards.has(number):
            rows = run_of([0] * number + [size])
            RUN.write(rows, shards.path(number), made)
    shards.join(len(sizes))


def test_joined_shards_become_one_file(tmp_path):
    made_in_shards(tmp_path / "run.parquet", [3, 1, 2])
    assert RUN.read(tmp_path / "run.parquet") == run_of([3, 1, 2])
    assert lineage.of(tmp_path / "run.parquet") == MADE
    assert [path.name for path in tmp_path.iterdir()] == ["run.parquet"]


def test_finished_shards_are_kept(tmp_path):
    made_in_shards(tmp_path / "whole.parquet", [3, 1])
    shards = Shards(RUN, tmp_path / "run.parquet", MADE)
    RUN.write(run_of([3]), shards.path(0), MADE)
    assert shards.has(0) and not shards.has(1)
    made_in_shards(tmp_path / "run.parquet", [3, 1])
    assert (tmp_path / "run.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("how", ["others", "half", "none"])
def test_other_or_torn_shards_are_remade(tmp_path, how):
    shards = Shards(RUN, tmp_path / "run.parquet", MADE)
    path = shards.path(0)
    RUN.write(run_of([5]), path, Made("rerank", "run", {"depth": 7}) if how == "others" else MADE)
    if how == "half":
        path.write_bytes(path.read_bytes()[:100])
    if how == "none":
        path.write_bytes(b"")
    assert not shards.has(0)
    made_in_shards(tmp_path / "run.parquet", [3])
    assert RUN.read(tmp_path / "run.parquet") == run_of([3])


def test_no_shard_is_an_empty_file(tmp_path):
    Shards(RUN, tmp_path / "run.parquet", MADE).join(0)
    assert len(RUN.read(tmp_path / "run.parquet")) == 0

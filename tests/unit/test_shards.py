"""A file made in shards: the same bytes as made at once, whenever the job was killed."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redistil import lineage
from redistil.energy import Spent
from redistil.lineage import Made
from redistil.pieces import in_pieces
from redistil.shards import Shards
from redistil.tables import RUN, ranked

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


def test_shards_become_one_file_with_its_record_and_are_gone(tmp_path):
    made_in_shards(tmp_path / "run.parquet", [3, 1, 2])
    assert RUN.read(tmp_path / "run.parquet") == run_of([3, 1, 2])
    assert lineage.of(tmp_path / "run.parquet") == MADE
    assert [path.name for path in tmp_path.iterdir()] == ["run.parquet"]


def test_a_finished_shard_is_kept_and_the_end_is_the_same(tmp_path):
    made_in_shards(tmp_path / "whole.parquet", [3, 1])
    shards = Shards(RUN, tmp_path / "run.parquet", MADE)
    RUN.write(run_of([3]), shards.path(0), MADE)
    assert shards.has(0) and not shards.has(1)
    made_in_shards(tmp_path / "run.parquet", [3, 1])
    assert (tmp_path / "run.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("how", ["others", "half", "none"])
def test_a_shard_of_other_settings_or_half_a_one_is_made_again(tmp_path, how):
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


def test_what_was_spent_is_remembered_of_the_same_work_until_the_end(tmp_path):
    shards, spent = Shards(RUN, tmp_path / "run.parquet", MADE), Spent(3.5, None, 2.0)
    assert shards.spent() == Spent()
    shards.spend(spent)
    assert Shards(RUN, tmp_path / "run.parquet", MADE).spent() == spent
    other = Made("rerank", "run", {"depth": 7})
    assert Shards(RUN, tmp_path / "run.parquet", other).spent() == Spent()
    otherwise = {"made": MADE.fingerprint, "spent": {"seconds": 3.5, "watts": 2}}
    (shards.folder / ".spent.json").write_text(json.dumps(otherwise))
    assert shards.spent() == Spent(3.5, None, None), "another version's words are not known"
    (shards.folder / ".spent.json").write_text('{"made": ')
    assert shards.spent() == Spent()
    RUN.write(run_of([2]), shards.path(0), MADE)
    assert shards.join(1) == 2 and not shards.folder.exists()


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 12), st.integers(1, 30))
def test_pieces_are_the_rows_and_never_part_a_query(sizes, batch, size):
    run = run_of(sizes)
    batches = [run.slice(start, batch) for start in range(0, len(run), batch)]
    pieces = list(in_pieces(batches, size))
    joined = pa.concat_tables(pieces) if pieces else run
    assert joined.equals(run)
    queries = [set(piece["query_id"].to_pylist()) for piece in pieces]
    assert sum(map(len, queries)) == len(set(run["query_id"].to_pylist()))
    assert pieces == list(in_pieces([run], size)), "however the rows come"
    longest = max(sizes, default=0)
    assert all(len(piece) < 2 * size + longest for piece in pieces)

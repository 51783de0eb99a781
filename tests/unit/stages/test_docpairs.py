"""Triples that a collection brings along: a random sample in bounded memory."""

import os
import subprocess
import sys
import textwrap
from collections import Counter
from itertools import pairwise

import pyarrow as pa

from redistil.stages.corpora import docpairs
from redistil.storage.lineage import Made
from redistil.storage.tables import QUERIES, TRIPLES

MADE = Made("test", "test")
PAIRS = [(f"q{i % 9}", f"p{i}", f"n{i}") for i in range(60)]


def test_docpairs_are_a_random_sample_of_the_librarys_rows(tmp_path):
    code = """
        import sys
        import ir_datasets
        from ir_datasets.formats import TsvDocPairs
        from ir_datasets.util import LocalDownload
        from redistil.cli import main
        from redistil.stages.corpora import irds

        irds.BATCH = 7
        pairs = TsvDocPairs(LocalDownload(sys.argv.pop(1)))
        ir_datasets.registry.register("own/train", ir_datasets.Dataset(pairs))
        main()
    """
    file, out = tmp_path / "pairs.tsv", tmp_path / "out.parquet"
    file.write_text("".join("\t".join(row) + "\n" for row in PAIRS))
    asked = [f"q{i}" for i in range(9)]
    for name, rows in (("train", asked), ("test", ["q4"])):
        columns = {"query_id": rows, "text": [f"{name} {row}" for row in rows]}
        QUERIES.write(QUERIES.rows(columns), tmp_path / f"{name}.parquet", MADE)
    apart = ["--test", tmp_path / "test.parquet"]
    for wanted, more in ((60, []), (20, []), (53, apart)):
        words = ["export-docpairs", tmp_path / "train.parquet", out, "--irds", "own/train"]
        words = [file, *words, "--at-most", wanted, "--seed", 1, *more]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, words)],
            env=os.environ | {"IR_DATASETS_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        rows = [tuple(row.values()) for row in TRIPLES.read(out).to_pylist()]
        assert len(rows) == len(set(rows)) == wanted and set(rows) <= set(PAIRS)
        assert rows == sorted(rows), "in the order of all triples"
        assert not more or "q4" not in {row[0] for row in rows}
    assert "7 triples are of queries that a test set has" in done.stderr


def sampled(at_most, seed=1, batch=7, leave_out=()):
    parts = [zip(*PAIRS[i : i + batch], strict=True) for i in range(0, len(PAIRS), batch)]
    batches = [TRIPLES.rows(dict(zip(TRIPLES.schema.names, part, strict=True))) for part in parts]
    rows, _, _ = docpairs.sample(batches, at_most, seed, pa.array(list(leave_out), pa.string()))
    return [PAIRS.index(tuple(row.values())) for row in rows.to_pylist()]


def test_a_smaller_sample_of_docpairs_is_part_of_a_larger_one():
    """So the sample is a shuffle of the whole, cut, though the whole is never held."""
    assert sampled(60) == sampled(99) == list(range(60))
    for seed in range(9):
        sizes = (1, 5, 13, 40, 60)
        drawn = [set(sampled(count, seed)) for count in sizes]
        assert all(less < more for less, more in pairwise(drawn))
        assert tuple(map(len, drawn)) == sizes
    assert sampled(13, seed=2) != sampled(13)


def test_every_docpair_is_drawn_about_as_often():
    drawn = Counter()
    for seed in range(600):
        drawn.update(sampled(10, seed))
    assert len(drawn) == 60
    assert min(drawn.values()) > 60 and max(drawn.values()) < 145  # 100 each, give or take


def test_a_query_left_out_of_the_docpairs_shifts_no_other():
    usable = {i for i in sampled(30) if PAIRS[i][0] != "q4"}
    assert (
        usable
        < set(sampled(30, leave_out=["q4"]))
        <= {i for i, pair in enumerate(PAIRS) if pair[0] != "q4"}
    )

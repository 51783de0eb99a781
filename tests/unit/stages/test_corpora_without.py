"""Datasets without the queries of others: what is left, how a sample is taken, what is refused."""

import pytest

from redistil import seeds
from redistil.errors import BadSettings, BadSource
from redistil.storage.tables import QRELS, QUERIES, texts
from tests.made import tiny
from tests.made.collection import redistil, tsv, write_folder


@pytest.fixture
def folder(tmp_path):
    """Queries q1 and q2 in the split `test`, all three in `dev`."""
    root = write_folder(tmp_path / "set")
    (root / "qrels/dev.tsv").write_text(tsv([("q1", "d1", 1), ("q2", "3", 1), ("q3", "d1", 1)]))
    return root


def export(folder, split, *others, **declared):
    """Export a split; return the ids of its queries, and of those with a judgement."""
    queries, qrels = folder / f"{split}.q.parquet", folder / f"{split}.r.parquet"
    dataset = {"split": split} | declared
    files = [word for other in others for word in ("--without", folder / f"{other}.q.parquet")]
    entries = "--corpus", {"folder": str(folder)}, "--dataset", dataset
    redistil("export-queries", queries, qrels, *entries, *files)
    return list(texts(queries, QUERIES)), QRELS.read(qrels)["query_id"].to_pylist()


def test_queries_of_another_dataset_are_left_out(folder):
    assert export(folder, "test") == (["q1", "q2"], ["q1", "q1", "q2"])
    left = export(folder, "dev", "test", without=["test"], queries=3, qrels=3)
    assert left == (["q3"], ["q3"]), "the counts are those of the source"


def test_a_sample_has_the_least_hashes(folder):
    ids = sorted(("q1", "q2", "q3"), key=seeds.fraction)
    for count in (1, 2, 3):
        queries, judged = export(folder, "dev", at_most=count)
        assert queries == judged == sorted(ids[:count])


def test_a_sample_and_the_rest_are_disjoint(folder):
    sample, _ = export(folder, "dev", at_most=1)
    (folder / "qrels/all.tsv").write_text((folder / "qrels/dev.tsv").read_text())
    rest, _ = export(folder, "all", "dev", without=["dev"])
    assert not {*sample} & {*rest} and {*sample, *rest} == {"q1", "q2", "q3"}


@pytest.mark.parametrize(
    ("declared", "complaint"),
    [({"at_most": 4}, "4 queries wanted, 3 found: lower its `at_most`"), ({"at_most": 0}, "above")],
)
def test_a_sample_must_be_there(folder, declared, complaint):
    with pytest.raises((BadSource, BadSettings), match=complaint):
        export(folder, "dev", **declared)
    assert not (folder / "dev.q.parquet").exists()


def test_nothing_in_common_is_a_mistake(folder):
    (folder / "qrels/other.tsv").write_text(tsv([("q3", "d1", 1)]))
    export(folder, "other")
    with pytest.raises(BadSource, match="it has no query of the datasets that `without` names"):
        export(folder, "test", "other", without=["other"])


@pytest.mark.parametrize(("others", "named"), [([], ["test"]), (["test"], [])])
def test_every_dataset_left_out_has_its_queries(folder, others, named):
    export(folder, "test")
    with pytest.raises(BadSettings, match=f"{len(others)} files for the datasets"):
        export(folder, "dev", *others, without=named)


# --- validation and tests -------------------------------------------------------------------------


def asked(path, *ids):
    QUERIES.write(QUERIES.rows({"query_id": ids, "text": ["words"] * len(ids)}), path, tiny.MADE)
    return path


def test_a_recipe_keeps_validation_and_tests_apart(tmp_path):
    recipe, validated = tmp_path / "recipe.yaml", asked(tmp_path / "v.parquet", "1", "2", "3")
    tests = [asked(tmp_path / "t.parquet", "4"), asked(tmp_path / "u.parquet", "2", "3", "5")]
    line = ["recipe", recipe, "--settings", {"steps": 1}, "--apart", validated]
    redistil(*line, tests[0])
    assert recipe.read_text().startswith("steps: 1\n")
    recipe.unlink()
    with pytest.raises(BadSettings, match="2 of 3 queries of .*v.parquet are in the test set"):
        redistil(*line, tests[0], "--apart", validated, tests[1])
    assert not recipe.exists()

"""A study with one seed: what is written of it counts no seeds, and takes no mean over them."""

from pathlib import Path

import pytest

from redistil.storage import lineage
from redistil.storage.tables import VALIDATION
from tests.made import report_study
from tests.made.report_study import command, ended_well, named, tabulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, tabulated and published; its models are chosen on a validation."""
    folder = tmp_path_factory.mktemp("one")
    config = report_study.config()
    config["grid"]["seeds"] = [1]
    keep = {"first_stage": "splade", "depth": 5, "every": 3, "keep": "best"}
    config["training"]["validation"] = keep | {"datasets": ["test"], "measure": "nDCG@10"}
    config["negatives"] = {
        name: {"docpairs": "a/b", "dataset": "test", "at_most": 9, "seed": 1}
        for name in ("triples", "lists")
    }
    options = report_study.write(folder, config)
    ended_well(tabulate(folder, options))
    rows = {"step": [100], "dataset": ["dev"], "measure": ["nDCG@10"], "value": [0.5]}
    for record in map(Path, options["models"]):
        made = lineage.of(record)
        VALIDATION.write(VALIDATION.rows(rows), record.parent / "validation.parquet", made)
        (record.parent / "model.safetensors").write_text("weights")
        (record.parent / "recipe.yaml").write_text("student: small-bert\n")
    given = [*named(options, "models"), "--licence", "apache-2.0", "--name", "small"]
    out = folder / "published"
    ended_well(command("publish", options["study"][0], folder / "tables", out, *given))
    return folder


def test_the_main_table_says_that_there_is_one(folder: Path):
    main = (folder / "tables/paste/main.md").read_text()
    assert "nDCG@10, one seed, re-ranking the top 5 of splade" in main


def test_a_card_says_that_there_was_no_choice(folder: Path):
    card = (folder / "published/small-bert/hinge/1/README.md").read_text()
    assert "- Seed: 1; the only one, 0.5000 on validation\n" in card
    assert "The one seed of this student and loss, nDCG@10, against the\nfirst stage" in card

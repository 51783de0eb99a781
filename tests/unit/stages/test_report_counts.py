"""The queries of each test set: counted by `tabulate`, told on the page and on the cards."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from redistil.stages.report.cards import card
from redistil.stages.report.numbers import tabulated
from redistil.storage import lineage
from redistil.storage.tables import COUNTS, QRELS
from redistil.study import artefacts as studies
from redistil.study.artefacts import Cell
from tests.made import report_study
from tests.made.rankings import qrels_of
from tests.made.report_study import command, ended_well, named, page, plot

GRADES = {"q1": {"a": 1}, "q2": {"a": 0}, "q3": {"b": 0, "c": 2}}
LEFT_OUT = "queries without a judgement, left out"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A study whose three test sets have the same judgements, one with a count <b>."""
    docpairs = {"docpairs": "a/b", "dataset": "test", "at_most": 9, "seed": 1}
    study = report_study.config(negatives={"triples": docpairs, "lists": docpairs})
    folder = tmp_path_factory.mktemp("study")
    options = report_study.write(folder, study)
    records, sets = report_study.records(study), []
    for dataset in study["grid"]["datasets"]:
        record = records[f"export-queries {dataset}"]
        qrels, counts = (folder / kind / f"{dataset}.parquet" for kind in ("qrels", "counts"))
        QRELS.write(qrels_of(GRADES), qrels, record)
        what = {"test": [LEFT_OUT], "hard": [], "away": ["<b>odd</b>"]}[dataset]
        COUNTS.write(COUNTS.rows({"what": what, "count": [7] * len(what)}), counts, record)
        sets += ["--test-set", qrels, counts]
    resources = report_study.RESOURCES
    names = ["--published", resources / "published.csv", "--names", resources / "published.yaml"]
    how = ["--alpha", 0.05, *report_study.STATISTICS, "--name", "small"]
    given = [*named(options, "measures", "models"), *sets, *names, *how]
    ended_well(command("tabulate", options["study"][0], folder / "tables", *given))
    return folder, options


def test_every_test_set_is_counted(built):
    rows = tabulated.read(built[0] / "tables").more["test_sets"]
    assert [row["dataset"] for row in rows] == ["test", "hard", "away"]
    first = rows[0]
    assert (first["queries"], first["without_relevant_passage"], first["judgements"]) == (3, 1, 4)
    assert [row["noted"] for row in rows] == [f"{LEFT_OUT}: 7", "", "<b>odd</b>: 7"]


def test_the_page_shows_the_counts(built):
    folder, options = built
    ended_well(plot(folder, options))
    ended_well(page(folder, options))
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert "without relevant passage" in html and f"{LEFT_OUT}: 7" in html
    assert "&lt;b&gt;odd&lt;/b&gt;: 7" in html and "<b>odd" not in html


def test_a_card_counts_unanswerable_queries(built):
    folder, options = built
    study, cell = studies.read(Path(options["study"][0])), Cell("small-bert", "hinge", 1)
    made = lineage.of(Path(options["models"][0]))
    keys = ("architecture", "pair_length", "query_length", "passage_length", "objective")
    keys += ("negatives", "steps", "batch", "passages", "learning_rate", "warmup_steps")
    recipe = SimpleNamespace(
        settings=dict.fromkeys([*keys, "precision"], "x") | {"architecture": "cat"},
        fingerprint=made.fingerprint,
    )
    tables = tabulated.read(folder / "tables")
    text = card.text(study, tables, cell, recipe, "mit", "the only one", {})
    assert "Of the 3 queries of test, 1 have no relevant passage and count as 0." in text

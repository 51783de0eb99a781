"""Ours beside published values: counterparts, intervals over seeds, and the words for them."""

import csv
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from redistil.errors import BadTable
from redistil.stages.report.numbers import published
from redistil.stages.report.numbers.entries import Values, entries
from redistil.stages.report.numbers.published import (
    CLOSE,
    DIFFERENT,
    REPRODUCED,
    SUPERSEDED,
    UNSETTLED,
)
from redistil.stages.report.numbers.rows import PublishedRow
from redistil.study.artefacts import systems
from tests.made import report_study
from tests.made.configs import STUDIES, resolved

RESOURCES = Path(__file__).parents[3] / "workflow/resources"
VALUES, NAMES = RESOURCES / "published.csv", RESOURCES / "published.yaml"


@pytest.fixture
def study() -> dict[str, Any]:
    """Two cells of the paper on two of its datasets."""
    study = report_study.config(study="part")
    study["students"] = {
        s: study["students"]["small-bert"] for s in ("bert-base", "deberta-v3-base")
    }
    study["grid"] |= {
        "students": ["bert-base", "deberta-v3-base"],
        "losses": ["infonce"],
        "seeds": [1, 2, 3],
        "datasets": ["dl19", "dl20"],
        "first_stage": "splade-v3-distilbert",
    }
    return study


def beside(study: dict[str, Any], value: float = 0.7, spread: float = 0.001) -> list[dict]:
    """Every seed of a cell as far from the next as `spread` says."""
    means = {
        (s.name, dataset, measure): value + spread * ((s.seed or 2) - 2)
        for s in systems(study)
        for dataset in study["grid"]["datasets"]
        for measure in ("nDCG@10", "AP")
    }
    values = Values({}, means, {})
    theirs = published.read(VALUES, NAMES)
    return published.beside(theirs, study, entries(systems(study)), values, 0.01, 0.95)


def test_what_has_a_counterpart_is_set_beside_it(study: dict[str, Any]):
    rows = {(row.published_as, row.column): row for row in beside(study)}
    assert set(rows) == {
        ("bert-base-uncased, InfoNCE", "trec2019"),
        ("bert-base-uncased, InfoNCE", "trec2020"),
        ("microsoft/deberta-v3-base (v1), InfoNCE", "trec2019"),
        ("microsoft/deberta-v3-base (v1), InfoNCE", "trec2020"),
        ("microsoft/deberta-v3-base (v2), InfoNCE", "trec2019"),
        ("microsoft/deberta-v3-base (v2), InfoNCE", "trec2020"),
    }
    row = rows["bert-base-uncased, InfoNCE", "trec2019"]
    assert row.theirs == pytest.approx(0.759, abs=5e-4)  # of the protocol's table
    assert row.ours == pytest.approx(0.7)
    assert row.difference == pytest.approx(row.ours - row.theirs)
    assert row.system == "bert-base/infonce" and row.source.startswith("notebook: ")
    assert (row.seeds, row.spread) == (3, pytest.approx(0.001))


def test_the_superseded_run_is_marked_and_not_judged(study: dict[str, Any]):
    words = {row.published_as: row.verdict for row in beside(study)}
    assert words["microsoft/deberta-v3-base (v1), InfoNCE"] == SUPERSEDED
    assert words["microsoft/deberta-v3-base (v2), InfoNCE"] == DIFFERENT
    marked = {row.published_as: row.superseded_by for row in beside(study)}
    assert marked["microsoft/deberta-v3-base (v1), InfoNCE"] == "microsoft/deberta-v3-base (v2)"


def test_an_aggregate_needs_all_its_data_sets_and_is_taken_per_seed(study: dict[str, Any]):
    assert "In Domain" not in {row.column for row in beside(study)}
    study["grid"]["datasets"].append("dev-small")
    level = {"dl19": 0.7, "dl20": 0.5, "dev-small": 0.3}
    means = {}
    for system, dataset in product(systems(study), study["grid"]["datasets"]):
        # the second seed is better on dl19 as much as it is worse on dev-small
        turn = {"dl19": 0.1, "dev-small": -0.1}.get(dataset, 0.0) if system.seed == 2 else 0.0
        for measure in ("nDCG@10", "AP"):
            means[system.name, dataset, measure] = level[dataset] + turn
    theirs, printed = published.read(VALUES, NAMES), []
    for row in theirs.rows:
        if row["student"] == "bert-base-uncased" and row["dataset"] == "trec2019":
            printed.append(row | {"dataset": "In Domain", "std": "0.02"})
    theirs, lines = replace(theirs, rows=printed), entries(systems(study))
    rows = published.beside(theirs, study, lines, Values({}, means, {}), 0.01, 0.95)
    (row,) = [row for row in rows if row.measure == "nDCG@10" and row.loss == "infonce"]
    assert (row.ours, row.spread) == (pytest.approx(0.5), pytest.approx(0))
    assert row.low == pytest.approx(row.high), "0.02 is no deviation of a mean over three datasets"


def test_the_rerun_on_its_own_first_stage_is_set_beside_what_it_reproduces(study: dict[str, Any]):
    study["grid"] |= {"first_stage": "splade-v3-distilbert-200", "students": ["deberta-v3-base"]}
    words = {row.published_as: row.verdict for row in beside(study)}
    assert words == {
        "microsoft/deberta-v3-base (v1), InfoNCE": SUPERSEDED,
        "microsoft/deberta-v3-base (v2), InfoNCE": DIFFERENT,
    }


def test_a_study_without_counterparts_has_none(study: dict[str, Any]):
    assert beside(report_study.config()) == []
    study["grid"]["first_stage"] = "tiny-splade"  # other candidates, other numbers
    assert beside(study) == []


# --- the interval and its words ---------------------------------------------------------------


def test_the_interval_is_welchs_where_they_print_their_spread():
    ours, theirs = np.array([0.50, 0.52, 0.51]), np.array([0.47, 0.50, 0.485])
    low, high = published.interval(ours, float(theirs.mean()), float(theirs.std(ddof=1)), 3, 0.9)
    wanted = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.9)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))


def test_ours_stands_for_a_spread_that_they_do_not_print():
    low, high = published.interval(np.array([0.50, 0.52, 0.54]), 0.5, None, 3, 0.95)
    half = stats.t.ppf(0.975, 2) * (0.02**2 * 2 / 3) ** 0.5
    assert (low, high) == pytest.approx((0.02 - half, 0.02 + half))


def test_one_seed_has_no_interval():
    assert published.interval(np.array([0.5]), 0.5, 0.01, 3, 0.95) == (None, None)


@pytest.mark.parametrize(
    ("difference", "low", "high", "word"),
    [
        (0.001, -0.004, 0.006, REPRODUCED),
        (0.009, 0.008, 0.010, REPRODUCED),
        (0.009, 0.007, 0.011, CLOSE),
        (-0.009, -0.011, -0.007, CLOSE),
        (0.001, -0.02, 0.022, CLOSE),
        (0.001, None, None, CLOSE),
        (0.02, -0.01, 0.05, UNSETTLED),
        (0.02, None, None, UNSETTLED),
        (0.02, 0.01, 0.03, DIFFERENT),
        (-0.02, -0.03, -0.01, DIFFERENT),
    ],
)
def test_the_words(difference: float, low: float | None, high: float | None, word: str):
    assert published.verdict(difference, low, high, 0.01) == word


# --- the files --------------------------------------------------------------------------------


def spoiled(folder: Path, **changed: str) -> Path:
    with VALUES.open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:3]
    rows[1] |= changed
    with (folder / "published.csv").open("w", newline="") as stream:
        out = csv.DictWriter(stream, published.COLUMNS)
        out.writeheader()
        out.writerows(rows)
    return folder / "published.csv"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"source": ""}, "line 3 .*BCE.*: no source"),
        ({"source": "  "}, "no source"),
        ({"value": "high"}, "value is 'high', not a number"),
        ({"value": "nan"}, "not a number"),
        ({"value": ""}, "not a number"),
        ({"std": "?"}, "std is '\\?'"),
    ],
)
def test_a_published_row_must_be_a_number_with_a_source(
    tmp_path: Path, changed: dict[str, str], complaint: str
):
    with pytest.raises(BadTable, match=complaint):
        published.read(spoiled(tmp_path, **changed), NAMES)


def test_a_file_of_other_columns_is_refused(tmp_path: Path):
    path = tmp_path / "published.csv"
    path.write_text("paper,value\nx,1\n")
    with pytest.raises(BadTable, match="wanted the columns study, student"):
        published.read(path, NAMES)


def test_every_name_of_ours_that_is_mapped_exists():
    for name, names in yaml.safe_load(NAMES.read_text()).items():
        study = resolved(name if name in STUDIES else "embedded")
        assert set(names["first_stages"]) <= set(study["first_stages"]), name
        alone = set(study["first_stages"]) | set(study["teachers"])
        assert set(names["baselines"].values()) <= alone
        assert set(names["students"].values()) <= set(study["students"])
        assert set(names["losses"].values()) <= set(study["losses"])
        datasets = {name for column in names["columns"].values() for name in column}
        assert datasets <= set(study["datasets"])


def test_every_published_name_that_is_mapped_is_published():
    theirs = published.read(VALUES, NAMES)
    for study, names in theirs.names.items():
        rows = [row for row in theirs.rows if row["study"] == study]
        of = {key: {row[key] for row in rows} for key in published.COLUMNS}
        assert set(names["students"]) | set(names["baselines"]) <= of["student"]
        assert set(names["losses"]) <= of["loss_or_teacher"]
        assert set(names["columns"]) <= of["dataset"] and set(names["measures"]) <= of["metric"]
        assert set(names["superseded"]) <= of["student"] >= set(names["superseded"].values())
        assert set(names["remarks"]) <= set(names["columns"])


def beside_half(name: str) -> list[PublishedRow]:
    """Return the published values beside a study of which every value is one half."""
    study = resolved(name)
    means = {}
    for system, dataset in product(systems(study), study["grid"]["datasets"]):
        for measure in study["measures"]:
            means[system.name, dataset, measure] = 0.5
    lines, values = entries(systems(study)), Values({}, means, {})
    return published.beside(published.read(VALUES, NAMES), study, lines, values, 0.01, 0.95)


def test_the_paper_study_has_a_counterpart_for_every_cell_of_the_papers_table():
    """Nine backbones (DeBERTa twice) x six losses x six columns, and the first stage."""
    rows = beside_half("morand2026")
    table = {"msmarco_dev", "trec2019", "trec2020", "BEIR13", "Lotte-S", "robust04"}
    main = [r for r in rows if r.loss and r.column in table and r.measure == "nDCG@10"]
    assert len({(r.published_as, r.column) for r in main}) == 10 * 6 * 6
    assert {r.column for r in rows if r.loss is None} >= {"msmarco_dev"}


def test_the_study_of_architectures_has_a_counterpart_for_every_point_of_the_papers_figure():
    """Six students x three supervisions x two sets, BM25 and the first teacher."""
    rows = {(row.system, row.column.split("|")[0]): row for row in beside_half("hofstatter2020")}
    students = ("distilbert-cat", "prettr", "colbert", "bert-base-dot", "distilbert-dot", "tk")
    for student, loss in product(students, ("ranknet", "margin-mse-t1", "margin-mse-t2")):
        for column in ("trec-dl-2019-passage", "msmarco-dev"):
            assert (f"{student}/{loss}", column) in rows
    assert rows["own-t1", "trec-dl-2019-passage"].theirs == 0.730
    assert rows["bm25-1000", "msmarco-dev"].remark.startswith("most likely the 48,598 queries")
    assert rows["tk/margin-mse-t2", "trec-dl-2019-passage"].theirs == 0.666


def test_values_of_dense_retrieval_stand_beside_students_that_search():
    rows = [row for row in beside_half("hofstatter2020") if "full-retrieval" in row.column]
    found = {(row.system, row.column.split("|")[0], row.measure): row.theirs for row in rows}
    system = "retrieved/distilbert-dot/margin-mse-t2"
    assert found[system, "trec-dl-2019-passage", "RR@10"] == 0.868
    assert found[system, "msmarco-dev", "R@1000"] == 0.957
    assert found[system, "msmarco-dev-small-6980", "AP"] == pytest.approx(0.3308, abs=1e-4)
    assert {row.system for row in rows} == {system, "bm25-1000"}


def test_every_timed_student_has_its_published_latency():
    theirs, study = published.read(VALUES, NAMES), resolved("hofstatter2020")
    found = {wait.student: wait.milliseconds for wait in published.waits(theirs, study)}
    assert found == {
        "tk": 13.6,
        "distilbert-dot": 23.7,
        "colbert": 28.3,
        "bert-base-dot": 35.6,
        "prettr": 455.0,
        "distilbert-cat": 955.0,
    }
    fewer = study.changed(latency=study.latency.changed(passages=100))
    assert published.waits(theirs, fewer) == [], "they re-ranked 1,000 passages"
    assert published.waits(theirs, study.changed(latency=None)) == []


def test_dev_values_stand_beside_the_set_they_are_of():
    columns = published.read(VALUES, NAMES).names["hofstatter2020"]["columns"]
    for column, datasets in columns.items():
        if column.startswith("msmarco-dev"):
            is_small = "6980" in column or "7k" in column
            assert datasets == (["dev-small"] if is_small else ["dev-49k"])

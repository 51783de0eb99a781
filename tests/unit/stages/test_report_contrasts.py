"""Queries that tell systems apart: which are chosen, and what is shown of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redistil.errors import Stale
from redistil.stages.report.numbers import contrasts
from redistil.stages.report.page import payload
from redistil.storage.tables import CONTRASTS
from tests.made import report_study
from tests.made.markup import carried
from tests.made.report_study import command, named


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A study with hostile names and texts, through every command of the report."""
    return report_study.build(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def html(built: tuple[Path, Any]) -> str:
    return (built[0] / "index.html").read_text(encoding="utf-8")


def test_the_chosen_queries_show_every_pair_its_largest_lead_first():
    """Worked by hand: of 4 queries, q2 shows a's lead (0.9), q0 b's (0.5); q1 shows nothing new."""
    values = np.array([[0.0, 0.4, 1.0, 0.3], [0.5, 0.4, 0.1, 0.2]])
    assert contrasts.choose(values, 2) == [2, 0]
    assert contrasts.choose(values, 3) == [2, 0, 3]  # a second round: the second largest lead
    assert contrasts.choose(values, 9) == [2, 0, 3]  # both agree on q1: it is never shown


def test_the_greedy_choice_is_near_the_best_choice():
    from itertools import combinations

    def worth(values: np.ndarray, chosen: tuple[int, ...]) -> float:
        return float(contrasts._leads(values[:, list(chosen)]).max(axis=1).sum())

    for seed in range(20):
        values = np.random.default_rng(seed).random((4, 9))
        best = max(worth(values, chosen) for chosen in combinations(range(9), 3))
        assert worth(values, tuple(contrasts.choose(values, 3))) >= (1 - 1 / np.e) * best


def test_a_contrast_shows_values_ranks_and_judgements_as_they_are(built: Any, html: str):
    folder, options = built
    data = carried(html)
    assert {c["dataset"] for c in data["contrasts"]} == {"test", "hard", "away"}
    study = report_study.config()
    names = [line["name"] for line in data["lines"]]
    rows = CONTRASTS.read(folder / "contrasts" / "away.parquet").to_pylist()
    for row in rows:
        (found,) = [
            c for c in data["contrasts"] if (c["dataset"], c["id"]) == ("away", row["query_id"])
        ]
        place = names.index(row["system"])
        assert found["values"][place] == round(row["value"] * payload.SCALE)
        doc = found["docs"][found["ranked"][place][row["rank"] - 1]]
        assert doc == [row["doc_id"], row["relevance"] if row["judged"] else None, row["passage"]]
        assert row["judged"] == (row["doc_id"] == "doc0")
        assert len(row["passage"]) <= 60 and len(row["query"]) <= 60
    assert {row["rank"] for row in rows} == {1, 2, 3}
    assert len(study["grid"]["datasets"]) * 6 == len(data["contrasts"])


def test_the_ranking_shown_is_that_of_the_first_seed(built: Any):
    from redistil.storage.tables import RUN

    folder, _ = built
    rows = CONTRASTS.read(folder / "contrasts" / "test.parquet").to_pylist()
    run = RUN.read(folder / "runs" / "small-bert/infonce/1" / "test.parquet").to_pylist()
    ranked = {(row["query_id"], row["rank"]): row["doc_id"] for row in run}
    ours = [row for row in rows if row["system"] == "small-bert/infonce"]
    assert ours and all(row["doc_id"] == ranked[row["query_id"], row["rank"]] for row in ours)


def test_a_run_that_is_missing_is_named(built: Any, tmp_path: Path):
    folder, options = built
    texts = [folder / kind / "away.parquet" for kind in ("queries", "qrels")]
    sizes = ["--dataset", "away", "--queries", 6, "--depth", 3, "--characters", 60]
    result = command(
        "contrast", options["study"][0], texts[0], folder / "passages.parquet", texts[1],
        tmp_path / "out.parquet", *named(options, "measures"), *sizes,
        "--runs", folder / "runs/random/1/away.parquet",
    )  # fmt: skip
    assert isinstance(result.exception, Stale)
    assert "no run of splade/away" in str(result.exception)
    assert not (tmp_path / "out.parquet").exists()

"""Tables and figures of an invented study, from the commands that the rules call."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.container import BarContainer

from redistil import lineage
from redistil import study as studies
from redistil.checks import COLUMNS
from redistil.errors import BadSettings, Stale
from redistil.report import figures, leaderboard, statistics
from redistil.report.figures import teaching
from redistil.report.leaderboard import Entry, Settings, Tables, Values
from tests.unit import report_study
from tests.unit.report_study import ended_well, named, page, plot, rows_of, tabulate, values_of

HOW = Settings(alpha=0.05, resamples=200, seed=1, margin=0.005)


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return report_study.config()


@pytest.fixture(scope="module")
def values(study: dict[str, Any]) -> Values:
    return values_of(study)


@pytest.fixture(scope="module")
def tables(study: dict[str, Any], values: Values) -> Tables:
    return leaderboard.tabulate(study, values, HOW)


def only(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    found = [row for row in rows if wanted.items() <= row.items()]
    assert len(found) == 1, found
    return found[0]


def per_seed(values: Values, cell: str, datasets: list[str]) -> list[float]:
    return [
        float(np.mean([values.per_query[f"{cell}/{seed}", d].mean() for d in datasets]))
        for seed in (1, 2)
    ]


# --- entries ----------------------------------------------------------------------------------


def test_an_entry_is_a_student_and_loss_over_its_seeds(study: dict[str, Any]):
    lines = leaderboard.entries(studies.systems(study))
    assert [entry.name for entry in lines] == [
        "random", "splade", "bm25", "both",
        "small-bert/hinge", "small-bert/infonce", "small-electra/hinge", "small-electra/infonce",
    ]  # fmt: skip
    seeds = ("small-bert/hinge/1", "small-bert/hinge/2")
    assert lines[4] == Entry("small-bert/hinge", "student", "small-bert", "hinge", seeds)


# --- leaderboard ------------------------------------------------------------------------------


def test_a_group_is_aggregated_for_each_seed_and_then_summarised(tables: Tables, values: Values):
    row = only(tables.leaderboard, system="small-bert/hinge")
    seeds = per_seed(values, "small-bert/hinge", ["test", "hard"])
    assert row["seeds"] == 2
    assert row["In domain"] == pytest.approx(np.mean(seeds))
    assert row["In domain spread"] == pytest.approx(np.std(seeds, ddof=1))
    assert row["test"] == pytest.approx(np.mean(per_seed(values, "small-bert/hinge", ["test"])))
    assert row["In domain low"] < row["In domain"] < row["In domain high"]


def test_every_baseline_stands_in_the_table_without_a_test(tables: Tables):
    kinds = {row["system"]: row["kind"] for row in tables.leaderboard if row["kind"] != "student"}
    assert kinds == {
        "random": "random", "splade": "first stage", "bm25": "first stage", "both": "teacher"
    }  # fmt: skip
    teacher = only(tables.leaderboard, system="both")
    assert teacher["In domain difference"] > 0
    assert teacher["In domain p"] is None and teacher["In domain verdict"] is None
    assert teacher["In domain spread"] is None
    assert only(tables.leaderboard, system="splade")["In domain difference"] is None


def test_the_best_in_the_first_group_comes_first(tables: Tables):
    column = [row["In domain"] for row in tables.leaderboard]
    assert column == sorted(column, reverse=True)


def test_a_cell_is_tested_on_its_mean_over_seeds_against_the_first_stage(
    tables: Tables, values: Values
):
    row = only(tables.tests, group="Out of domain", family="cells", system="small-bert/infonce")
    cell = [values.per_query[f"small-bert/infonce/{seed}", "away"] for seed in (1, 2)]
    test = statistics.paired_t([np.mean(cell, axis=0) - values.per_query["splade", "away"]])
    assert (row["difference"], row["p"]) == pytest.approx((test.difference, test.p))
    assert (row["against"], row["queries"]) == ("splade", report_study.QUERIES)
    line = only(tables.leaderboard, system="small-bert/infonce")
    assert line["Out of domain difference"] == pytest.approx(test.difference)
    assert line["Out of domain p_holm"] == row["p_holm"]


@pytest.mark.parametrize("group", ["In domain", "Out of domain"])
@pytest.mark.parametrize(
    ("family", "size"), [("cells", 4), ("losses", 2), ("pairs", 2), ("loss pairs", 1)]
)
def test_a_family_is_corrected_within_its_group(tables: Tables, group: str, family: str, size: int):
    rows = [r for r in tables.tests if (r["group"], r["family"]) == (group, family)]
    assert len(rows) == size
    assert [r["p_holm"] for r in rows] == statistics.holm([r["p"] for r in rows])


def test_equivalence_is_claimed_over_seeds_and_after_holm(study: dict[str, Any], values: Values):
    wide = Settings(alpha=0.05, resamples=200, seed=1, margin=0.25)
    tests = leaderboard.tabulate(study, values, wide).tests
    rows = [r for r in tests if (r["group"], r["family"]) == ("Out of domain", "cells")]
    raw = []
    for row in rows:
        seeds = np.stack([values.per_query[f"{row['system']}/{s}", "away"] for s in (1, 2)])
        of = statistics.uncertainty([[seeds - values.per_query["splade", "away"]]])
        raw.append(statistics.equivalence(row["difference"], of, 0.25))
        assert row["p_seeds"] == pytest.approx(of.p(row["difference"]))
    assert [r["p_equivalence"] for r in rows] == pytest.approx(statistics.holm(raw))
    assert raw != statistics.holm(raw)
    assert {r["equivalence"] for r in rows if r["p_equivalence"] < 0.05} == {"equivalent"}
    assert {r["equivalence"] for r in rows if r["p_equivalence"] >= 0.05} <= {"not shown"}


def test_a_loss_is_tested_over_all_its_students_and_seeds(tables: Tables, values: Values):
    row = only(tables.losses, group="Out of domain", loss="hinge")
    cells = [
        values.per_query[f"{student}/hinge/{seed}", "away"]
        for student in ("small-bert", "small-electra")
        for seed in (1, 2)
    ]
    differences = np.mean(cells, axis=0) - values.per_query["splade", "away"]
    assert row["value"] == pytest.approx(np.mean(cells))
    assert row["p"] == pytest.approx(statistics.paired_t([differences]).p)
    assert (row["students"], row["seeds"]) == (2, 2)
    assert row["verdict"] == "worse"
    best = only(tables.leaderboard, system=f"{row['best_student']}/hinge")
    assert best["Out of domain"] == row["best_value"]
    assert row["best_value"] >= row["value"]
    assert row["best_p_holm"] == best["Out of domain p_holm"]


@pytest.mark.parametrize("group", ["In domain", "Out of domain"])
def test_a_difference_has_a_paired_interval_of_its_own(tables: Tables, group: str):
    """Hard queries are hard for both systems, so the difference is surer than either value."""
    rows = [row for row in tables.leaderboard if row["kind"] == "student"] + tables.losses
    for row in rows:
        if row.get("group", group) == group:
            prefix = "" if "group" in row else f"{group} "
            low, high = row[f"{prefix}difference_low"], row[f"{prefix}difference_high"]
            assert low < row[f"{prefix}difference"] < high
            assert high - low < 0.9 * (row[f"{prefix}high"] - row[f"{prefix}low"])


def test_a_verdict_needs_the_corrected_p():
    def barely(system: studies.System, dataset: str) -> np.ndarray:
        away = np.tile([0.1, -0.1], report_study.QUERIES // 2) + 0.0352  # t = 2.2 for 40 queries
        return 0.5 + away * (system.kind == "student")

    study = report_study.config(groups={"One": ["test"]})
    found = leaderboard.tabulate(study, values_of(study, barely), HOW)
    cells = [row for row in found.tests if row["family"] == "cells"]
    assert all(row["p"] < 0.05 < row["p_holm"] for row in cells)
    assert {row["verdict"] for row in cells} == {"not distinguishable"}


def test_verdicts_follow_the_invented_truth(tables: Tables):
    """hinge was invented below the first stage, infonce above it."""
    words = {row["loss"]: row["verdict"] for row in tables.losses if row["group"] == "In domain"}
    assert words == {"hinge": "worse", "infonce": "better"}


def test_students_that_equal_the_first_stage_are_not_distinguishable(study: dict[str, Any]):
    def same(system: studies.System, dataset: str) -> np.ndarray:
        return np.linspace(0, 1, report_study.QUERIES)

    found = leaderboard.tabulate(study, values_of(study, same), HOW)
    assert {row["verdict"] for row in found.tests} == {"not distinguishable"}
    assert {row["p"] for row in found.tests} == {1}


def test_the_same_seed_gives_the_same_tables_and_another_other_intervals(
    study: dict[str, Any], values: Values, tables: Tables
):
    assert leaderboard.tabulate(study, values, HOW) == tables
    other = leaderboard.tabulate(study, values, Settings(0.05, 200, 2, 0.005))
    assert other.leaderboard[0]["In domain low"] != tables.leaderboard[0]["In domain low"]
    assert [row["p"] for row in other.tests] == [row["p"] for row in tables.tests]


def test_a_new_system_does_not_move_the_intervals_of_the_others(tables: Tables):
    study = report_study.config()
    study["grid"]["seeds"] = [1, 2, 3]
    wider = leaderboard.tabulate(study, values_of(study), HOW)
    for column in ("In domain low", "In domain high", "Out of domain low"):
        here, there = (only(found.leaderboard, system="splade") for found in (tables, wider))
        assert here[column] == pytest.approx(there[column])


def test_the_metrics_name_the_best_student_the_baselines_and_each_loss(tables: Tables):
    best = max(row["In domain"] for row in tables.leaderboard if row["kind"] == "student")
    found = tables.metrics["In domain"]
    assert found["best student"] == best
    assert set(found) == {"best student", "random", "splade", "bm25", "both", "hinge", "infonce"}


def test_the_columns_that_no_group_may_be_called_are_those_before_the_numbers(tables: Tables):
    columns = list(tables.leaderboard[0])
    assert tuple(columns[: columns.index("In domain")]) == COLUMNS


# --- the commands -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A study through both commands."""
    folder = tmp_path_factory.mktemp("study")
    options = report_study.write(folder, report_study.config(title="A study of $x$"))
    ended_well(tabulate(folder, options))
    ended_well(plot(folder, options, *named(options, "curves")))
    return folder, options


def test_the_tables_are_written_with_their_record(built: tuple[Path, Any]):
    folder = built[0] / "tables"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells.csv", "costs.csv", "leaderboard.csv", "lines.csv", "losses.csv", "made.json",
        "metrics.json", "paste", "published.csv", "tables.json", "tests.csv",
    ]  # fmt: skip
    told = report_study.command("tabulate", "--help").output
    assert [path.name for path in folder.iterdir() if path.name not in told] == []
    assert len(rows_of(folder / "leaderboard.csv")) == 8
    assert len(rows_of(folder / "losses.csv")) == 4
    made = lineage.of(folder)
    assert (made.command, made.name, made.settings["alpha"]) == ("tabulate", "small", 0.05)
    assert "evaluate small-bert/hinge/1" in made.inputs


def test_every_cell_names_the_file_and_fingerprint_it_comes_from(built: tuple[Path, Any]):
    cells = rows_of(built[0] / "tables" / "cells.csv")
    assert len(cells) == 12 * 3 * 2
    for cell in cells:
        made = lineage.of(Path(cell["file"]))
        assert (made.name, made.fingerprint) == (cell["system"], cell["fingerprint"])


def test_the_same_study_gives_the_same_bytes(built: tuple[Path, Any], tmp_path: Path):
    folder, options = built
    (tmp_path / "figures").mkdir()
    ended_well(tabulate(tmp_path, options))
    ended_well(plot(tmp_path, options, *named(options, "curves")))
    for path in [*(folder / "tables").glob("*.*"), *(folder / "figures").glob("*.[sp][vn]g")]:
        assert (tmp_path / path.parent.name / path.name).read_bytes() == path.read_bytes(), path


def test_a_stale_measure_stops_everything_before_a_file_is_written(tmp_path: Path):
    study = report_study.config()
    asked = studies.asked(study)["train", "small-bert/hinge/1"]
    stale = {("train", "small-bert/hinge/1"): asked | {"learning_rate": 0.5}}
    result = tabulate(tmp_path, report_study.write(tmp_path, study, made_otherwise=stale))
    assert isinstance(result.exception, Stale)
    assert "learning_rate = 0.5" in str(result.exception)
    assert not (tmp_path / "tables").exists()


def test_systems_measured_on_different_queries_are_refused(tmp_path: Path):
    def fewer(system: studies.System, dataset: str) -> np.ndarray:
        found = report_study.values(system, dataset)
        return found[:-1] if (system.name, dataset) == ("bm25", "away") else found

    result = tabulate(tmp_path, report_study.write(tmp_path, report_study.config(), fewer))
    assert isinstance(result.exception, Stale)
    assert "bm25.parquet" in str(result.exception) and "away has 39 queries" in str(
        result.exception
    )


def test_a_measure_that_is_missing_is_refused(tmp_path: Path):
    def none(system: studies.System, dataset: str) -> np.ndarray:
        return report_study.values(system, dataset)[: 0 if dataset == "away" else None]

    result = tabulate(tmp_path, report_study.write(tmp_path, report_study.config(), none))
    assert isinstance(result.exception, Stale)
    assert "away has 0 queries" in str(result.exception)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, dict[str, list[str]]]:
    """Tables, and figures without curves, of a study of its own, to be spoiled."""
    options = report_study.write(tmp_path, report_study.config())
    ended_well(tabulate(tmp_path, options))
    ended_well(plot(tmp_path, options))
    return tmp_path, options


def test_tables_edited_by_hand_are_refused(small: tuple[Path, Any]):
    folder, options = small
    path = folder / "tables" / "tables.json"
    path.write_text(path.read_text().replace('"better"', '"best"'))
    for result in (plot(folder, options), page(folder, options)):
        assert isinstance(result.exception, Stale)
        assert "tables.json is not the file" in str(result.exception)
    assert not (folder / "index.html").exists()


def test_tables_of_another_version_of_the_study_are_refused(small: tuple[Path, Any]):
    folder, options = small
    study = report_study.config(title="Another title")
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    result = page(folder, options)
    assert isinstance(result.exception, Stale)
    assert "study.yaml" in str(result.exception)


def test_figures_of_other_tables_are_refused(small: tuple[Path, Any]):
    folder, options = small
    again = tabulate(folder, options | {"models": options["models"][::-1]})
    ended_well(again)  # the same inputs in another order are the same tables
    ended_well(page(folder, options))
    ended_well(tabulate(folder, options, alpha=0.01))
    result = page(folder, options)
    assert isinstance(result.exception, Stale)
    assert "tabulate small" in str(result.exception)


def test_a_folder_without_a_record_is_refused(small: tuple[Path, Any]):
    folder, options = small
    (folder / "tables" / "made.json").unlink()
    result = plot(folder, options)
    assert isinstance(result.exception, Stale)
    assert "does not hold what `redistil tabulate` writes" in str(result.exception)


def test_a_figure_left_over_from_an_earlier_study_is_not_published(small: tuple[Path, Any]):
    folder, options = small
    (folder / "figures" / "curves.svg").write_text("<svg/>")
    ended_well(page(folder, options))
    sealed = lineage.of(folder / "figures").settings["sha256"]
    assert "curves.svg" not in sealed
    assert (folder / "index.html").read_text().count("<figure>") == len(
        {Path(name).stem for name in sealed}
    )


def test_a_curve_of_no_cell_is_refused(study: dict[str, Any]):
    points = (np.arange(3.0), np.arange(3.0))
    with pytest.raises(BadSettings, match="no cell 'small-bert/hinge/9': did you mean"):
        figures.curves({"small-bert/hinge/9": points}, study)


# --- figures ----------------------------------------------------------------------------------


def test_figures_are_drawn_with_every_name_and_no_date(built: tuple[Path, Any]):
    folder = built[0] / "figures"
    bars, curves = ((folder / f"{name}.svg").read_text() for name in ("bars", "curves"))
    for word in ("small-bert", "small-electra", "hinge", "infonce", "splade (first stage)"):
        assert word in bars
    assert "both (teacher)" in bars and "Out of domain" in bars
    assert "training loss" in curves and "hinge" in curves
    assert "<dc:date>" not in bars + curves
    assert (folder / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_bars_and_intervals_stand_where_the_table_says(study: dict[str, Any], tables: Tables):
    figure = figures.bars(tables.leaderboard, study)
    bars = {
        drawn.get_label(): [patch.get_height() for patch in drawn]
        for drawn in figure.axes[0].containers
        if isinstance(drawn, BarContainer)
    }
    assert set(bars) == {"hinge", "infonce"}
    for loss, found in bars.items():
        wanted = [
            only(tables.leaderboard, system=f"{student}/{loss}")["In domain"]
            for student in ("small-bert", "small-electra")
        ]
        assert found == pytest.approx(wanted)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["In domain", "Out of domain"]
    assert all(axes.get_ylim()[0] == 0 for axes in figure.axes)  # a bar must start at nothing


def test_a_curve_is_thinned_to_means_of_neighbours():
    assert teaching._thinned(np.arange(6.0), most=3).tolist() == [0.5, 2.5, 4.5]
    assert len(teaching._thinned(np.arange(450.0))) <= 100
    assert teaching._thinned(np.arange(5.0)).tolist() == [0, 1, 2, 3, 4]


def test_metrics_are_plain_numbers(built: tuple[Path, Any]):
    found = json.loads((built[0] / "tables" / "metrics.json").read_text())
    assert all(isinstance(value, float) for group in found.values() for value in group.values())

"""Tables, figures and page of an invented study, from the commands that the rules call."""

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from matplotlib.container import BarContainer

from redistil import lineage
from redistil import study as studies
from redistil.cli import cli
from redistil.errors import BadSettings, Stale
from redistil.report import figures, leaderboard, page, prose, statistics, tabulated
from redistil.report.figures import teaching
from redistil.report.leaderboard import Entry, Settings, Tables, Values
from tests.unit import report_study

HOW = Settings(alpha=0.05, resamples=200, seed=1, margin=0.005)


def values_of(study: dict[str, Any], of: Callable[..., np.ndarray] = report_study.values) -> Values:
    systems, datasets = studies.systems(study), study["grid"]["datasets"]
    per_query = {(s.name, d): of(s, d) for s in systems for d in datasets}
    means = {
        (name, dataset, measure): float(found.mean())
        for (name, dataset), found in per_query.items()
        for measure in study["measures"]
    }
    return Values(per_query, means, dict.fromkeys(datasets, report_study.QUERIES))


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


def test_a_group_cannot_have_the_name_of_a_data_set(values: Values):
    study = report_study.config(groups={"test": ["test"]})
    with pytest.raises(BadSettings, match="groups.test"):
        leaderboard.tabulate(study, values, HOW)


# --- the commands -----------------------------------------------------------------------------


def command(*words: Any) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=True)


def named(options: dict[str, list[str]], *keys: str) -> list[str]:
    return [word for key in keys for value in options[key] for word in (f"--{key}", value)]


RESOURCES = Path(__file__).parents[2] / "workflow/resources"
STATISTICS = ["--margin", 0.005, "--reproduced-within", 0.01, "--resamples", 200, "--seed", 1]


def tabulate(
    folder: Path, options: dict[str, list[str]], alpha: float = 0.05, resources: Path = RESOURCES
) -> Result:
    given = [
        *named(options, "measures", "models"),
        *("--published", resources / "published.csv", "--names", resources / "published.yaml"),
        *("--alpha", alpha, *STATISTICS, "--name", "small"),
    ]
    return command("tabulate", options["study"][0], folder / "tables", *given)


def plot(folder: Path, options: dict[str, list[str]], *curves: str) -> Result:
    return command("plot", options["study"][0], folder / "tables", folder / "figures", *curves)


def publish(folder: Path, options: dict[str, list[str]], departures: str = "None.") -> Result:
    path = folder / "departures.md"
    path.write_text(departures, encoding="utf-8")
    parts = (folder / "tables", folder / "figures", path, folder / "index.html")
    return command("publish", options["study"][0], *parts)


def ended_well(result: Result) -> None:
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A study with a hostile name in it, through all three commands."""
    folder = tmp_path_factory.mktemp("study")
    study = report_study.config(title="<script>alert('title')</script> & $x$")
    options = report_study.write(folder, study)
    ended_well(tabulate(folder, options))
    ended_well(plot(folder, options, *named(options, "curves")))
    ended_well(publish(folder, options, "# Why\n\n<img src=x onerror=alert(1)> and `<b>code</b>`"))
    return folder, options


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_tables_are_written_with_their_record(built: tuple[Path, Any]):
    folder = built[0] / "tables"
    assert sorted(path.name for path in folder.iterdir()) == [
        "cells.csv", "leaderboard.csv", "lines.csv", "losses.csv", "made.json", "metrics.json",
        "paste", "published.csv", "tables.json", "tests.csv",
    ]  # fmt: skip
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
    for result in (plot(folder, options), publish(folder, options)):
        assert isinstance(result.exception, Stale)
        assert "tables.json is not the file" in str(result.exception)
    assert not (folder / "index.html").exists()


def test_tables_of_another_version_of_the_study_are_refused(small: tuple[Path, Any]):
    folder, options = small
    study = report_study.config(title="Another title")
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    result = publish(folder, options)
    assert isinstance(result.exception, Stale)
    assert "study.yaml" in str(result.exception)


def test_figures_of_other_tables_are_refused(small: tuple[Path, Any]):
    folder, options = small
    again = tabulate(folder, options | {"models": options["models"][::-1]})
    ended_well(again)  # the same inputs in another order are the same tables
    ended_well(publish(folder, options))
    ended_well(tabulate(folder, options, alpha=0.01))
    result = publish(folder, options)
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
    ended_well(publish(folder, options))
    assert (folder / "index.html").read_text().count("<figure>") == 1


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


# --- the page ---------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a browser would find: tags in order, their attributes, the text of the body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "hr", "link", "input", "option"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "option" and (not self._open or self._open.pop() != tag):
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(built: tuple[Path, Any]) -> str:
    return (built[0] / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(html: str) -> Seen:
    return Seen(html)


def test_the_page_is_one_small_well_formed_file(html: str, seen: Seen):
    assert len(html.encode()) < 1_000_000
    assert seen.unclosed == [] and seen._open == []


def test_the_page_loads_nothing(html: str, seen: Seen):
    for name, attrs in seen.tags:
        for key in ("src", "href", "action", "data"):
            value = attrs.get(key) or ""
            assert not value or value.startswith(("#", "data:image/svg+xml;base64,")), (name, value)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", html)


def test_hostile_text_is_text(html: str, seen: Seen):
    assert len(seen.all("script")) == 1
    assert "<script>alert('title')</script> & $x$" in seen.text
    assert "<img src=x onerror=alert(1)>" in seen.text
    assert "<b>code</b>" in seen.text
    assert not any("onerror" in attrs for _, attrs in seen.tags)
    assert {attrs["alt"] for attrs in seen.all("img")} and len(seen.all("img")) == 2


def test_hostile_names_stay_inside_their_attributes(tmp_path: Path):
    study = report_study.config()
    hostile = '"><script>alert(1)</script> $\\frac$'
    study["losses"][hostile] = study["losses"].pop("hinge")
    study["grid"]["losses"] = [hostile, "infonce"]
    tables = leaderboard.tabulate(study, values_of(study), HOW)
    made = lineage.make("tabulate", "x", {"alpha": 0.05, "resamples": 200, "seed": 1}, "", [])
    sources = {s.name: {"file": hostile, "fingerprint": ""} for s in studies.systems(study)}
    tabulated.write(tables, sources, tmp_path / "tables", made)
    options = {"study": [str(tmp_path / "study.yaml")]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    ended_well(plot(tmp_path, options))
    ended_well(publish(tmp_path, options))
    seen = Seen((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(seen.all("script")) == 1
    assert hostile in {attrs.get("data-loss") for attrs in seen.all("tr")}
    svg = (tmp_path / "figures" / "bars.svg").read_text()
    assert "<script>" not in svg and "&lt;script&gt;" in svg


def test_the_page_says_for_every_loss_whether_it_beats_the_first_stage(seen: Seen, tables: Tables):
    text = " ".join(seen.text.split())
    for row in tables.losses:
        value, difference = page.number(row["value"]), page.signed(row["difference"])
        assert f"{row['loss']}{value} {difference}" in text
        assert f"{page.p_value(row['p_holm'])} {row['verdict']}" in text
    best = max((row["In domain"], row["student"]) for row in tables.leaderboard if row["student"])
    assert f"the best student is {best[1]} taught with infonce, nDCG@10 {best[0]:.3f}" in text


def test_every_system_every_file_and_the_fingerprint_are_on_the_page(built: Any, seen: Seen):
    folder, options = built
    for path in options["measures"]:
        assert path in seen.text
        assert lineage.of(Path(path)).fingerprint in seen.text
    assert tabulated.read(folder / "tables").made.fingerprint in seen.text
    for name in ("random", "splade", "bm25", "both", "small-bert/hinge"):
        assert name in seen.text
    assert '"learning_rate":0.001' in seen.text  # of a recipe
    assert "torch" in seen.text and "ranx" in seen.text


def test_tables_can_be_read_aloud(seen: Seen):
    assert all(attrs.get("scope") or not attrs.get("data-sort") for attrs in seen.all("th"))
    assert len(seen.all("caption")) >= 4
    assert seen.all("html") == [{"lang": "en"}]
    assert [attrs["href"] for attrs in seen.all("a")][0] == "#leaderboard"
    targets = {attrs.get("id") for _, attrs in seen.tags}
    assert {str(attrs["href"])[1:] for attrs in seen.all("a")} <= targets
    assert all(attrs.get("tabindex") == "0" for attrs in seen.all("div") if attrs.get("role"))


def test_the_rows_can_be_filtered_by_what_they_say(seen: Seen):
    rows = [attrs for attrs in seen.all("tr") if "data-kind" in attrs]
    assert len(rows) == 8
    assert {row["data-student"] for row in rows} == {"", "small-bert", "small-electra"}
    assert [attrs["data-key"] for attrs in seen.all("select")] == ["kind", "student", "loss"]


def test_every_row_of_the_leaderboard_has_a_cell_for_each_header(html: str):
    board = html[
        html.index('<table id="board">') : html.index("</table>", html.index('id="board"'))
    ]
    headers = board[: board.index("</thead>")].split("<tr>")[1].count("<th")
    for row in re.split(r"<tr[^>]*>", board[board.index("<tbody>") :])[1:]:
        assert row.count("<td") + row.count("<th") == headers


# --- words ------------------------------------------------------------------------------------


def test_numbers_in_words():
    assert (page.number(0.12345), page.number(None)) == ("0.123", "–")
    assert (page.signed(0.0104), page.signed(-0.0104)) == ("+0.010", "\N{MINUS SIGN}0.010")
    assert (page.p_value(0.0009), page.p_value(0.04), page.p_value(None)) == (
        "< 0.001",
        "0.040",
        "–",
    )


def test_markdown_becomes_blocks():
    text = "# A *title*\nline one\nline two\n\n- first\n  goes on\n- second\n"
    text += "\n|a|b|\n|-|:-:|\n|1|`x`|\n"
    heading, paragraph, items, table = prose.blocks(text)
    assert (heading.kind, heading.items) == ("heading", [[("text", "A *title*")]])
    assert paragraph.items == [[("text", "line one line two")]]
    assert items.items == [[("text", "first goes on")], [("text", "second")]]
    assert table.rows == [[[("text", "a")], [("text", "b")]], [[("text", "1")], [("code", "x")]]]
    assert prose.blocks("") == []


def test_code_strong_and_links_in_a_line():
    assert prose.spans("see **this** and `that`") == [
        ("text", "see "), ("strong", "this"), ("text", " and "), ("code", "that"),
    ]  # fmt: skip
    assert prose.spans("[a paper](https://arxiv.org/x) [here](docs/x.md)") == [
        ("text", "a paper (https://arxiv.org/x) here")
    ]


def test_headings_side_by_side_stay_apart():
    assert [block.kind for block in prose.blocks("# One\n## Two\ntext")] == [
        "heading", "heading", "paragraph",
    ]  # fmt: skip


def test_metrics_are_plain_numbers(built: tuple[Path, Any]):
    found = json.loads((built[0] / "tables" / "metrics.json").read_text())
    assert all(isinstance(value, float) for group in found.values() for value in group.values())

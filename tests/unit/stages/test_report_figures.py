"""Contents of the figures, read back from the drawing; and that there is always a file."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result
from matplotlib.container import ErrorbarContainer
from safetensors.torch import save_file

from redistil.cli import cli
from redistil.errors import BadSettings, BadTable
from redistil.machine.costs import account
from redistil.machine.energy import Spent
from redistil.machine.processes import Processes
from redistil.stages.report import figures
from redistil.stages.report.figures import (
    cost,
    curves,
    depths,
    forest,
    magnitudes,
    pairs,
    published,
    reranking,
    scatter,
    validation,
)
from redistil.stages.report.figures import sizes as by_size
from redistil.stages.report.figures.drawing import style
from redistil.stages.report.figures.drawing.given import Given
from redistil.stages.report.numbers import costs, leaderboard, models, tabulated
from redistil.stages.report.numbers.entries import Values
from redistil.stages.report.numbers.leaderboard import Settings, Tables
from redistil.stages.report.numbers.rows import Line, Size
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.storage import digests, lineage
from redistil.storage.tables import CURVE, DEPTHS, QRELS, RUN, VALIDATION, ranked
from redistil.study import artefacts as studies
from tests.made import report_study
from tests.made.report_study import only


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return report_study.config()


@pytest.fixture(scope="module")
def values(study: dict[str, Any]) -> Values:
    return report_study.values_of(study)


@pytest.fixture(scope="module")
def tables(study: dict[str, Any], values: Values) -> Tables:
    return leaderboard.tabulate(study, values, Settings(0.05, 200, 1, 0.005))


@pytest.fixture(scope="module")
def given(study: dict[str, Any], tables: Tables) -> Given:
    made = lineage.make("tabulate", "small", {}, "", [])
    rows = (tables.leaderboard, tables.losses, tables.versus, tables.tests)
    cells = {(cell.system, cell.dataset, cell.measure): cell.value for cell in tables.cells}
    return Given(study, Tabulated(*rows, [], {}, {}, made, cells))


def with_tables(given: Given, **changed: Any) -> Given:
    return replace(given, tables=replace(given.tables, **changed))


def line(tables: Tables, system: str) -> Line:
    found: Line = only(tables.leaderboard, system=system)
    return found


# --- forest and curves ------------------------------------------------------------------------


def test_the_forest_shows_seeds_means_and_intervals(given: Given, tables: Tables):
    axes = forest.draw(given).axes
    assert [panel.get_title(loc="left") for panel in axes] == ["In domain", "Out of domain"]
    names = [text.get_text() for text in axes[0].get_yticklabels()]
    assert names[:2] == ["small-bert  hinge", "small-bert  infonce"] and len(names) == 4
    seeds, mean, *_ = axes[0].lines
    row = line(tables, "small-bert/hinge").groups["In domain"]
    assert len(seeds.get_xdata()) == 2
    assert np.mean(seeds.get_xdata()) == pytest.approx(row.value)
    assert list(mean.get_xdata()) == [row.value]
    thin, thick = (drawn.get_segments()[0][:, 0] for drawn in axes[0].collections[:2])
    assert list(thin) == pytest.approx([row.low, row.high])
    assert list(thick) == pytest.approx([row.queries_low, row.queries_high])
    legend = [text.get_text() for text in axes[0].figure.legends[0].get_texts()]
    assert legend == ["splade (first stage)", "bm25 (first stage)", "both (teacher)"]


def test_a_validation_is_the_mean_over_its_sets(given: Given, tmp_path: Path):
    rows = {"step": [5, 5, 10], "dataset": ["a", "b", "a"], "measure": ["AP"] * 3}
    path = tmp_path / "validation.parquet"
    made = lineage.make("train", "small-bert/hinge/1", {}, "", [])
    VALIDATION.write(VALIDATION.rows(rows | {"value": [0.2, 0.4, 0.7]}), path, made)
    figure = validation.draw(replace(given, validations=(path,)))
    (drawn,) = figure.axes[0].lines
    assert drawn.get_xydata().tolist() == [[5, pytest.approx(0.3)], [10, 0.7]]
    assert figure.get_supylabel() == "validation, AP"


def test_magnitudes_are_means_over_seeds(given: Given, tmp_path: Path):
    """Two seeds, of which one has no negative in its second step and one more step."""
    paths = []
    for seed, positive, negative in ((1, [1, 2, 3, 4], [0, None, 1, 2]), (2, [3, 4, 5], [2, 2, 3])):
        count = len(positive)
        columns = dict.fromkeys(CURVE.schema.names, [0.0] * count) | {"step": range(1, count + 1)}
        columns |= {"positive_score": positive, "negative_score": negative}
        paths.append(tmp_path / f"{seed}.parquet")
        made = lineage.make("train", f"small-bert/hinge/{seed}", {}, "", [])
        CURVE.write(CURVE.rows(columns), paths[-1], made)
    figure = magnitudes.draw(replace(given, curves=tuple(paths)))
    positives, negatives = figure.axes[0].lines
    assert positives.get_xydata().tolist() == [[1, 2], [3, 4]]
    assert negatives.get_xydata().tolist() == [[1, 1], [3, 2]]
    assert figure.axes[0].get_title(loc="left") == "small-bert"
    assert figure.legends[0].get_texts()[0].get_text() == "hinge"


def test_a_drawn_point_is_a_mean_of_steps():
    steps = np.arange(1, 6)
    assert curves.last(steps, 2).tolist() == [2, 4, 5]
    assert curves.means(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 2).tolist() == [0.5, 2.5, 4.0]


def test_a_curve_is_thinned_to_means_of_neighbours():
    assert curves.thinned(np.arange(6.0), most=3).tolist() == [0.5, 2.5, 4.5]
    assert len(curves.thinned(np.arange(450.0))) <= 100
    assert curves.thinned(np.arange(5.0)).tolist() == [0, 1, 2, 3, 4]


def test_a_curve_of_no_cell_is_refused(study: dict[str, Any]):
    points = curves.Curve(np.arange(3.0), np.arange(3.0))
    with pytest.raises(BadSettings, match="no cell 'small-bert/hinge/9': did you mean"):
        curves.curves({"small-bert/hinge/9": points}, study, "loss")


# --- losses against each other ----------------------------------------------------------------


def test_the_matrix_counts_students_and_mirrors_itself(
    study: dict[str, Any], tables: Tables, given: Given
):
    """hinge was invented to be far below infonce, for both students."""
    figure = pairs.draw(given)
    axes = figure.axes[0]
    lead = axes.images[0].get_array()
    assert np.isnan(lead.filled(np.nan).diagonal()).all()
    together = [line(tables, f"{s}/{x}") for s in study["grid"]["students"] for x in ("hinge",)]
    best = [line(tables, f"{s}/infonce") for s in study["grid"]["students"]]
    wanted = np.mean(
        [a.value("In domain") - b.value("In domain") for a, b in zip(together, best, strict=True)]
    )
    assert lead[0, 1] == -lead[1, 0] == pytest.approx(100 * wanted)
    words = {text.get_position(): text.get_text() for text in axes.texts}
    assert words == {(1, 0): "0/0/2", (0, 1): "2/0/0"}


# --- two models query by query -----------------------------------------------------------------


def test_the_scatter_counts_who_wins_and_draws_what_coincides_larger():
    x, y = np.array([0.5, 0.5, 0.5, 0.1, 0.9]), np.array([0.5, 0.5, 0.5, 0.2, 0.8])
    figure = scatter.scatter(
        {"All": scatter.Panel("a", "b", [(x[:2], y[:2]), (x[2:], y[2:])])}, "AP"
    )
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "All\n1 better, 1 worse, 3 equal"
    small, large = axes.collections
    assert (len(small.get_offsets()), len(large.get_offsets())) == (2, 1)
    assert large.get_sizes()[0] == pytest.approx(small.get_sizes()[0] * 3**0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a, AP", "b, AP")


def test_of_many_places_the_scatter_shades_how_many_there_are():
    rng = np.random.default_rng(1)
    x, y = rng.random(5000), rng.random(5000)
    x[:7], y[:7] = 0.3, 0.9
    figure = scatter.scatter({"All": scatter.Panel("a", "b", [(x, y)])}, "AP")
    (axes,) = figure.axes
    (image,) = axes.images
    assert not axes.collections
    shade, (left, right, low, high) = image.get_array(), image.get_extent()
    assert shade.sum() == 5000 and shade.shape == (51, 51)
    row, column = (
        int((v - a) / (b - a) * 51) for v, a, b in ((0.9, low, high), (0.3, left, right))
    )
    assert shade[row, column] >= 7 and image.origin == "lower"


def test_an_svg_is_slim_and_reads_the_same(tmp_path: Path):
    figure = scatter.scatter(
        {"<b>": scatter.Panel("0.12345", "b", [(np.zeros(1), np.ones(1))])}, "AP"
    )
    style.save(figure, tmp_path / "a")
    text = (tmp_path / "a.svg").read_text()
    assert "0.12345, AP" in text, "words are not places"
    assert "\n " not in text and "rotate(-0" not in text and text.count("font-family") == 1
    assert not re.search(r' [dxy]="[^"]*\.\d{3}', text)
    assert fromstring(text.encode()).get("style") == "font-family: 'DejaVu Sans', sans-serif"


def test_published_values_stand_against_ours(given: Given):
    assert published.draw(given) == "no published value has a counterpart"
    row = report_study.published_row(ours=0.5, theirs=0.4, measure="AP", verdict="close")
    other = replace(row, measure="RR@10", verdict="different")
    figure = published.draw(with_tables(given, published=[row, row, other]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["AP", "RR@10"]
    (dots,) = figure.axes[0].collections
    assert dots.get_offsets().tolist() == [[0.4, 0.5]] * 2 and dots.get_label() == "close"


# --- what effectiveness costs ------------------------------------------------------------------


def test_sizes_are_joined_within_a_family(given: Given, tables: Tables):
    of = {
        "small-bert": Size(10_000_000, "bert"),
        "small-electra": Size(100_000_000, "bert"),
    }
    axes = by_size.draw(with_tables(given, sizes=of)).axes[0]
    drawn = [found for found in axes.containers if isinstance(found, ErrorbarContainer)]
    assert len(drawn) == 2  # one for each loss
    x, y = drawn[1].lines[0].get_data()
    assert y == pytest.approx(
        [line(tables, f"{s}/infonce").value("In domain") for s in ("small-bert", "small-electra")]
    )
    assert x == pytest.approx([1e7, 1e8], rel=0.05)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10M", "20M", "50M", "100M"]
    apart = of | {"small-electra": Size(100_000_000, "electra")}
    assert len(by_size.draw(with_tables(given, sizes=apart)).axes[0].containers) == 4


def test_a_depth_is_the_mean_over_seeds_and_data_sets_of_the_best_student(
    study: dict[str, Any], tables: Tables, given: Given, tmp_path: Path
):
    rows = [
        (cell.name, dataset, depth, float(depth + number))
        for cell in studies.grid_cells(study)
        for number, dataset in enumerate(study["grid"]["datasets"])
        for depth in (0, 5)
    ]
    columns = dict(zip(DEPTHS.schema.names, zip(*rows, strict=True), strict=True))
    path = tmp_path / "depths.parquet"
    DEPTHS.write(DEPTHS.rows(columns), path, lineage.make("sweep", "all", {}, "", []))
    axes = depths.draw(replace(given, depths=(path,))).axes
    best = max(tables.leaderboard, key=lambda row: (row.kind == "student", row.value("In domain")))
    assert axes[0].get_title(loc="left") == f"In domain: {best.student}"
    assert list(axes[0].lines[0].get_ydata()) == [0.5, 5.5]
    assert list(axes[1].lines[0].get_ydata()) == [2, 7]


def test_every_cost_that_is_drawn_is_one_that_a_training_writes(tmp_path: Path):
    path = tmp_path / "cost.json"
    account(Spent(), 1, Processes("cpu"), "", path)
    assert set(costs.AMOUNTS) <= set(json.loads(path.read_text()))


def a_cost(system: str, kind: str = "student", **of: costs.Spent) -> costs.Cost:
    return costs.Cost(system, kind, None, None, None, **of)


def test_a_cost_is_drawn_where_it_is_known(given: Given, tables: Tables):
    spent = [
        a_cost(
            f"small-bert/hinge/{seed}",
            training=costs.Spent(seconds=seconds, pairs_per_second=5.0),
            reranking=costs.Spent(processor_joules=70.0 * seed),
        )
        for seed, seconds in ((1, 10.0), (2, 30.0))
    ]
    figure = cost.draw(with_tables(given, spent=spent))
    axes = figure.axes
    assert figure.get_supxlabel() == "Energy: not readable on this machine."
    assert [panel.get_xlabel() for panel in axes[:2]] == [
        "training (seconds)", "training (pairs per second)",
    ]  # fmt: skip
    (dot,) = axes[0].collections
    assert list(dot.get_offsets()[0]) == pytest.approx(
        [20, line(tables, "small-bert/hinge").value("In domain")]
    )
    figure = reranking.draw(with_tables(given, spent=spent))
    assert "the machine's processors meanwhile" in figure.get_supxlabel(), "of this work alone"
    (panel, _) = figure.axes
    assert panel.get_xlabel() == "re-ranking (joules)"
    assert panel.collections[0].get_offsets()[0][0] == pytest.approx(105)


def test_the_cost_of_a_teacher_is_not_drawn(given: Given):
    teacher = a_cost("both", "teacher", reranking=costs.Spent(seconds=9000.0))
    student = a_cost("small-bert/hinge/1", reranking=costs.Spent(seconds=10.0))
    figure = reranking.draw(with_tables(given, spent=[teacher, student]))
    assert figure.axes[0].get_xscale() == "linear", "one point spans no powers of ten"
    alone = reranking.draw(with_tables(given, spent=[teacher]))
    assert alone == "no cost.json beside all runs of a student"


def test_parameters_are_counted_in_the_weights(tmp_path: Path):
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "model.safetensors")
    assert models.count(tmp_path / "model.safetensors") == 17
    (tmp_path / "broken").write_bytes(b"\xff" * 20)
    with pytest.raises(BadTable, match="not a readable safetensors file"):
        models.count(tmp_path / "broken")


# --- the commands -----------------------------------------------------------------------------


def invoke(*words: Any) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def test_a_sweep_is_a_row_for_each_run_and_depth(tmp_path: Path):
    made = lineage.make("retrieve", "x", {}, "", [])
    first = ranked(["q"] * 3, ["a", "b", "c"], [3.0, 2.0, 1.0])
    RUN.write(first, tmp_path / "first.parquet", made)
    again = ranked(["q"] * 3, ["a", "b", "c"], [1.0, 2.0, 3.0])
    RUN.write(again, tmp_path / "run.parquet", lineage.make("rerank", "s/l/1/d", {}, "", [made]))
    rows = QRELS.rows({"query_id": ["q"], "doc_id": ["c"], "relevance": [1]})
    QRELS.write(rows, tmp_path / "qrels.parquet", lineage.make("export-queries", "d", {}, "", []))
    words = ["--on", "d", tmp_path / "first.parquet", tmp_path / "qrels.parquet"]
    words += ["--runs", "s/l/1", "d", tmp_path / "run.parquet", "--measure", "RR@10"]
    words += [*"--depth 0 --depth 2 --depth 3 --relevant-from d=1".split()]
    invoke("sweep", tmp_path / "out.parquet", *words)
    assert DEPTHS.read(tmp_path / "out.parquet").to_pylist() == [
        {"system": "s/l/1", "dataset": "d", "depth": depth, "value": value}
        for depth, value in ((0, pytest.approx(1 / 3)), (2, pytest.approx(1 / 3)), (3, 1))
    ]
    settings = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"redistil"])
    assert settings["settings"]["runs"] == ["s/l/1", "d"]


def files_of(*names: str) -> list[str]:
    return [f"{name}.{kind}" for name in sorted(names) for kind in ("png", "rst", "svg")]


def test_every_figure_has_its_files_and_only_those_with_data_are_sealed(
    tmp_path: Path, study: dict[str, Any], tables: Tables
):
    options = report_study.write(tmp_path, study)
    made = lineage.make("tabulate", "small", {}, "", [])
    sources = report_study.sources(study)
    tabulated.write(tables, sources, tmp_path / "tables", made)
    assert (tmp_path / "tables/costs.csv").read_text() == ",".join(costs.HEADER) + "\n"
    words = [tmp_path / "study.yaml", tmp_path / "tables", tmp_path / "figures"]
    invoke("plot", *words)
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(
        [*files_of(*figures.names()), "made.json"]
    )
    sealed = lineage.of(tmp_path / "figures").settings["sha256"]
    assert sorted(sealed) == files_of("forest", "pairs", "table")
    assert "no cost.json beside the models" in (tmp_path / "figures/cost.svg").read_text()
    for record in options["models"]:
        digests.write_json({"seconds": 3.0, "pairs": 9}, Path(record).parent / "cost.json")
    spent = costs.rows(study, [Path(record) for record in options["models"]], [])
    tabulated.write(tables, sources, tmp_path / "tables", made, spent=spent)
    measures = [w for path in options["measures"] for w in ("--measures", path)]
    invoke("plot", *words, *measures)
    sealed = lineage.of(tmp_path / "figures").settings["sha256"]
    assert sorted(sealed) == files_of("cost", "forest", "pairs", "scatter", "table")
    assert "small-bert/infonce, nDCG@10" in (tmp_path / "figures/scatter.svg").read_text() or (
        "small-electra/infonce, nDCG@10" in (tmp_path / "figures/scatter.svg").read_text()
    )

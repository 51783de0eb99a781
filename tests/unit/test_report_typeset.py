"""Tables to paste: what is bold and shaded, and that hostile names stay names."""

import re
from typing import Any

import numpy as np
import pytest

from redistil import study as studies
from redistil.report import leaderboard, typeset
from redistil.report.entries import Values
from redistil.report.leaderboard import Settings, Tables
from redistil.report.typeset import Cell, Sheet
from tests.unit import report_study


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return report_study.config(table=["test", "Out of domain"])


@pytest.fixture(scope="module")
def tables(study: dict[str, Any]) -> Tables:
    systems, datasets = studies.systems(study), study["grid"]["datasets"]
    per_query = {(s.name, d): report_study.values(s, d) for s in systems for d in datasets}
    means = {
        (name, dataset, measure): float(found.mean())
        for (name, dataset), found in per_query.items()
        for measure in study["measures"]
    }
    sizes = dict.fromkeys(datasets, report_study.QUERIES)
    return leaderboard.tabulate(study, Values(per_query, means, sizes), Settings(0.05, 200, 1, 0.1))


@pytest.fixture(scope="module")
def sheet(study: dict[str, Any], tables: Tables) -> Sheet:
    return typeset.main(study, tables.leaderboard)


def test_the_main_table_has_every_student_and_loss_under_the_baselines(sheet: Sheet):
    rows = [row for row in sheet.rows if row is not None]
    assert sheet.header == ["student", "loss", "test", "Out of domain"]
    assert [row[0].text for row in rows[:1]] == ["splade"]  # what is re-ranked comes first
    assert {row[0].text for row in rows[:4]} == {"splade", "bm25", "both", "random"}
    assert [(row[0].text, row[1].text) for row in rows[4:]] == [
        (student, loss)
        for student in ("small-bert", "small-electra")
        for loss in ("hinge", "infonce")
    ]


def test_the_best_student_of_a_column_is_bold_and_shaded_most(sheet: Sheet, tables: Tables):
    rows = [row for row in sheet.rows if row is not None]
    for place, column in ((2, "test"), (3, "Out of domain")):
        cells = [row[place] for row in rows[4:]]
        best = max(float(r[column]) for r in tables.leaderboard if r["kind"] == "student")
        assert [cell.text for cell in cells if cell.bold] == [f"{best:.3f}"]
        assert max(abs(cell.shade) for cell in cells) == 1
        assert not any(row[place].bold or row[place].shade for row in rows[:4])


def test_shading_is_by_distance_from_the_median():
    shades = typeset.shading(np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]]))
    assert shades.tolist() == [[-0.25, 0], [0, 0], [1, 0]]


def test_without_columns_of_its_own_a_study_shows_its_groups(study: dict[str, Any]):
    assert typeset.columns_of({**study, "table": None}) == ["In domain", "Out of domain"]


def test_every_sheet_is_written_in_both_forms(study: dict[str, Any], tables: Tables):
    parts = (tables.leaderboard, tables.losses, tables.tests)
    sheets = typeset.sheets(study, *parts, [])
    assert list(sheets) == ["main", "losses", "pairs"]  # nothing published: no sheet
    for name, sheet in sheets.items():
        columns = len(sheet.header)
        markdown = typeset.markdown(sheet).split("\n\n", 1)[1].strip().splitlines()
        assert {line.count("|") for line in markdown} == {columns + 1}
        latex = typeset.latex(sheet, name)
        body = latex[latex.index(r"\toprule") : latex.index(r"\bottomrule")]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {columns - 1}
        assert latex.count("{") == latex.count("}")
        assert rf"\label{{tab:{name}}}" in latex


def test_markdown_marks_the_best():
    sheet = Sheet("Caption.", ["a", "b"], [[Cell("x_y"), Cell("0.5", bold=True)], None], words=1)
    assert typeset.markdown(sheet) == (
        "Caption.\n\n| a    | b       |\n| ---- | ------: |\n| x\\_y | **0.5** |\n"
    )


def test_latex_shades_and_names_a_student_once():
    rows = [[Cell("s"), Cell("1", bold=True, shade=1.0)], [Cell("s"), Cell("2", shade=-0.5)]]
    latex = typeset.latex(Sheet("C", ["a", "b"], rows, words=1), "x")
    assert "s & \\cellcolor{above!45}\\textbf{1} \\\\\n & \\cellcolor{below!22}2 \\\\" in latex


@pytest.mark.parametrize("name", ["<script>", "[a](http://b)", "a|b", "*x*", "`x`"])
def test_a_name_is_no_markup(name: str):
    marked = typeset.markdown(Sheet("C", ["a"], [[Cell(name)]], words=1)).splitlines()[-1]
    assert "\\" in marked and marked.replace("\\", "").strip("| ") == name


def test_a_name_is_no_command():
    latex = typeset.latex(Sheet("C", ["a"], [[Cell(r"\input{x} 50% & $y_1$ #~^")]], words=1), "x")
    assert r"\textbackslash{}input\{x\} 50\% \& \$y\_1\$ \#\textasciitilde{}" in latex

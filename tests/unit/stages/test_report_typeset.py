"""Tables to paste: what is bold and shaded, and that hostile names stay names."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redistil.stages.report.numbers import cost_sheet, leaderboard, sheets, typeset
from redistil.stages.report.numbers.leaderboard import Settings, Tables
from redistil.stages.report.numbers.sheets import Printed, Sheet
from tests.made import largest_study, report_study

ODD = [
    *report_study.HOSTILE,
    "[1em] x", "*x*", "--flag", "alpha α", "日本", "a \\\\ b\n\nc", "~^`'\"|@!?",
    "Ünïcödé, čłßø", "\x00\x1b[31m", "e\u0301", "x - y – z — w", "\\end{table}", "5 % \\foo{}",
]  # fmt: skip


@pytest.fixture(scope="module")
def study() -> dict[str, Any]:
    return report_study.config(table=["test", "Out of domain"])


@pytest.fixture(scope="module")
def tables(study: dict[str, Any]) -> Tables:
    return leaderboard.tabulate(study, report_study.values_of(study), Settings(0.05, 200, 1, 0.1))


@pytest.fixture(scope="module")
def sheet(study: dict[str, Any], tables: Tables) -> Sheet:
    return sheets.main(study, tables.leaderboard)


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
        best = max(r.value(column) for r in tables.leaderboard if r.kind == "student")
        assert [cell.text for cell in cells if cell.bold] == [f"{best:.3f}"]
        assert max(abs(cell.shade) for cell in cells) == 1
        assert not any(row[place].bold or row[place].shade for row in rows[:4])


def test_shading_is_by_distance_from_the_median():
    shades = sheets.shading(np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]]))
    assert shades.tolist() == [[-0.25, 0], [0, 0], [1, 0]]


def test_values_carry_letters_of_what_they_beat(study: dict[str, Any], tables: Tables):
    sheet = sheets.main(study, tables.leaderboard, tables.tests)
    rows = {(row[0].text, row[1].text): row for row in sheet.rows if row is not None}
    letters = {name: row[0].raised or row[1].raised for name, row in rows.items()}
    assert letters["small-bert", "hinge"] == letters["small-electra", "hinge"] == "a"
    assert letters["small-bert", "infonce"] == "b" and letters["splade", "first stage"] == "c"
    assert letters["random", "random"] == "", "nothing is tested against it"
    best = rows["small-bert", "infonce"]
    beaten = {"a", letters["splade", "first stage"], letters["bm25", "first stage"]}
    assert (best[2].raised, set(best[3].raised)) == ("", beaten), "tests are of groups"
    assert rows["small-bert", "hinge"][3].raised == ""
    value = best[3].text
    raised = rf"\textbf{{{value}}}\textsuperscript{{{best[3].raised}}}"
    assert raised in typeset.latex(sheet, "main")
    assert f"**{value}**<sup>{best[3].raised}</sup>" in typeset.markdown(sheet)


def test_without_columns_of_its_own_a_study_shows_its_groups(study: dict[str, Any]):
    assert sheets.columns_of({**study, "table": None}) == ["In domain", "Out of domain"]


def test_the_caption_says_over_how_many_seeds(study: dict[str, Any], tables: Tables):
    lines = tables.leaderboard
    assert "mean over 2 seeds, re-ranking" in sheets.main(study, lines, []).caption
    fewer = study | {"grid": study["grid"] | {"fewer_seeds": {"small-electra": 1, "small-bert": 2}}}
    assert "mean over 2 seeds (small-electra: 1), re-rank" in sheets.main(fewer, lines, []).caption


def test_every_sheet_is_written_in_both_forms(study: dict[str, Any], tables: Tables):
    parts = (tables.leaderboard, tables.losses, tables.versus)
    every = sheets.sheets(study, *parts, [])
    assert list(every) == ["main", "losses", "pairs"]  # nothing published: no sheet
    for name, sheet in every.items():
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
    sheet = Sheet(
        "Caption.", ["a", "b"], [[Printed("x_y"), Printed("0.5", bold=True)], None], words=1
    )
    assert typeset.markdown(sheet) == (
        "Caption.\n\n| a    |       b |\n|:-----|--------:|\n| x\\_y | **0.5** |\n"
    )


def test_latex_shades_and_names_a_student_once():
    rows = [
        [Printed("s"), Printed("1", bold=True, shade=1.0)],
        [Printed("s"), Printed("2", shade=-0.5)],
    ]
    latex = typeset.latex(Sheet("C", ["a", "b"], rows, words=1), "x")
    assert "s & \\cellcolor{above!45}\\textbf{1} \\\\\n & \\cellcolor{below!22}2 \\\\" in latex


@pytest.mark.parametrize("name", ["<script>", "[a](http://b)", "a|b", "*x*", "`x`"])
def test_a_name_is_no_markup(name: str):
    marked = typeset.markdown(Sheet("C", ["a"], [[Printed(name)]], words=1)).splitlines()[-1]
    assert "\\" in marked and marked.replace("\\", "").strip("| ") == name


def test_a_name_is_no_command():
    latex = typeset.latex(
        Sheet("C", ["a"], [[Printed(r"\input{x} 50% & $y_1$ #~^")]], words=1), "x"
    )
    assert r"\textbackslash{}input\{x\} 50\% \& \$y\_1\$ \#\textasciitilde{}" in latex


def test_a_name_at_the_start_of_a_row_is_no_option_of_the_row_before():
    rows = [[Printed("[1em]"), Printed("1")], [Printed("*"), Printed("2")]]
    lines = typeset.latex(Sheet("C", ["a", "b"], rows, words=1), "x").splitlines()
    assert [line for line in lines if line.startswith("{")] == [r"{[}1em] & 1 \\", r"{*} & 2 \\"]


def test_letters_that_latex_lacks_are_named():
    assert typeset._escaped("naïve α\u202e --x\n\ny e\u0301") == (
        r"naïve \texttt{U+03B1}\texttt{U+202E} -{}-x y é"
    )


def test_a_long_table_goes_over_pages():
    rows = [[Printed(f"s{n}"), Printed(str(n))] for n in range(typeset.LONGEST + 1)]
    for count, kind in ((typeset.LONGEST, "tabular"), (typeset.LONGEST + 1, "longtable")):
        latex = typeset.latex(Sheet("C", ["a", "b"], rows[:count], words=1), "x")
        assert rf"\begin{{{kind}}}{{lr}}" in latex and latex.count("{") == latex.count("}")


# --- by LaTeX itself --------------------------------------------------------------------------

compiles = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex: the LaTeX tables are not compiled"
)


def compiled(folder: Path, *tables: str) -> str:
    """Return what pdflatex says of an article with these tables pasted; its first error fails."""
    packages = ["[a4paper,margin=25mm]{geometry}", "{booktabs}", "{longtable}", "[table]{xcolor}"]
    uses = [rf"\usepackage{package}" for package in packages]
    parts = [r"\documentclass{article}", *uses, r"\begin{document}", *tables]
    (folder / "a.tex").write_text("\n".join([*parts, r"\end{document}"]), encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "a.tex"],
        cwd=folder,
        capture_output=True,
    )
    said = (folder / "a.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, said[-3000:]
    assert "Missing character" not in said
    return said


@compiles
def test_every_table_of_a_study_with_hostile_names_compiles(tmp_path: Path):
    folder, _ = report_study.build(tmp_path)
    paste = folder / "tables" / "paste"
    compiled(tmp_path, *(path.read_text("utf-8") for path in sorted(paste.glob("*.tex"))))


@compiles
def test_whatever_a_name_is_latex_prints_it(tmp_path: Path):
    rows: list[Any] = [[Printed(name), Printed(name, True, 0.5), Printed("1")] for name in ODD]
    both = [row for pair in zip(rows, [None] * len(rows), strict=True) for row in pair]
    odd = Sheet(" ".join(ODD), ODD[:3], both, words=2)
    letters = [chr(n) for n in range(32, 0x250) if typeset._spelled(chr(n)) == chr(n)]
    assert {"A", "é", "č"} <= set(letters)
    plain = Sheet("Letters", ["a"], [[Printed(letter)] for letter in letters], words=1)
    compiled(tmp_path, typeset.latex(odd, "odd"), typeset.latex(plain, "plain"))


@compiles
def test_the_tables_of_the_papers_grid_fit_their_page(tmp_path: Path):
    study = largest_study.config()
    found = largest_study.tables(study, np.random.default_rng(1))
    parts = (found.leaderboard, found.losses, found.versus, found.published, found.tests)
    every = sheets.sheets(study, *parts) | {
        "costs": cost_sheet.sheet(study, found.leaderboard, found.spent)
    }
    said = compiled(tmp_path, *(typeset.latex(sheet, name) for name, sheet in every.items()))
    assert "too large" not in said  # a float that is higher than its page
    assert not re.findall(r"Overfull \\hbox \((\d{2,})", said)

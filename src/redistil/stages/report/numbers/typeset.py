"""Tables ready to paste: Markdown, and LaTeX with booktabs.

A *sheet* is a table as it is printed. The best of a column is bold; in LaTeX a cell is shaded by
how far it lies above (blue) or below (orange) the median of its column, as in the notebooks of
arXiv 2603.03010.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from redistil.stages.report.numbers.entries import Row
from redistil.stages.report.numbers.wording import number, p_value, signed
from redistil.study.study import Study

STRONGEST = 45  # per cent of the colour, so that black text stays readable
LONGEST = 60  # rows that fit a page in the smallest letters; a longer table goes over pages


@dataclass(frozen=True)
class Cell:
    """What is printed; shade: -1 (lowest) to 1 (highest), 0 for none."""

    text: str
    bold: bool = False
    shade: float = 0.0


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed; the first `words` columns are words, the others numbers.

    A line (None) parts what stands above it from what stands below.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell] | None]
    words: int


def sheets(
    study: Study,
    leaderboard: Sequence[Row],
    losses: Sequence[Row],
    tests: Sequence[Row],
    published: Sequence[Row],
) -> dict[str, Sheet]:
    """Return every sheet of the report by name; what has no rows has no sheet."""
    found = {
        "main": main(study, leaderboard),
        "losses": _losses(study, losses),
        "pairs": _pairs(study, tests),
        "published": _published(published),
    }
    return {name: sheet for name, sheet in found.items() if sheet.rows}


def main(study: Study, leaderboard: Sequence[Row]) -> Sheet:
    """Return students x losses over the columns that the study names, the baselines above."""
    columns = columns_of(study)
    rows = {row["system"]: row for row in leaderboard}
    names = {
        student: [f"{student}/{loss}" for loss in study["grid"]["losses"]]
        for student in study["grid"]["students"]
    }
    values = np.array([[rows[n][c] for c in columns] for some in names.values() for n in some])
    first = study["grid"]["first_stage"]
    baselines = [row["system"] for row in leaderboard if row["kind"] != "student"]
    baselines.sort(key=lambda name: name != first)
    lines: list[Sequence[Cell] | None] = [
        [Cell(name), Cell(rows[name]["kind"]), *(Cell(number(rows[name][c])) for c in columns)]
        for name in baselines
    ]
    shades, best = shading(values), values.max(axis=0)
    place = 0
    for student, cells in names.items():
        lines.append(None)
        for name in cells:
            numbers = [
                Cell(number(v), v == top, float(shade))
                for v, top, shade in zip(values[place], best, shades[place], strict=True)
            ]
            lines.append([Cell(student), Cell(rows[name]["loss"]), *numbers])
            place += 1
    seeds = len(study["grid"]["seeds"])
    of = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    caption = (
        f"{study['measures'][0]}, {of}, re-ranking the top {study['reranking']['depth']} of "
        f"{first}. Bold: best of the column."
    )
    return Sheet(caption, ["student", "loss", *columns], lines, words=2)


def columns_of(study: Study) -> list[str]:
    """Return the datasets and groups of the main table; the groups, where the study names none."""
    named: list[str] = list(study.get("table") or study["groups"])
    return named


def shading(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return how far each value lies from its column's median, the farthest of a column at 1."""
    away = values - np.median(values, axis=0)
    farthest = np.abs(away).max(axis=0)
    shades: np.ndarray[Any, Any] = away / np.where(farthest > 0, farthest, 1.0)
    return shades


def _losses(study: Study, losses: Sequence[Row]) -> Sheet:
    header = ["group", "loss", study["measures"][0], "difference", "interval", "d", "p", "verdict"]
    rows: list[Sequence[Cell] | None] = []
    for row in losses:
        if rows and rows[-1] is not None and rows[-1][0].text != row["group"]:
            rows.append(None)
        words = [row["group"], row["loss"], number(row["value"]), signed(row["difference"])]
        words += [_range(row["difference_low"], row["difference_high"]), signed(row["effect"], 2)]
        rows.append([Cell(word) for word in [*words, p_value(row["p_holm"]), row["verdict"]]])
    first = study["grid"]["first_stage"]
    caption = (
        f"Every loss over its students and seeds against {first}: difference with its 95 % "
        "interval over queries and seeds, Cohen's d over queries, p of the paired t-test after "
        "Holm's correction over the losses."
    )
    return Sheet(caption, header, rows, words=2)


def _pairs(study: Study, tests: Sequence[Row]) -> Sheet:
    """Return every pair of losses: which is better, and whether they are shown equivalent."""
    header = ["group", "loss", "against", "difference", "d", "p", "verdict", "equivalence"]
    rows: list[Sequence[Cell] | None] = []
    for row in (row for row in tests if row["family"] == "loss pairs"):
        if rows and rows[-1] is not None and rows[-1][0].text != row["group"]:
            rows.append(None)
        words = [row["group"], row["system"], row["against"], signed(row["difference"])]
        words += [
            signed(row["effect"], 2),
            p_value(row["p_holm"]),
            row["verdict"],
            row["equivalence"],
        ]
        rows.append([Cell(word) for word in words])
    margin = study["statistics"]["margin"]
    caption = (
        "Losses against each other over all students: p of the paired t-test after Holm's "
        f"correction over the pairs; equivalent: within {margin:g} by two one-sided tests."
    )
    return Sheet(caption, header, rows, words=3)


def _published(published: Sequence[Row]) -> Sheet:
    header = ["system", "column", "measure", "ours", "theirs", "difference", "interval", "verdict"]
    rows = [
        [
            Cell(word)
            for word in (
                row["system"] + (" (v1)" if row["superseded_by"] else ""),
                row["column"],
                row["measure"],
                number(row["ours"]),
                number(row["theirs"]),
                signed(row["difference"]),
                _range(row["low"], row["high"]),
                row["verdict"],
            )
        ]
        for row in published
    ]
    caption = (
        "Ours beside the published values: difference with its 95 % interval over seeds. What each "
        "verdict means: docs/protocol.md."
    )
    return Sheet(caption, header, rows, words=3)


def _range(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"[{signed(low)}, {signed(high)}]"


# --- Markdown ---------------------------------------------------------------------------------


def markdown(sheet: Sheet) -> str:
    """Return the sheet as a Markdown table under its caption."""
    rows = [[_marked(cell) for cell in row] for row in sheet.rows if row is not None]
    header = [_marked(Cell(word)) for word in sheet.header]
    widths = [max(3, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]
    rule = [
        "-" * width if i < sheet.words else "-" * (width - 1) + ":"
        for i, width in enumerate(widths)
    ]
    lines = [
        "| " + " | ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) + " |"
        for row in [header, rule, *rows]
    ]
    return f"{sheet.caption}\n\n" + "\n".join(lines) + "\n"


def _marked(cell: Cell) -> str:
    text = re.sub(r"([\\`*_|]|<(?=[a-zA-Z/!?])|\](?=\())", r"\\\1", cell.text)
    return f"**{text}**" if cell.bold else text


# --- LaTeX ------------------------------------------------------------------------------------

_PREAMBLE = """\
% Needs \\usepackage{booktabs}, \\usepackage{longtable} and \\usepackage[table]{xcolor}.
\\definecolor{above}{HTML}{56B4E9}
\\definecolor{below}{HTML}{E69F00}
"""
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "*": "{*}",  # after the end of a row, both would be options of it
    "\N{MINUS SIGN}": "$-$", "–": r"\textendash{}", "×": r"$\times$", "±": r"$\pm$",
}  # fmt: skip
_SMALL = r"\scriptsize\setlength{\tabcolsep}{4pt}"
_LATIN = 0x180  # LaTeX's own names for letters end here
_LETTERS = "ßæœøłÆŒØŁ"
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"


def latex(sheet: Sheet, label: str) -> str:
    """Return the sheet with booktabs rules and shaded cells: a table, or if it is long a longtable.

    A longtable goes over pages, in one column of text.
    """
    kinds = "l" * sheet.words + "r" * (len(sheet.header) - sheet.words)
    caption = rf"\caption{{{_escaped(sheet.caption)}}}\label{{tab:{label}}}"
    head = [r"\toprule", _line([Cell(word) for word in sheet.header]), r"\midrule"]
    rows = [r"\midrule" if row is None else _line(row) for row in _without_repeats(sheet)]
    if len(rows) > LONGEST:
        lines = [
            rf"{{{_SMALL}",
            rf"\begin{{longtable}}{{{kinds}}}",
            rf"{caption} \\",
            *head,
            r"\endhead",
            *rows,
            r"\bottomrule",
            r"\end{longtable}}",
        ]
    else:
        lines = [
            r"\begin{table}",
            r"\centering",
            caption,
            _SMALL,
            rf"\begin{{tabular}}{{{kinds}}}",
            *head,
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return _PREAMBLE + "\n".join(lines) + "\n"


def _without_repeats(sheet: Sheet) -> list[Sequence[Cell] | None]:
    """Return the rows, with the first word only where it changes."""
    found: list[Sequence[Cell] | None] = []
    above = None
    for row in sheet.rows:
        first = row[0].text if row else None
        repeats = row is not None and first == above
        found.append([replace(row[0], text=""), *row[1:]] if row and repeats else row)
        above = first
    return found


def _line(row: Sequence[Cell]) -> str:
    return " & ".join(_set(cell) for cell in row) + r" \\"


def _set(cell: Cell) -> str:
    text = _escaped(cell.text)
    text = rf"\textbf{{{text}}}" if cell.bold else text
    strength = round(abs(cell.shade) * STRONGEST)
    colour = "above" if cell.shade > 0 else "below"
    return rf"\cellcolor{{{colour}!{strength}}}{text}" if strength else text


def _escaped(text: str) -> str:
    """Return words as LaTeX prints them; a letter that its own fonts lack is named by number."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(map(_spelled, line)).replace("--", "-{}-")


def _spelled(letter: str) -> str:
    if letter in _LATEX:
        return _LATEX[letter]
    base, *accent = list(unicodedata.normalize("NFD", letter))
    known = letter in _LETTERS or (letter.isascii() and letter.isprintable())
    composed = len(accent) == 1 and base.isascii() and accent[0] in _ACCENTS
    if known or (composed and ord(letter) < _LATIN):
        return letter
    return rf"\texttt{{U+{ord(letter):04X}}}"

"""Sheets as Markdown and as LaTeX with booktabs, both by pandas."""

import re
import unicodedata
from typing import TYPE_CHECKING

from redistil.stages.report.numbers.sheets import Printed, PrintedRow, Sheet

if TYPE_CHECKING:
    from pandas import DataFrame

STRONGEST = 45  # per cent of the colour, so that black text stays readable
LONGEST = 60  # rows that fit a page in the smallest letters; a longer table goes over pages


def markdown(sheet: Sheet) -> str:
    """Return the sheet as a Markdown table under its caption."""
    rows = []
    for row in sheet.rows:
        if row is not None:
            rows.append(list(map(_marked, row)))
    table = _frame(rows, [_marked(Printed(word)) for word in sheet.header])
    sides = ["left"] * sheet.words + ["right"] * (len(sheet.header) - sheet.words)
    text = table.to_markdown(index=False, colalign=sides, disable_numparse=True)
    return f"{sheet.caption}\n\n{text}\n"


def _frame(rows: list[list[str]], header: list[str]) -> "DataFrame":
    from pandas import DataFrame

    return DataFrame(rows, columns=header, dtype=object)


def _marked(cell: Printed) -> str:
    text = re.sub(r"([\\`*_|]|<(?=[a-zA-Z/!?])|\](?=\())", r"\\\1", cell.text)
    text = f"**{text}**" if cell.bold else text
    return f"{text}<sup>{cell.raised}</sup>" if cell.raised else text


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
_SMALL = r"\scriptsize\setlength{\tabcolsep}{3pt}"
_LATIN = 0x180  # LaTeX's own names for letters end here
_LETTERS = "ßæœøłÆŒØŁ"
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"


def latex(sheet: Sheet, label: str) -> str:
    """Return the sheet with booktabs rules and shaded cells: a table, or if it is long a longtable.

    A longtable goes over pages, in one column of text.
    """
    rows = _rows(sheet)
    long = len(rows) > LONGEST
    text: str = _frame(rows, [_escaped(word) for word in sheet.header]).to_latex(
        index=False,
        escape=False,
        column_format="l" * sheet.words + "r" * (len(sheet.header) - sheet.words),
        caption=_escaped(sheet.caption),
        label=f"tab:{label}",
        longtable=long,
    )
    if long:
        return f"{_PREAMBLE}{{{_SMALL}\n{text}}}\n"
    small = text.replace(r"\begin{table}", rf"\begin{{table}}\centering{_SMALL}", 1)
    return _PREAMBLE + small


def _rows(sheet: Sheet) -> list[list[str]]:
    """Return the rows in LaTeX: the first word only where it changes, a rule where a line is."""
    rows: list[list[str]] = []
    above, rule = None, ""
    for row in sheet.rows:
        if row is None:
            above, rule = None, "\\midrule\n"
        else:
            first, *others = _cells(row)
            rows.append([rule + ("" if row[0].text == above else first), *others])
            above, rule = row[0].text, ""
    return rows


def _cells(row: PrintedRow) -> list[str]:
    return list(map(_set, row))


def _set(cell: Printed) -> str:
    text = _escaped(cell.text)
    text = rf"\textbf{{{text}}}" if cell.bold else text
    text = rf"{text}\textsuperscript{{{cell.raised}}}" if cell.raised else text
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
    is_known = letter in _LETTERS or (letter.isascii() and letter.isprintable())
    composed = len(accent) == 1 and base.isascii() and accent[0] in _ACCENTS
    if is_known or (composed and ord(letter) < _LATIN):
        return letter
    return rf"\texttt{{U+{ord(letter):04X}}}"

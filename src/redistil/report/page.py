"""One HTML page about a study: it needs no network, and opens from a disk years later."""

import base64
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from redistil import lineage
from redistil.report import prose
from redistil.report.leaderboard import LEVEL, Row
from redistil.report.sealed import unsealed
from redistil.report.tabulated import Tabulated

TEMPLATE = Path(__file__).with_name("page.html.j2")

_PACKAGES = (
    "redistil", "torch", "transformers", "tokenizers", "ranx", "scipy", "numpy", "pyarrow",
    "snakemake", "dvc",
)  # fmt: skip

# what each figure shows; the alternative text says where its numbers can be read
_FIGURES = {
    "bars.svg": (
        "Every loss and student, with 95 % intervals over queries and seeds; the lines are the "
        "first stages and the teachers.",
        "Grouped bars of the leaderboard below, one group for each student, one bar for each loss.",
    ),
    "curves.svg": (
        "Training loss by step; each loss has its own scale, and lines of one colour are the seeds "
        "of one student.",
        "Training curves, one panel for each loss.",
    ),
}


def render(
    study: Mapping[str, Any],
    tabulated: Tabulated,
    figures: Path,
    departures: str,
    machine: Mapping[str, str],
) -> str:
    """Return the page as HTML; all text in it is escaped, whoever wrote it."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "signed": signed,
        "p": p_value,
        "canonical": lineage.canonical,
    }
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    board, made = tabulated.leaderboard, tabulated.made
    return template.render(
        study=study,
        title=study.get("title") or study["study"],
        measure=study["measures"][0],
        groups=list(study["groups"]),
        board=board,
        losses={group: _of(tabulated.losses, group) for group in study["groups"]},
        best={group: _best(board, group) for group in study["groups"]},
        first=next(row for row in board if row["system"] == study["grid"]["first_stage"]),
        words={key: sorted({row[key] for row in board if row[key]}) for key in _FILTERS},
        figures=_figures(figures),
        departures=prose.blocks(departures),
        sources=tabulated.sources,
        artefacts=_artefacts(made),
        settings=made.settings,
        level=LEVEL,
        fingerprint=made.fingerprint,
        machine=machine,
    )


_FILTERS = ("kind", "student", "loss")


def _of(rows: Sequence[Row], group: str) -> list[Row]:
    """Return a group's losses, the best first."""
    return sorted((row for row in rows if row["group"] == group), key=lambda row: -row["value"])


def _best(board: Sequence[Row], group: str) -> Row | None:
    students = [row for row in board if row["kind"] == "student"]
    return max(students, key=lambda row: float(row[group]), default=None)


def _figures(folder: Path) -> list[dict[str, str]]:
    """Return the figures as data: an SVG inside an image can neither run nor load anything."""
    _, files = unsealed(folder, "plot")
    return [
        {
            "data": base64.b64encode(files[name].read_bytes()).decode(),
            "caption": caption,
            "alternative": alternative,
        }
        for name, (caption, alternative) in _FIGURES.items()
        if name in files
    ]


def _artefacts(made: lineage.Made) -> list[dict[str, Any]]:
    """Return everything behind the tables, by command; several `codes` are worth a remark."""
    chain = sorted(made.ancestors.items(), key=lambda item: (item[1].command, item[1].name))
    return [
        {"command": command, "codes": len({m.code for _, m in members}), "members": members}
        for command, grouped in groupby(chain, key=lambda item: item[1].command)
        for members in [list(grouped)]
    ]


def machine() -> dict[str, str]:
    """Return what this runs on: hardware, Python and the packages that matter for the numbers."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    return found | {package: version(package) for package in _PACKAGES}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# --- numbers in words -------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Return a value with three decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float | None) -> str:
    """Return a p value as papers print it."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"

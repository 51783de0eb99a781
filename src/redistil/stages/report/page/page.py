"""One HTML page about a study: it needs no network, and opens from a disk years later."""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from redistil.machine.hardware import machine
from redistil.stages.report.numbers import costs
from redistil.stages.report.numbers.entries import best
from redistil.stages.report.numbers.leaderboard import LEVEL, Row, entries
from redistil.stages.report.numbers.pairs import scopes
from redistil.stages.report.numbers.sealed import unsealed
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import number, p_value, plain, signed
from redistil.stages.report.page import board, payload, prose
from redistil.stages.report.page.payload import SCALE, Comparison
from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.study import Study

_HERE = Path(__file__).parent
_LARGE = 400_000  # bytes of an SVG; above it the PNG is shown, which a browser draws faster
_TOLD = {"paper", "student", "loss"}  # of a published value: by `cite` and `system`
_ROWS = 500  # of a table that are shown; the file has them all


@dataclass(frozen=True)
class Places:
    """Where the files behind the page lie, as links from its folder.

    files: by what they are called in the template; recipes: by system.
    """

    page: Path
    files: Mapping[str, str]
    recipes: Mapping[str, str]

    @staticmethod
    def around(page: Path, models: Sequence[Path], **files: Path | None) -> "Places":
        """Return the places of `files`, and of the recipe beside each model's record."""
        named = {name: path for name, path in files.items() if path is not None}
        recipes = {lineage.of(path).name: path.parent / "recipe.yaml" for path in models}
        return Places(
            page,
            {name: _relative(path, page) for name, path in named.items()},
            {name: _relative(path, page) for name, path in recipes.items()},
        )

    def link(self, path: str) -> str:
        """Return the link to a file that a record names."""
        return _relative(Path(path), self.page)


def _relative(path: Path, page: Path) -> str:
    """Return the path from the page's folder; it begins with a dot, so that it is no other kind of
    address, whatever a file is called.
    """
    found = Path(os.path.relpath(path, page.parent)).as_posix()
    return found if found.startswith("../") else f"./{found}"


def render(
    study: Study,
    tabulated: Tabulated,
    figures: Sequence[Mapping[str, str]],
    captions: Mapping[str, str],
    departures: str,
    comparison: Comparison,
    places: Places,
) -> str:
    """Return the page as HTML; all text in it is escaped, whoever wrote it.

    figures: as `illustrations` returns them; captions: of tables, by name.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "signed": signed, "p": p_value, "plain": plain}
    style, script = (_read(name) for name in ("page.css.j2", "page.js.j2"))
    lines, made = tabulated.leaderboard, tabulated.made
    published = [{k: v for k, v in row.items() if k not in _TOLD} for row in tabulated.published]
    more = {"published": published, **tabulated.more}
    return environment.from_string(_read("page.html.j2")).render(
        study=study,
        title=study.get("title") or study["study"],
        measure=study["measures"][0],
        groups=list(study["groups"]),
        losses={group: _of(tabulated.losses, group) for group in study["groups"]},
        best={group: best(lines, group) for group in study["groups"]},
        first=next(row for row in lines if row["system"] == study["grid"]["first_stage"]),
        board=board.board(study, tabulated),
        figures=figures,
        more={name: rows for name, rows in more.items() if rows},
        most=_ROWS,
        costs=costs.sheet(study, lines, tabulated.spent) if tabulated.spent else None,
        left_out=left_out(study),
        captions=captions,
        departures=prose.blocks(departures),
        commands=_commands(made),
        comparison=comparison,
        settings=made.settings,
        level=LEVEL,
        fingerprint=made.fingerprint,
        machine=machine(),
        places=places,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        data=Markup(payload.packed(_data(study, tabulated, comparison, places))),
    )


def left_out(study: Study) -> list[str]:
    """Return a sentence for each data set that the study would have, but for missing texts."""
    found = []
    for one in study.get("left_out", []):
        corpus = study["corpora"][study["datasets"][one["dataset"]]["corpus"]]
        licence = f" ({corpus['licence']})" if "licence" in corpus else ""
        lost = " and ".join(one["groups"])
        also = f", and with it {lost}, since a mean over fewer is another value" if lost else ""
        found.append(
            f"{one['dataset']} is left out{also}: its texts are licensed{licence} and were not in "
            "place."
        )
    return found


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy under which the page can load nothing and runs no script but its own."""
    hashes = [
        base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (style, script)
    ]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; "
        f"script-src 'sha256-{hashes[1]}'; base-uri 'none'; form-action 'none'"
    )


def _of(rows: Sequence[Row], group: str) -> list[Row]:
    """Return a group's losses, the best first."""
    return sorted((row for row in rows if row["group"] == group), key=lambda row: -row["value"])


def illustrations(folder: Path, captions: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the sealed figures of a folder as data: an image can neither run nor load anything."""
    _, files = unsealed(folder, "plot")
    names = dict.fromkeys(Path(name).stem for name in files)
    return [_illustration(name, files, captions) for name in names]


def _illustration(
    name: str, files: Mapping[str, Path], captions: Mapping[str, str]
) -> dict[str, str]:
    drawn, print_ = files.get(f"{name}.svg"), files.get(f"{name}.png")
    path = drawn if drawn and (drawn.stat().st_size <= _LARGE or not print_) else print_
    assert path is not None
    kind = {".svg": "svg+xml", ".png": "png"}[path.suffix]
    data = base64.b64encode(path.read_bytes()).decode()
    title = name.replace("-", " ").replace("_", " ")
    return {
        "name": path.name,
        "title": title,
        "source": f"data:image/{kind};base64,{data}",
        "caption": captions.get(name, f"{title.capitalize()}."),
    }


def captions(folder: Path) -> dict[str, str]:
    """Return the captions NAME.rst in a folder by name; templates of the workflow are left out."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.rst"))}
    return {name: " ".join(text.split()) for name, text in texts.items() if "{{" not in text}


def _commands(made: lineage.Made) -> list[tuple[str, int, int]]:
    """Return, for each command behind the tables, how much it made and with how many codes."""
    chain = sorted(made.chain().values(), key=lambda record: record.command)
    found = []
    for command, group in groupby(chain, key=lambda record: record.command):
        records = list(group)
        found.append((command, len(records), len({record.code for record in records})))
    return found


def _data(
    study: Study, tabulated: Tabulated, comparison: Comparison, places: Places
) -> dict[str, Any]:
    """Return what the page's script reads: means and tests, queries with texts, and records."""
    rows = {row["system"]: row for row in tabulated.leaderboard}
    lines = entries(studies.systems(study))
    spans = list(scopes(study))
    chain = tabulated.made.chain()
    place = {fingerprint: index for index, fingerprint in enumerate(chain)}
    return {
        "measure": study["measures"][0],
        "scale": SCALE,
        "lines": [
            {
                "name": line.name,
                "kind": line.kind,
                "student": line.student,
                "systems": line.systems,
                "means": [round(rows[line.name][span] * SCALE) for span in spans],
            }
            for line in lines
        ],
        "scopes": [[span, len(comparison.pairs.get(span, {}).get("rows", []))] for span in spans],
        "groups": len(study["groups"]),
        "pairs": comparison.pairs,
        "contrasts": comparison.contrasts,
        "relevant": {d: study["datasets"][d]["relevant_from"] for d in study["grid"]["datasets"]},
        "sources": {
            system: [
                source["file"],
                places.link(source["file"]),
                place.get(source["fingerprint"]),
                places.recipes.get(system),
            ]
            for system, source in tabulated.sources.items()
        },
        "made": [
            [
                made.command,
                made.name,
                fingerprint,
                lineage.canonical(made.settings),
                [place[key] for key in made.inputs.values() if key in place],
            ]
            for fingerprint, made in chain.items()
        ],
    }

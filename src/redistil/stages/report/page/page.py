"""One HTML page about a study: it needs no network, and opens from a disk years later."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from redistil.machine.hardware import machine
from redistil.stages.report.numbers import claims, cost_sheet, gates, machines
from redistil.stages.report.numbers.comparisons import LEVEL
from redistil.stages.report.numbers.entries import entries
from redistil.stages.report.numbers.pairs import scopes
from redistil.stages.report.numbers.published import VERDICTS
from redistil.stages.report.numbers.rows import LossRow, Versus, best, by_system, of_group
from redistil.stages.report.numbers.sheets import Sheet
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import number, p_value, plain, signed
from redistil.stages.report.page import board, payload, prose, summary
from redistil.stages.report.page import departures as departures_of
from redistil.stages.report.page.illustrations import Illustration
from redistil.stages.report.page.payload import SCALE, Comparison
from redistil.stages.report.page.places import Places
from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.study import Study

_HERE = Path(__file__).parent
_TOLD = {"paper", "student", "loss"}  # of a published value: by `cite` and `system`
_ROWS = 500  # of a table that are shown; the file has them all


def render(
    study: Study,
    tabulated: Tabulated,
    figures: Sequence[Illustration],
    captions: Mapping[str, str],
    departures: str,
    comparison: Comparison,
    places: Places,
    latency: Sheet | None = None,
) -> str:
    """Return the page as HTML; all text in it is escaped, whoever wrote it.

    captions: of tables, by name; departures: Markdown; latency: what students cost to use.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "signed": signed, "p": p_value, "plain": plain}
    style, script = _read("page.css.j2"), _read("page.js.j2")
    lines, made = tabulated.leaderboard, tabulated.made
    groups = list(study["groups"])
    losses_of, best_of = {}, {}
    for group in groups:
        losses_of[group] = _of(tabulated.losses, group)
        best_of[group] = best(lines, group)
    return environment.from_string(_read("page.html.j2")).render(
        study=study,
        title=study.get("title") or study["study"],
        measure=study["measures"][0],
        groups=groups,
        losses=losses_of,
        best=best_of,
        first=by_system(lines)[study["grid"]["first_stage"]],
        board=board.board(study, tabulated),
        figures=figures,
        more=_tables(tabulated),
        most=_ROWS,
        costs=cost_sheet.sheet(study, lines, tabulated.spent) if tabulated.spent else None,
        latency=latency,
        claims=claims.sheet(study, lines, tabulated.tests) if study.claims else None,
        left_out=left_out(study),
        captions=captions,
        departures=prose.html(_departures(study, tabulated, departures), "Departures"),
        summary=summary.summary(study, tabulated),
        gates=gates.failures(study, tabulated.gates),
        works=tabulated.works,
        mixed=machines.warning(tabulated.works),
        versus=_versus(tabulated),
        counts=_counts(tabulated),
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


def _tables(tabulated: Tabulated) -> dict[str, list[dict[str, Any]]]:
    """Return the tables that are shown as they are; of published values without repeats."""
    published = []
    for row in tabulated.published:
        columns = asdict(row)
        for name in _TOLD:
            del columns[name]
        published.append(columns)
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, rows in {"published": published, **tabulated.more}.items():
        if rows:
            tables[table] = rows
    return tables


def _departures(study: Study, tabulated: Tabulated, text: str) -> str:
    title = str(study.get("title") or study["study"])
    cites = {row.cite for row in tabulated.published}
    return departures_of.of_study(text, title, cites)


def _versus(tabulated: Tabulated) -> dict[tuple[str, str, str], Versus]:
    """Return every loss against every other, both ways, by (group, loss, other loss)."""
    versus = {}
    for row in tabulated.versus:
        turned = replace(
            row,
            loss=row.against,
            against=row.loss,
            difference=-row.difference,
            low=-row.high,
            high=-row.low,
            verdicts=row.verdicts.turned,
        )
        for one in (row, turned):
            versus[one.group, one.loss, one.against] = one
    return versus


def _counts(tabulated: Tabulated) -> dict[str, int]:
    """Return how many published values have each verdict."""
    counts = dict.fromkeys(VERDICTS, 0)
    for row in tabulated.published:
        counts[row.verdict] += 1
    for verdict in VERDICTS:
        if not counts[verdict]:
            del counts[verdict]
    return counts


def left_out(study: Study) -> list[str]:
    """Return a sentence for each dataset that the study would have, but for missing texts."""
    sentences = []
    for one in study.get("left_out", []):
        corpus = study["corpora"][study["datasets"][one["dataset"]]["corpus"]]
        licence = f" ({corpus['licence']})" if "licence" in corpus else ""
        lost = " and ".join(one["groups"])
        also = f", and with it {lost}, since a mean over fewer is another value" if lost else ""
        sentences.append(
            f"{one['dataset']} is left out{also}: its texts are licensed{licence} and were not in "
            "place."
        )
    return sentences


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return a policy under which the page can load nothing and runs no script but its own."""
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_hash(style)}'; "
        f"script-src 'sha256-{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _of(rows: Sequence[LossRow], group: str) -> list[LossRow]:
    """Return a group's losses, the best first."""
    return sorted(of_group(rows, group), key=lambda row: -row.value)


def captions(folder: Path) -> dict[str, str]:
    """Return the captions NAME.rst of tables by name; templates of the workflow are left out."""
    texts = {}
    for path in sorted(folder.glob("*.rst")):
        text = path.read_text(encoding="utf-8")
        if "{{" not in text:
            texts[path.stem] = " ".join(text.split())
    return texts


class Made(NamedTuple):
    """A command behind the tables: how many artefacts it made, with how many codes."""

    command: str
    artefacts: int
    codes: int


def _commands(made: lineage.Made) -> list[Made]:
    """Return every command behind the tables."""
    chain = sorted(made.chain().values(), key=lambda record: record.command)
    commands = []
    for command, group in groupby(chain, key=lambda record: record.command):
        records = list(group)
        codes = {record.code for record in records}
        commands.append(Made(command, len(records), len(codes)))
    return commands


def _data(
    study: Study, tabulated: Tabulated, comparison: Comparison, places: Places
) -> dict[str, Any]:
    """Return what the page's script reads: means and tests, queries with texts, and records."""
    spans = list(scopes(study))
    tested = []
    for span in spans:
        pairs = comparison.pairs.get(span, {}).get("rows", [])
        tested.append([span, len(pairs)])
    relevant = {}
    for dataset in study["grid"]["datasets"]:
        relevant[dataset] = study["datasets"][dataset]["relevant_from"]
    return {
        "measure": study["measures"][0],
        "scale": SCALE,
        "verdicts": payload.VERDICTS,
        "families": payload.FAMILIES,
        "lines": _lines(study, tabulated, spans),
        "scopes": tested,
        "groups": len(study["groups"]),
        "pairs": comparison.pairs,
        "contrasts": comparison.contrasts,
        "relevant": relevant,
        **_records(tabulated, places),
    }


def _lines(study: Study, tabulated: Tabulated, spans: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is compared: each line of the leaderboard with its mean in every scope."""
    numbers = by_system(tabulated.leaderboard)
    lines = []
    for entry in entries(studies.systems(study)):
        line = numbers[entry.name]
        means = [payload.thousandths(line.value(span)) for span in spans]
        who = {"name": entry.name, "kind": entry.kind, "student": entry.student}
        lines.append(who | {"systems": entry.systems, "means": means})
    return lines


def _records(tabulated: Tabulated, places: Places) -> dict[str, Any]:
    """Return, small, where each system's numbers lie and every record behind them."""
    chain = tabulated.made.chain()
    place = {fingerprint: index for index, fingerprint in enumerate(chain)}
    sources = {}
    for system, source in tabulated.sources.items():
        link, at = places.link(source.file), place.get(source.fingerprint)
        sources[system] = [source.file, link, at, places.recipes.get(system)]
    return {"sources": sources, "made": _chain(chain, place)}


def _chain(chain: Mapping[str, lineage.Made], place: Mapping[str, int]) -> list[list[Any]]:
    """Return the records as rows; each names its inputs by their places in the chain."""
    records: list[list[Any]] = []
    for fingerprint, made in chain.items():
        inputs = []
        for key in made.inputs.values():
            if key in place:
                inputs.append(place[key])
        settings = lineage.canonical(made.settings)
        records.append([made.command, made.name, fingerprint, settings, inputs])
    return records

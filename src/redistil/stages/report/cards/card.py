"""The model card of one trained student: Markdown with the front matter that hubs read."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from redistil.machine.hardware import commit, machine
from redistil.stages.report.numbers import gates
from redistil.stages.report.numbers.comparisons import test_of
from redistil.stages.report.numbers.inference import BASELINES
from redistil.stages.report.numbers.rows import by_system
from redistil.stages.report.numbers.tabulated import Tabulated
from redistil.stages.report.numbers.wording import joules, number, p_value, signed
from redistil.storage.lineage import OUTSIDE, SIDECAR, Made, canonical
from redistil.study import artefacts as studies
from redistil.study.architectures import ARCHITECTURES
from redistil.study.artefacts import Cell
from redistil.study.origins import Origin
from redistil.study.study import Study

TEMPLATE = Path(__file__).with_name("card.md.j2")

_MARKUP = re.compile(r"[\\`*_\[\]|]")  # letters that Markdown reads as markup


def text(
    study: Study,
    tabulated: Tabulated,
    cell: Cell,
    made: Made,
    licence: str,
    why: str,
    trained: Mapping[str, Any],
) -> str:
    """Return the card of `cell`, whose record is `made`.

    why: why this seed is published; trained: what its training told of itself (cost.json).
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # Markdown: what is put in is made safe by `words`
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"number": number, "signed": signed, "p": p_value, "words": words}
    environment.filters["joules"] = joules
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    lines = by_system(tabulated.leaderboard)
    line, first = lines[f"{cell.student}/{cell.loss}"], lines[study["grid"]["first_stage"]]
    architecture = ARCHITECTURES[made.settings["architecture"]]
    recipe, backbone = made.settings, study["students"][cell.student]["backbone"]
    return template.render(
        front=front_matter(study, tabulated, cell, licence),
        title=study["title"],
        cell=cell,
        why=why,
        recipe=recipe,
        backbone=study.backbones[backbone].origin or backbone,
        gates=gates.failures_behind(study, tabulated.gates, cell.loss),
        sources=list(sources(study, cell)),
        measures=study["measures"],
        datasets=study["grid"]["datasets"],
        groups=list(study["groups"]),
        values=tabulated.cells,
        test_sets=tabulated.more.get("test_sets", []),
        line=line,
        first=first,
        test=test_of(tabulated.tests, BASELINES, line.system, first.system),
        depth=study["reranking"]["depth"],
        loaded_as=architecture.loaded_as,
        masks=" [MASK]" * recipe.get("masks", 0),
        reads_together=architecture.reads_together,
        fingerprint=made.fingerprint,
        trained=trained,
        commit=commit(),
        machine=machine(),
        record=SIDECAR,
    )


def words(value: Any) -> str:
    """Return a value as text that Markdown and HTML leave as it is, on one line."""
    line = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKUP.sub(r"\\\g<0>", line)


def front_matter(study: Study, tabulated: Tabulated, cell: Cell, licence: str) -> str:
    """Return the YAML that a hub reads: licence, base model, task and results."""
    import yaml

    student = study["students"][cell.student]
    origin = study.backbones[student["backbone"]].origin
    front: dict[str, Any] = {"license": licence, "pipeline_tag": "text-ranking"}
    loaded_as = ARCHITECTURES[student["architecture"]].loaded_as
    if loaded_as:
        front["library_name"] = "sentence-transformers"
    front["tags"] = ["reranker", "redistil"]
    if loaded_as == "CrossEncoder":
        front["tags"] = ["cross-encoder", *front["tags"], "transformers"]
    if origin:
        front["base_model"] = origin
    front["model-index"] = [
        {"name": f"{cell.student}-{cell.loss}", "results": list(_results(study, tabulated, cell))}
    ]
    text: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return text


def _results(study: Study, tabulated: Tabulated, cell: Cell) -> Iterator[dict[str, Any]]:
    for dataset in study["grid"]["datasets"]:
        metrics = []
        for measure in study["measures"]:
            value = tabulated.cells.get((cell.name, dataset, measure))
            if value is not None:
                metrics.append({"type": measure.lower(), "name": measure, "value": value})
        yield {
            "task": {"type": "text-ranking", "name": "Re-ranking"},
            "dataset": {"type": dataset, "name": dataset},
            "metrics": metrics,
        }


def sources(study: Study, cell: Cell) -> Iterator[tuple[str, str, str]]:
    """Yield (what, which, licence) of all that the weights of `cell` descend from, each once."""
    names = studies.words(study, student=cell.student)
    rows = [_source(study, "backbones", "backbone", names["backbone"])]
    for loss in studies.losses_behind(study, cell.loss):
        rows += _read_by(study, studies.words(study, loss=loss))
    yield from dict.fromkeys(rows)


def _read_by(study: Study, names: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the sources of what a loss reads, known by its words."""
    yield _source(study, "corpora", "training passages and queries", names["corpus"])
    encoder = study["first_stages"].get(names["first_stage"], {}).get("encoder")
    if encoder:
        yield _source(study, "backbones", "encoder that found the negatives", encoder)
    if names["teacher"] is None:
        return
    yield _source(study, "teachers", "teacher", names["teacher"])
    for member in studies.members(study, names["teacher"]):
        yield from _behind_teacher(study, member, names["teacher"])


def _behind_teacher(study: Study, member: str, teacher: str) -> Iterator[tuple[str, str, str]]:
    """Yield the model that a member of a teacher runs, or the member where it runs none."""
    backbone_of = {name: student.backbone for name, student in study.students.items()}
    model = study.teachers[member].runs(backbone_of)
    if model:
        what = f"{model.called} of the teacher {member}"
        yield _source(study, model.catalogue, what, model.name)
    elif member != teacher:
        yield _source(study, "teachers", f"teacher in {teacher}", member)


def _source(study: Study, catalogue: str, what: str, name: str) -> tuple[str, str, str]:
    entry: Origin = getattr(study, catalogue)[name]
    download = study.downloads.get(entry.origin)
    where = download.url if download else entry.origin
    licence = entry.licence or entry.unstated_licence
    return what, f"{name} ({where})" if where else name, licence


def provenance(made: Made, weights: str, trained: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a model comes from, as plain values: commits, hashes, versions, hardware.

    weights: the SHA-256 of the weights file; trained: what the training told of itself. Data that
    was made here is named by its fingerprint, which covers settings, code and inputs; what was read
    from outside by its checksums.
    """
    data, outside = {}, {}
    for fingerprint, record in sorted(made.ancestors.items(), key=lambda item: item[1].who):
        if record.command in OUTSIDE:
            outside[record.who] = canonical(record.settings)
        else:
            data[record.who] = fingerprint
    return {
        "trained": trained or "not recorded",
        "published": {"commit": commit(), "machine": machine()},
        "fingerprint": made.fingerprint,
        "code": made.code,
        "weights_sha256": weights,
        "data": data,
        "outside": outside,
    }

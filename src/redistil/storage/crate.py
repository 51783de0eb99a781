"""Where a file comes from, as a Research Object Crate (RO-Crate 1.1, Process Run Crate).

Each command of the chain is an action, from the files that it read to the one that it made.
A file in place is a part of the crate; whatever else the chain names is described alone.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redistil.storage import lineage, trace
from redistil.storage.trace import CodeNow, Step

Entity = dict[str, Any]  # of JSON-LD: @id, @type and properties

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}  # not in that context
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"


def text(path: Path, code_now: CodeNow) -> str:
    """Return the metadata of the crate whose root is the working folder."""
    return json.dumps(of(path, code_now), indent=2, ensure_ascii=False)


def of(path: Path, code_now: CodeNow) -> Entity:
    """Return the crate of a file: its chain, what its work cost, what has changed since."""
    steps = trace.steps(path, code_now)
    parts = [_part(path)]
    places = {steps[0].fingerprint: parts[0]["@id"]}
    for step in steps[1:]:
        if step.made.command == "file" and _is_inside(Path(step.made.name)):
            parts.append(_part(Path(step.made.name)) | _since(step))
            places[step.fingerprint] = parts[-1]["@id"]
    software = _software(trace.told(path, steps))
    graph = [_descriptor(), _root(path, steps, parts), *parts, *software]
    for step in steps:
        graph += _step(step, places)
    return {"@context": [CONTEXT, TERMS], "@graph": graph}


def _descriptor() -> Entity:
    return {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }


def _root(path: Path, chain: Iterable[Step], parts: Iterable[Entity]) -> Entity:
    steps = list(chain)
    changed = sum(bool(step.changed) for step in steps)
    return {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": PROFILE},
        "name": f"{steps[0].made.who}, record {steps[0].fingerprint}",
        "description": f"Where {path} comes from; {changed} of {len(steps)} have changed since.",
        "datePublished": _day(path),
        "license": "Terms: LICENSE for what this project made, docs/models.md for texts and models",
        "hasPart": _references(part["@id"] for part in parts),
        "mentions": _references(f"#made-{s.fingerprint}" for s in steps if not s.is_source),
    }


def _day(path: Path) -> str:
    """Return when the file was written."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d")


def _is_inside(path: Path) -> bool:
    return path.exists() and path.resolve().is_relative_to(Path.cwd())


def _part(path: Path) -> Entity:
    """Return a file or folder that is in place; outside the working folder by its full address."""
    is_folder = path.is_dir()
    place = path.resolve()
    if _is_inside(path):
        name = quote(place.relative_to(Path.cwd()).as_posix()) + "/" * is_folder
    else:
        name = place.as_uri() + "/" * is_folder
    part: Entity = {"@id": name, "@type": "Dataset" if is_folder else "File", "name": str(path)}
    if not is_folder:
        part |= {"sha256": lineage.sha256(path), "contentSize": str(path.stat().st_size)}
    return part


def _software(work: Mapping[str, Any]) -> list[Entity]:
    """Return the program, with machine, commit, seconds and versions of the work."""
    properties = [_property(f"#work-{quote(key)}", key, value) for key, value in work.items()]
    program: Entity = {"@id": "#redistil", "@type": "SoftwareApplication", "name": "redistil"}
    if properties:
        program["additionalProperty"] = _references(each["@id"] for each in properties)
    return [program, *properties]


def _step(step: Step, places: Mapping[str, str]) -> list[Entity]:
    """Return what one record tells: its artefact where it is no part, its settings, its making."""
    made = _named(step.fingerprint, places)
    entities: list[Entity] = []
    for key, value in step.made.settings.items():
        entities.append(_property(f"#set-{step.fingerprint}-{quote(key)}", key, value))
    setting_references = _references(one["@id"] for one in entities)
    if step.fingerprint not in places:
        alone = {"@id": made, "@type": "CreativeWork", "name": step.made.who}
        more = _since(step) | {"additionalProperty": setting_references} if step.is_source else {}
        entities.append(alone | {"identifier": step.fingerprint} | more)
    if step.is_source:
        return entities if step.fingerprint not in places else []
    reads = [_named(fingerprint, places) for fingerprint in step.made.inputs.values()]
    action: Entity = {
        "@id": f"#made-{step.fingerprint}",
        "@type": "CreateAction",
        "name": f"redistil {step.made.who}",
        "identifier": f"code {step.made.code}",
        "instrument": {"@id": "#redistil"},
        "object": _references(reads) + setting_references,
        "result": {"@id": made},
    }
    if "ended" in step.cost:
        action["endTime"] = step.cost["ended"]
    return [*entities, action | _since(step)]


def _since(step: Step) -> Entity:
    return {"description": f"CHANGED SINCE: {step.changed}"} if step.changed else {}


def _named(fingerprint: str, places: Mapping[str, str]) -> str:
    return places.get(fingerprint, f"#{fingerprint}")


def _property(identifier: str, name: str, value: Any) -> Entity:
    literal = value if isinstance(value, str) else lineage.canonical(value)
    return {"@id": identifier, "@type": "PropertyValue", "name": name, "value": literal}


def _references(identifiers: Iterable[str]) -> list[Entity]:
    return [{"@id": identifier} for identifier in identifiers]

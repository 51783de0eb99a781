"""The record of any file that a study leaves: its own, or that of what it was written with."""

import json
from pathlib import Path

from redistil.storage import digests, lineage, pages, settings, works
from redistil.storage.lineage import SIDECAR, Made

ASKED = "resolve"  # the command that writes what a study asks for: settings, without a record
RECORD = "record"  # where a file of measured times keeps it
COST = ".cost.json"


def of(path: Path) -> Made:
    """Return the record of a file or folder.

    A table and a folder have their own. The cost of a run has the run's, and a file in a folder
    that of the folder whose record names it. A page holds it in a comment, and what a study asks
    for is its own settings. Any other file stands for itself.
    Raises Damaged, Stale or BadTable, as `lineage.of` does.
    """
    if path.name.endswith(COST):
        path = digests.remade(path)
    made = lineage.of(path)
    if path.is_dir() or path.name == SIDECAR or path.suffix in lineage.IN_SCHEMA:
        return made
    named = _of_folders(path)
    if named or made.command != "file":
        return named or made
    readers = {".html": pages.of, ".json": _of_json, ".yaml": _of_study}
    reader = readers.get(path.suffix)
    return (reader(path) if reader else None) or made


def _of_folders(path: Path) -> Made | None:
    """Return the record of the nearest folder that names a file; Damaged if it is another file."""
    for folder in path.parents[: works.ABOVE]:
        if (folder / SIDECAR).exists():
            made = lineage.of(folder / SIDECAR)
            name = path.relative_to(folder).as_posix()
            if name in made.files:
                digests.check_against(path, made.files[name])
                return made
            if name in made.settings.get("sha256", {}):
                return made
    return None


def _of_json(path: Path) -> Made | None:
    """Return the record in an object of JSON; None where it has none."""
    if not digests.is_sealed(path):
        return None
    record = digests.read_json(path).get(RECORD)
    return Made.loads(record) if isinstance(record, str) else None


def _of_study(path: Path) -> Made | None:
    """Return what a study asks for as a record: its code is the digest of the settings."""
    if not digests.is_sealed(path):
        return None
    config = settings.mapping(path)
    name = config.get("study")
    return Made(ASKED, name, config, asked_digest(config)) if isinstance(name, str) else None


def asked_digest(config: object) -> str:
    """Return the digest of what a study asks for, as it is after YAML."""
    return lineage.digest(json.loads(json.dumps(config)))

"""The names that a wildcard of the workflow may take, as patterns."""

import re
from collections.abc import Iterable, Mapping

from redistil.study import grid
from redistil.study.fields import Entry
from redistil.study.study import Study

KINDS = {  # wildcard: catalogue, keys of which an entry has one
    "built": ("backbones", "build"),
    "worded": ("backbones", "words"),
    "splade": ("first_stages", "encoder"),
    "bm25": ("first_stages", "k1"),
    "imported": ("first_stages", "import"),
    "mined": ("negatives", "kind"),
    "docpairs": ("negatives", "docpairs"),
    "scored": ("teachers", "model", "checkpoint"),
    "trained": ("teachers", "model"),
    "lexical": ("teachers", "bm25"),
    "averaged": ("teachers", "average"),
    "published": ("teachers", "import"),
    "ranked": ("teachers", "llm"),
}
CATALOGUES = {
    "corpus": "corpora",
    "dataset": "datasets",
    "first_stage": "first_stages",
    "exported": "exports",
    "adopted": "checkpoints",
    "teacher": "teachers",
    "student": "students",
    "loss": "losses",
    "file": "downloads",
}


def constraints(study: Study) -> dict[str, str]:
    """Return the pattern of every wildcard: the names of its catalogue, or of one kind there."""
    patterns = {"seed": r"\d+", "shard": r"\d+", "side": "passages|queries"}
    for wildcard, catalogue in CATALOGUES.items():
        patterns[wildcard] = one_of(study[catalogue])
    for wildcard, (catalogue, *keys) in KINDS.items():
        patterns[wildcard] = one_of(_with_key(study[catalogue], keys))
    # a checkpoint is fetched and tokenised as a backbone is
    patterns["backbone"] = one_of([*study.backbones, *study.checkpoints])
    patterns["fetched"] = one_of(
        [*_with_key(study.backbones, ("hub", "folder")), *study.checkpoints]
    )
    systems = grid.systems(study)
    stages = [system.name for system in systems if system.kind == "first stage"]
    patterns["baseline"] = one_of(stages)
    patterns["system"] = one_of(system.name for system in systems if system.name not in stages)
    return patterns


def _with_key(entries: Mapping[str, Entry], keys: Iterable[str]) -> list[str]:
    """Return the names of the entries that have one of these keys."""
    names = []
    for name, entry in entries.items():
        if any(key in entry for key in keys):
            names.append(name)
    return names


def one_of(names: Iterable[str]) -> str:
    """Return a pattern that matches one of these names, and nothing where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"

"""The names that a wildcard of the workflow may take, as patterns."""

import re
from collections.abc import Iterable

from redistil.study import grid
from redistil.study.backbones import BACKBONES
from redistil.study.candidates import FIRST_STAGES, NEGATIVES
from redistil.study.rules import ByRule, by_rule
from redistil.study.study import Study
from redistil.study.teachers import TEACHERS, TrainedTeacher

KINDS = {  # catalogue: the classes of its entries
    "backbones": BACKBONES,
    "first_stages": FIRST_STAGES,
    "negatives": NEGATIVES,
    "teachers": TEACHERS,
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
    made = _made(study)
    # a checkpoint is fetched and tokenised as a backbone is
    made["fetched"] += study.checkpoints
    patterns["backbone"] = one_of([*study.backbones, *study.checkpoints])
    for wildcard, names in made.items():
        patterns[wildcard] = one_of(names)
    systems = grid.systems(study)
    stages = [system.name for system in systems if system.kind == "first stage"]
    patterns["baseline"] = one_of(stages)
    patterns["system"] = one_of(system.name for system in systems if system.name not in stages)
    return patterns


def _made(study: Study) -> dict[str, list[str]]:
    """Return the names of the entries that rules make, by the wildcard of the rule."""
    made: dict[str, list[str]] = {"trained": []}
    for catalogue, classes in KINDS.items():
        for kind in by_rule(classes):
            made.setdefault(kind.wildcard, [])
        for name, entry in study[catalogue].items():
            if isinstance(entry, ByRule):
                made[entry.wildcard].append(name)
            if isinstance(entry, TrainedTeacher):
                made["trained"].append(name)
    return made


def one_of(names: Iterable[str]) -> str:
    """Return a pattern that matches one of these names, and nothing where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"

"""The paths of a study: patterns whose words its catalogues fill in.

A rule writes `data/tokens/{backbone}/queries/{dataset}.arrow`. The words come from the wildcards
of the job and from what the catalogues derive of them: a student has a backbone. A pattern may
run over rows, such as the datasets of the grid: then it stands for one path a row.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from redistil.errors import BadSettings
from redistil.study import grid
from redistil.study.grid import Cell, Config

Words = Mapping[str, Any]
Rows = Iterator[dict[str, Any]]

NEGATIVES = ("mined", "docpairs", "published", "ranked")  # wildcards that name negatives
CHECKPOINTS = {"adopted": "checkpoint", "ranked": "llm"}  # wildcards of teachers with a backbone
TEACHERS = ("scored", "averaged", "teacher")  # wildcards that name a teacher


def paths(config: Config, pattern: str, over: str | None, known: Words) -> list[str]:
    """Return the distinct paths that a pattern stands for, in the order of its rows.

    known: the wildcards of the job. A row that lacks a word of the pattern gives no path: a loss
    without a teacher has none.
    """
    return list(dict.fromkeys(filled(config, pattern, over, known)))


def filled(config: Config, pattern: str, over: str | None, known: Words) -> list[str]:
    """Return the pattern once for each row that has all its words."""
    wanted = re.findall(r"{(\w+)}", pattern)
    texts = []
    for row in rows(config, over, known):
        if all(row.get(word) is not None for word in wanted):
            texts.append(pattern.format(**row))
    return texts


def rows(config: Config, over: str | None, known: Words) -> Iterator[dict[str, Any]]:
    """Yield the words of every row; without `over` the words of the job alone."""
    given = _named(config, known)
    if over is None:
        yield grid.words(config, **given)
        return
    for row in OVER[over](config, given):
        yield grid.words(config, **(given | row))


def _named(config: Config, known: Words) -> dict[str, Any]:
    """Return the wildcards of a job, and what their names say of them."""
    given = {"study": config["study"], **known}
    for wildcard in NEGATIVES:
        if wildcard in given:
            given.setdefault("negatives", given[wildcard])
    for wildcard, key in CHECKPOINTS.items():
        if wildcard in given:
            given["checkpoint"] = config["teachers"][given[wildcard]][key]
    if "ranked" in given:
        given["first_stage"] = config["teachers"][given["ranked"]]["first_stage"]
    return given


# --- what a pattern may run over ------------------------------------------------------------------


def _datasets(config: Config, known: Words) -> Rows:
    for dataset in config["grid"]["datasets"]:
        yield {"dataset": dataset}


def _students(config: Config, known: Words) -> Rows:
    for student in config["grid"]["students"]:
        yield {"student": student}


def _losses(config: Config, known: Words) -> Rows:
    for loss in config["grid"]["losses"]:
        yield {"loss": loss}


def _cells(config: Config, known: Words) -> Rows:
    for cell in grid.grid_cells(config):
        if known.get("student", cell.student) == cell.student:
            yield {**vars(cell), "system": cell.name}


def _runs(config: Config, known: Words) -> Rows:
    """Yield every run of the cells of the grid, or of those of one student."""
    for cell in _cells(config, known):
        for dataset in _datasets(config, known):
            yield cell | dataset


def _tokens(config: Config, known: Words) -> Rows:
    for student in _students(config, known):
        for dataset in _datasets(config, known):
            yield student | dataset


def _first_stages(config: Config, known: Words) -> Rows:
    stages = [config["grid"]["first_stage"], *config["grid"]["baselines"]]
    for first_stage in stages:
        for dataset in _datasets(config, known):
            yield {"first_stage": first_stage} | dataset


def _systems(config: Config, known: Words) -> Rows:
    for system in grid.systems(config):
        yield {"system": system.name}


def _ranking_systems(config: Config, known: Words) -> Rows:
    """Yield every run that is not a first stage's."""
    for system in grid.systems(config):
        if system.kind != "first stage":
            for dataset in _datasets(config, known):
                yield {"system": system.name} | dataset


def _reranking_models(config: Config, known: Words) -> Rows:
    for system in grid.systems(config):
        if system.kind in ("student", "teacher"):
            yield {"system": system.name}


def _shown(config: Config, known: Words) -> Rows:
    """Yield the runs that the page shows: of each student and loss that of its first seed."""
    first = config["grid"]["seeds"][0]
    for system in grid.systems(config):
        if system.kind == "first stage":
            yield {"runs": f"data/candidates/{system.name}"}
        elif system.kind != "student" or system.seed == first:
            yield {"runs": f"results/{config['study']}/runs/{system.name}"}


def _predecessors(config: Config, known: Words) -> Rows:
    cell = Cell(known["student"], known["loss"], int(known["seed"]))
    before = grid.predecessor(config, cell)
    if before:
        yield {"after": before.loss}


def _validated(config: Config, known: Words) -> Rows:
    asked = config["training"].get("validation")
    for dataset in asked["datasets"] if asked else []:
        yield {"dataset": dataset, "first_stage": asked["first_stage"]}


def _over(config: Config, known: Words) -> Rows:
    """Yield the negatives whose pairs a teacher scores."""
    for negatives in config["teachers"][known["scored"]]["over"]:
        yield {"over": negatives}


def _members(config: Config, known: Words) -> Rows:
    """Yield the single teachers behind a teacher, with model and backbone where it has them."""
    (name,) = (known[wildcard] for wildcard in TEACHERS if wildcard in known)
    for member in grid.members(config, name):
        yield {"member": member} | _model(config, member) | _taught_on(config, member, known)


def _model(config: Config, teacher: str) -> dict[str, str]:
    """Return the folder of the model that a teacher is, and the backbone whose tokens it reads."""
    entry = config["teachers"][teacher]
    if "checkpoint" in entry:
        return {"model": f"data/teachers/models/{teacher}", "backbone": entry["checkpoint"]}
    if "model" not in entry:
        return {}
    cells = grid.teacher_cells(config)
    if teacher not in cells:
        raise BadSettings(
            f"teachers.{teacher}: the study {config['study']} neither tests it nor learns from it: "
            "choose another study (--config study=...), or name it in grid.teachers or a source"
        )
    cell = cells[teacher]
    folder = f"results/{config['study']}/models/{cell.name}"
    return {"model": folder, "backbone": config["students"][cell.student]["backbone"]}


def _taught_on(config: Config, teacher: str, known: Words) -> dict[str, str]:
    """Return the dataset whose pairs a teacher scores, unless the job names another."""
    over = config["teachers"][teacher].get("over")
    if "dataset" in known or not over:
        return {}
    return {"dataset": config["negatives"][over[0]]["dataset"]}


def _teaching(config: Config, known: Words) -> Rows:
    """Yield every teacher behind a loss of the grid and its members, with the pairs scored."""
    seen = set()
    for loss in config["grid"]["losses"]:
        source = config["sources"][config["losses"][loss]["reads"]]
        teacher = source.get("teacher")
        if not teacher:
            continue
        for name in [teacher, *grid.members(config, teacher)]:
            if (name, source["negatives"]) not in seen:
                seen.add((name, source["negatives"]))
                yield {"teacher": name, "negatives": source["negatives"]}


def _tests(config: Config, known: Words) -> Rows:
    """Yield the test sets over the corpus of a training set."""
    for dataset in grid.test_sets(config, _training_set(config, known))[True]:
        yield {"dataset": dataset}


def _tests_elsewhere(config: Config, known: Words) -> Rows:
    """Yield the test sets over other corpora."""
    for dataset in grid.test_sets(config, _training_set(config, known))[False]:
        yield {"dataset": dataset}


def _training_set(config: Config, known: Words) -> str:
    name: str = grid.words(config, **known)["dataset"]
    return name


def _shards(config: Config, known: Words) -> Rows:
    corpus = config["datasets"][known["dataset"]]["corpus"]
    for shard in range(grid.shards(config, known["splade"], corpus)):
        yield {"shard": shard}


def _imported(config: Config, known: Words) -> Rows:
    """Yield the download that a teacher, or a first stage for a dataset, is imported from."""
    if "published" in known:
        yield {"file": config["teachers"][known["published"]]["import"]}
        return
    stage, dataset = known["imported"], known["dataset"]
    file = grid.imported_run(config, stage, dataset)
    if file is None:
        raise BadSettings(
            f"first_stages.{stage}.import: no run for {dataset}, which this study asks for: name "
            "its file, or leave the dataset out"
        )
    yield {"file": file}


def _exported(config: Config, known: Words) -> Rows:
    entry = config["exports"][known["exported"]]
    yield {"negatives": entry["negatives"], "teacher": entry.get("teacher")}


def _exports(config: Config, known: Words) -> Rows:
    for name in config["exports"]:
        yield {"exported": name}


OVER: dict[str, Callable[[Config, Words], Rows]] = {
    "datasets": _datasets,
    "students": _students,
    "losses": _losses,
    "cells": _cells,
    "runs": _runs,
    "tokens": _tokens,
    "first stages": _first_stages,
    "systems": _systems,
    "ranking systems": _ranking_systems,
    "reranking models": _reranking_models,
    "shown": _shown,
    "predecessor": _predecessors,
    "validation": _validated,
    "over": _over,
    "members": _members,
    "teaching": _teaching,
    "tests": _tests,
    "tests elsewhere": _tests_elsewhere,
    "shards": _shards,
    "import": _imported,
    "export": _exported,
    "exports": _exports,
}


# --- the names that a wildcard may take ----------------------------------------------------------

KINDS = {  # wildcard: catalogue, keys of which an entry has one
    "built": ("backbones", "build"),
    "fetched": ("backbones", "hub", "folder"),
    "splade": ("first_stages", "encoder"),
    "bm25": ("first_stages", "k1"),
    "imported": ("first_stages", "import"),
    "mined": ("negatives", "kind"),
    "docpairs": ("negatives", "docpairs"),
    "adopted": ("teachers", "checkpoint"),
    "scored": ("teachers", "over"),
    "averaged": ("teachers", "average"),
    "published": ("teachers", "import"),
    "ranked": ("teachers", "llm"),
}
CATALOGUES = {
    "corpus": "corpora",
    "dataset": "datasets",
    "backbone": "backbones",
    "first_stage": "first_stages",
    "exported": "exports",
    "teacher": "teachers",
    "student": "students",
    "loss": "losses",
    "file": "downloads",
}


def constraints(config: Config) -> dict[str, str]:
    """Return the pattern of every wildcard: the names of its catalogue, or of one kind there."""
    patterns = {"seed": r"\d+", "shard": r"\d+", "side": "passages|queries"}
    for wildcard, catalogue in CATALOGUES.items():
        patterns[wildcard] = one_of(config[catalogue])
    for wildcard, (catalogue, *keys) in KINDS.items():
        entries = config[catalogue].items()
        patterns[wildcard] = one_of(name for name, entry in entries if entry.keys() & {*keys})
    systems = grid.systems(config)
    stages = [system.name for system in systems if system.kind == "first stage"]
    patterns["baseline"] = one_of(stages)
    patterns["system"] = one_of(system.name for system in systems if system.name not in stages)
    return patterns


def one_of(names: Iterable[str]) -> str:
    """Return a pattern that matches one of these names, and nothing where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"

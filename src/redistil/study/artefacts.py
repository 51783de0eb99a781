"""What a study asks for: the settings of every artefact it is made of.

Pure functions of the merged configuration (params.yaml with studies/<study>.yaml on top).
`asked` is the one place that says which settings decide which artefact. The rules pass its values
to the commands, the commands record them with what they write, and the report compares the two.
The grid itself is in `grid`, what is refused in `checks`; both are at hand here.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from redistil.errors import nearest
from redistil.storage import settings
from redistil.study.checks import BESIDE_OPTIONS, DISTILLED, LABELLED, OPTIONS, ORDINAL, check
from redistil.study.grid import (
    Cell,
    Config,
    System,
    grid_cells,
    imported_run,
    losses_behind,
    measures_of,
    members,
    predecessor,
    shards,
    steps_of,
    sweep_depths,
    systems,
    teacher_cells,
    test_sets,
    trained_cells,
    words,
)

__all__ = [
    "BESIDE_OPTIONS",
    "DISTILLED",
    "LABELLED",
    "OPTIONS",
    "ORDINAL",
    "Cell",
    "Config",
    "System",
    "asked",
    "check",
    "flags",
    "grid_cells",
    "imported_run",
    "losses_behind",
    "measures_of",
    "members",
    "nearest",
    "predecessor",
    "read",
    "recipe",
    "shards",
    "sweep_depths",
    "systems",
    "teacher_cells",
    "test_sets",
    "trained_cells",
    "words",
]

Key = tuple[str, str]  # (command, name)


def read(path: Path) -> dict[str, Any]:
    """Return the resolved study that the rule `resolve` wrote."""
    return settings.read(path, "study")


# --- what each artefact is asked to be ------------------------------------------------------------

_ABOUT = {
    "corpus",
    "relevant_from",
    "drop_identical",
    "apart_from",
    "measures",
}  # of a dataset, but not of its export


def _source(entry: Config) -> dict[str, Any]:
    """Return an entry without its licence: one that is learnt of later remakes nothing."""
    return {key: value for key, value in entry.items() if key != "licence"}


def asked(config: Config) -> dict[Key, dict[str, Any]]:
    """Return the settings of every artefact, by the command that makes it and its name."""
    return dict(_asked(config))


def _asked(config: Config) -> Iterator[tuple[Key, dict[str, Any]]]:
    yield from _asked_of_data(config)
    yield from _asked_of_results(config)


def _asked_of_data(config: Config) -> Iterator[tuple[Key, dict[str, Any]]]:
    corpora, datasets = config["corpora"], config["datasets"]
    for name, file in config["downloads"].items():
        yield ("download", name), dict(file)
    for corpus, source in corpora.items():
        yield ("export-passages", corpus), {"corpus": _source(source)}
    for name, dataset in datasets.items():
        source = {key: value for key, value in dataset.items() if key not in _ABOUT}
        corpus = _source(corpora[dataset["corpus"]])
        yield ("export-queries", name), {"corpus": corpus, "dataset": source}
    for backbone, entry in config["backbones"].items():
        if "build" in entry:
            recipe = {k: v for k, v in entry["build"].items() if k not in {"corpus", "dataset"}}
            yield ("build", backbone), recipe | _relevant(datasets, entry["build"])
        else:
            yield ("fetch", backbone), {"source": _source(entry)}
        for corpus in corpora:
            yield ("tokenize", f"{backbone}/passages/{corpus}"), dict(config["tokens"])
        for dataset in datasets:
            yield ("tokenize", f"{backbone}/queries/{dataset}"), dict(config["tokens"])
    for first_stage, entry in config["first_stages"].items():
        yield from _asked_of_first_stage(config, first_stage, entry)
    for negatives, entry in config["negatives"].items():
        if "kind" in entry:
            drawn = ("kind", "positives", "depth", "per_query", "seed", "at_most")
            of = {key: entry.get(key) for key in drawn}
            yield ("mine", negatives), of | _relevant(datasets, entry)
        elif "docpairs" in entry:
            yield (
                ("export-docpairs", negatives),
                {
                    "irds": entry["docpairs"],
                    "at_most": entry["at_most"],
                    "seed": entry["seed"],
                },
            )
    for teacher, entry in config["teachers"].items():
        if "checkpoint" in entry:
            lengths = ("query_length", "passage_length", "pair_length")
            how = ("architecture", *lengths, "pair_form")
            yield ("adopt", teacher), {key: entry[key] for key in how}
        if "over" in entry:
            yield ("score", teacher), {"precision": config["reranking"]["precision"]}
        elif "average" in entry:
            yield ("average", teacher), {}
        elif "llm" in entry:
            read = {"llm", "first_stage"}
            precision = {"precision": config["reranking"]["precision"]}
            told = {key: value for key, value in _source(entry).items() if key not in read}
            yield ("rank", teacher), told | precision
        else:
            told = {key: entry[key] for key in ("format", "unknown", "tolerance")}
            yield ("import-scores", teacher), told
    for exported, entry in config["exports"].items():
        wanted = {key: entry.get(key) for key in ("library", "documents")}
        yield ("export-training", exported), wanted


def _relevant(datasets: Config, entry: Config) -> dict[str, Any]:
    """Return the least grade of a relevant passage in the training set of an entry."""
    return {"relevant_from": datasets[entry["dataset"]]["relevant_from"]}


def _asked_of_first_stage(
    config: Config, first_stage: str, entry: Config
) -> Iterator[tuple[Key, dict[str, Any]]]:
    if "encoder" in entry:
        for corpus in config["corpora"]:
            of = {"passage_length": entry["passage_length"]}
            of["shards"] = shards(config, first_stage, corpus)
            for shard in range(of["shards"]):
                yield ("encode", f"{first_stage}/{corpus}/{shard}"), of | {"shard": shard}
    for name, dataset in config["datasets"].items():
        checked = {
            "drop_identical": bool(dataset.get("drop_identical", False)),
            "least_success": config["least_success"],
        }
        key = f"{first_stage}/{name}"
        if "encoder" in entry:
            kept = {"query_length": entry["query_length"], "depth": entry["depth"]}
            yield ("retrieve", key), kept | checked
        elif "import" in entry:
            if imported_run(config, first_stage, name):
                yield ("import-run", key), checked
        else:
            yield ("retrieve-bm25", key), dict(entry) | checked


def _asked_of_results(config: Config) -> Iterator[tuple[Key, dict[str, Any]]]:
    grid, reranking, seed = config["grid"], dict(config["reranking"]), config["random_seed"]
    for cell in trained_cells(config):
        yield ("train", cell.name), recipe(config, cell)
        for dataset in grid["datasets"]:
            yield ("rerank", f"{cell.name}/{dataset}"), reranking
    for teacher in grid["teachers"]:
        for dataset in grid["datasets"]:
            yield ("rerank", f"{teacher}/{dataset}"), reranking
    for dataset in grid["datasets"]:
        depth = {"depth": reranking["depth"], "seed": seed}
        yield ("shuffle", f"random/{seed}/{dataset}"), depth
    datasets, shared = list(grid["datasets"]), list(config["measures"])
    own = {dataset: measures_of(config, dataset)[len(shared) :] for dataset in datasets}
    levels = {dataset: config["datasets"][dataset]["relevant_from"] for dataset in datasets}
    measured = {
        "on": datasets,
        "measures": shared,
        "more": {dataset: names for dataset, names in own.items() if names} or None,
        "relevant_from": levels,
    }
    for system in systems(config):
        yield ("evaluate", system.name), measured
    for student in grid["students"]:
        cells = [cell.name for cell in grid_cells(config) if cell.student == student]
        yield (
            ("sweep", student),
            {
                "on": datasets,
                "runs": [word for cell in cells for d in datasets for word in (cell, d)],
                "measure": shared[0],
                "depths": sweep_depths(reranking["depth"]),
                "relevant_from": levels,
            },
        )
    yield ("tabulate", config["study"]), dict(config["statistics"])
    drawn = {key: config["statistics"][key] for key in ("resamples", "seed")}
    yield ("compare", config["study"]), drawn
    share = {"queries": config["page"]["queries"] // len(grid["datasets"])}
    for dataset in grid["datasets"]:
        yield ("contrast", dataset), {"dataset": dataset} | dict(config["page"]) | share
    yield ("publish", config["study"]), dict(config["publishing"])


def recipe(config: Config, cell: Cell) -> dict[str, Any]:
    """Return the settings of one training, resolved: all that `train` needs to know.

    Only what this cell reads is in it, so that no other cell's settings can retrain it.
    """
    student, loss = config["students"][cell.student], config["losses"][cell.loss]
    source, training = config["sources"][loss["reads"]], config["training"]
    size, start = training["sizes"][student["size"]], predecessor(config, cell)
    return {
        "student": cell.student,
        "architecture": student["architecture"],
        "backbone": student["backbone"],
        "loss": cell.loss,
        "objective": loss["objective"],
        "options": {k: v for k, v in loss.items() if k not in BESIDE_OPTIONS},
        "seed": cell.seed,
        "predecessor": start.name if start else None,
        "negatives": source["negatives"],
        "teacher": source.get("teacher"),
        "documents": source["documents"],
        "batch": size["batch"][loss["reads"]],
        "steps": steps_of(size, loss["reads"]),
        "warmup_steps": size["warmup_steps"],
        "learning_rate": size["learning_rate"],
        **{key: value for key, value in training["optimiser"].items()},
        "query_length": training["query_length"],
        "passage_length": training["passage_length"],
        "pair_length": training["pair_length"],
        "pair_form": training["pair_form"],
        "precision": training["precision"],
        "room": dict(training["room"]),
        "compile": training["compile"],
        "validation": _validated(config),
        "checkpoint_every": training["checkpoint_every"],
        "log_every": training["log_every"],
    }


def _validated(config: Config) -> dict[str, Any] | None:
    """Return what a training is validated on, each data set with its `relevant_from`."""
    validation = config["training"].get("validation")
    if validation is None:
        return None
    levels = {d: config["datasets"][d]["relevant_from"] for d in validation["datasets"]}
    return {"patience": None, **validation, "datasets": levels}


def flags(asked_for: Mapping[str, Any]) -> str:
    """Return settings as command-line flags, in the order of their names.

    `on` and `runs` name what lies at paths that only the workflow knows: it spells those.
    """
    return " ".join(
        f"--{key.replace('_', '-')} {shlex.quote(_spelled(value))}"
        for key, value in sorted(asked_for.items())
        if value is not None and key not in {"on", "runs"}
    )


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

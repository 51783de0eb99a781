"""What a study asks for: its grid, and the settings of every artefact it is made of.

Pure functions of the merged configuration (params.yaml with studies/<study>.yaml on top).
`asked` is the one place that says which settings decide which artefact. The rules pass its values
to the commands, the commands record them with what they write, and the report compares the two.
"""

import difflib
import json
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings

Config = Mapping[str, Any]

# objectives that read labels, and those that cannot do with them; a house test holds these equal
# to redistil.objectives, which would cost every plan an import of torch
LABELLED = {"bce", "hinge", "infonce"}
DISTILLED = {"margin-mse", "adr-mse", "weighted-ranknet", "pointwise-mse", "kl"}
Key = tuple[str, str]  # (command, name)


@dataclass(frozen=True)
class System:
    """Something that ranks the candidates and has a line in the leaderboard.

    kind: student, teacher, first stage or random; loss and seed are None where there is none.
    """

    name: str
    kind: str
    student: str | None = None
    loss: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Cell:
    """One training: a student, a loss and a seed."""

    student: str
    loss: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student}/{self.loss}/{self.seed}"


def read(path: Path) -> dict[str, Any]:
    """Return the resolved study that the rule `resolve` wrote."""
    import yaml

    study: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return study


# --- the grid ---------------------------------------------------------------------------------


def grid_cells(config: Config) -> list[Cell]:
    """Return every student x loss x seed of the grid."""
    grid = config["grid"]
    return [
        Cell(student, loss, seed)
        for student in grid["students"]
        for loss in grid["losses"]
        for seed in grid["seeds"]
    ]


def teacher_cells(config: Config) -> dict[str, Cell]:
    """Return the cell that each trained teacher of this study is."""
    asked_for = {
        config["sources"][config["losses"][loss]["reads"]].get("teacher")
        for loss in config["grid"]["losses"]
    }
    asked_for |= set(config["grid"]["teachers"])
    single = {leaf for teacher in asked_for if teacher for leaf in members(config, teacher)}
    trained = {name: config["teachers"][name].get("model") for name in sorted(single)}
    return {name: Cell(**model) for name, model in trained.items() if model}


def systems(config: Config) -> list[System]:
    """Return everything the study compares, baselines first."""
    grid = config["grid"]
    return [
        System(f"random/{config['random_seed']}", "random", seed=config["random_seed"]),
        *(System(name, "first stage") for name in [grid["first_stage"], *grid["baselines"]]),
        *(System(name, "teacher") for name in grid["teachers"]),
        *(
            System(cell.name, "student", cell.student, cell.loss, cell.seed)
            for cell in grid_cells(config)
        ),
    ]


def words(config: Config, **known: Any) -> dict[str, Any]:
    """Return `known` with every word that the catalogues derive from it.

    A student has a backbone; a loss reads negatives and perhaps a teacher's scores; negatives
    belong to a dataset; a dataset to a corpus. A word that does not apply is None.
    """
    found = dict(known)

    def derive(word: str, value: Callable[[], Any]) -> None:
        if word not in found:
            found[word] = value()

    if "student" in found:
        derive("backbone", lambda: config["students"][found["student"]]["backbone"])
    if "loss" in found:
        source = config["sources"][config["losses"][found["loss"]]["reads"]]
        derive("negatives", lambda: source["negatives"])
        derive("teacher", lambda: source.get("teacher"))
    if "negatives" in found:
        negatives = config["negatives"][found["negatives"]]
        derive("dataset", lambda: negatives["dataset"])
        derive("first_stage", lambda: negatives.get("first_stage"))
    if "built" in found:
        recipe = config["backbones"][found["built"]]["build"]
        derive("dataset", lambda: recipe["dataset"])
        derive("corpus", lambda: recipe["corpus"])
    if "splade" in found:
        derive("backbone", lambda: config["first_stages"][found["splade"]]["encoder"])
    if "dataset" in found:
        derive("corpus", lambda: config["datasets"][found["dataset"]]["corpus"])
    return found


def members(config: Config, teacher: str) -> list[str]:
    """Return the single teachers behind a teacher: those it averages, or itself."""
    average: list[str] = config["teachers"][teacher].get("average", [teacher])
    return average


# --- what each artefact is asked to be ------------------------------------------------------------

_ABOUT = {"corpus", "relevant_from", "drop_identical"}  # of a dataset, but not of its export


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
        yield ("export-passages", corpus), {"corpus": source}
    for name, dataset in datasets.items():
        source = {key: value for key, value in dataset.items() if key not in _ABOUT}
        yield ("export-queries", name), {"corpus": corpora[dataset["corpus"]], "dataset": source}
    for backbone, entry in config["backbones"].items():
        if "build" in entry:
            recipe = {k: v for k, v in entry["build"].items() if k not in {"corpus", "dataset"}}
            yield ("build", backbone), recipe
        else:
            yield ("fetch", backbone), dict(entry)
        for corpus in corpora:
            yield ("tokenize", f"{backbone}/passages/{corpus}"), dict(config["tokens"])
        for dataset in datasets:
            yield ("tokenize", f"{backbone}/queries/{dataset}"), dict(config["tokens"])
    for first_stage, entry in config["first_stages"].items():
        yield from _asked_of_first_stage(config, first_stage, entry)
    for negatives, entry in config["negatives"].items():
        if "kind" in entry:
            drawn = ("kind", "depth", "per_query", "seed")
            yield ("mine", negatives), {key: entry[key] for key in drawn}
        elif "docpairs" in entry:
            yield ("export-docpairs", negatives), {
                "irds": entry["docpairs"],
                "at_most": entry.get("at_most"),
            }
    for teacher, entry in config["teachers"].items():
        if "model" in entry:
            yield ("score", teacher), {"precision": config["reranking"]["precision"]}
        elif "average" in entry:
            yield ("average", teacher), {}
        else:
            yield ("import-scores", teacher), {"format": entry["format"]}


def _asked_of_first_stage(
    config: Config, first_stage: str, entry: Config
) -> Iterator[tuple[Key, dict[str, Any]]]:
    if "encoder" in entry:
        for corpus in config["corpora"]:
            longest = {"passage_length": entry["passage_length"]}
            yield ("encode", f"{first_stage}/{corpus}"), longest
    for name, dataset in config["datasets"].items():
        drop = {"drop_identical": bool(dataset.get("drop_identical", False))}
        key = f"{first_stage}/{name}"
        if "encoder" in entry:
            kept = {"query_length": entry["query_length"], "depth": entry["depth"]}
            yield ("retrieve", key), kept | drop
        elif "import" in entry:
            yield ("import-run", key), drop
        else:
            yield ("retrieve-bm25", key), dict(entry) | drop


def _asked_of_results(config: Config) -> Iterator[tuple[Key, dict[str, Any]]]:
    grid, reranking, seed = config["grid"], dict(config["reranking"]), config["random_seed"]
    for cell in {*grid_cells(config), *teacher_cells(config).values()}:
        yield ("train", cell.name), recipe(config, cell)
        for dataset in grid["datasets"]:
            yield ("rerank", f"{cell.name}/{dataset}"), reranking
    for teacher in grid["teachers"]:
        for dataset in grid["datasets"]:
            yield ("rerank", f"{teacher}/{dataset}"), reranking
    for dataset in grid["datasets"]:
        depth = {"depth": reranking["depth"], "seed": seed}
        yield ("shuffle", f"random/{seed}/{dataset}"), depth
    measured = {
        "on": list(grid["datasets"]),
        "measures": list(config["measures"]),
        "relevant_from": {d: config["datasets"][d]["relevant_from"] for d in grid["datasets"]},
    }
    for system in systems(config):
        yield ("evaluate", system.name), measured


def recipe(config: Config, cell: Cell) -> dict[str, Any]:
    """Return the settings of one training, resolved: all that `train` needs to know.

    Only what this cell reads is in it, so that no other cell's settings can retrain it.
    """
    student, loss = config["students"][cell.student], config["losses"][cell.loss]
    source, training = config["sources"][loss["reads"]], config["training"]
    size = training["sizes"][student["size"]]
    return {
        "student": cell.student,
        "architecture": student["architecture"],
        "backbone": student["backbone"],
        "loss": cell.loss,
        "objective": loss["objective"],
        "options": {k: v for k, v in loss.items() if k not in {"objective", "reads"}},
        "seed": cell.seed,
        "negatives": source["negatives"],
        "teacher": source.get("teacher"),
        "documents": source["documents"],
        "batch": size["batch"][loss["reads"]],
        "steps": size["steps"],
        "warmup_steps": size["warmup_steps"],
        "learning_rate": size["learning_rate"],
        **{key: value for key, value in training["optimiser"].items()},
        "query_length": training["query_length"],
        "passage_length": training["passage_length"],
        "pair_length": training["pair_length"],
        "precision": training["precision"],
        "checkpoint_every": training["checkpoint_every"],
        "log_every": training["log_every"],
    }


def flags(settings: Mapping[str, Any]) -> str:
    """Return settings as command-line flags, in the order of their names.

    `on` names the datasets of `evaluate`, whose paths only the workflow knows: it spells that one.
    """
    return " ".join(
        f"--{key.replace('_', '-')} {shlex.quote(_spelled(value))}"
        for key, value in sorted(settings.items())
        if value is not None and key != "on"
    )


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


# --- what is refused --------------------------------------------------------------------------


def nearest(word: str, names: Collection[str]) -> str:
    """Return ", did you mean 'x'?" for the closest of `names`, or nothing."""
    close = difflib.get_close_matches(str(word), [str(name) for name in names], n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def check(config: Config, schema: Config) -> None:
    """Refuse, before any job starts, a configuration that asks for the impossible.

    Raises BadSettings naming the path of the key, what was expected and the nearest valid name.
    """
    _check_schema(config, schema)
    for path, name, catalogue in _references(config):
        if name not in config[catalogue]:
            raise BadSettings(
                f"{path}: no {catalogue} entry {name!r}{nearest(name, config[catalogue])} "
                f"(params.yaml or the study must define it under {catalogue})"
            )
    _check_grid(config)


def _check_schema(config: Config, schema: Config) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for unknown in sorted(set(error.instance) - set(known)):
            where = f"{path}.{unknown}" if path else unknown
            expected = ", ".join(sorted(known))
            raise BadSettings(f"{where}: unknown key{nearest(unknown, known)} (one of: {expected})")
    raise BadSettings(f"{path or 'configuration'}: {error.message}")


def _references(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield (path of the key, name, catalogue it must be in)."""
    grid = config["grid"]
    axes = {"students": "students", "losses": "losses", "datasets": "datasets"}
    axes |= {"baselines": "first_stages", "teachers": "teachers"}
    for axis, catalogue in axes.items():
        for name in grid[axis]:
            yield f"grid.{axis}", name, catalogue
    yield "grid.first_stage", grid["first_stage"], "first_stages"
    for name in grid["losses"]:
        if name in config["losses"]:
            yield f"losses.{name}.reads", config["losses"][name]["reads"], "sources"
    for kind, source in config["sources"].items():
        yield f"sources.{kind}.negatives", source["negatives"], "negatives"
        if source.get("teacher"):
            yield f"sources.{kind}.teacher", source["teacher"], "teachers"
    for group, datasets in config["groups"].items():
        for name in datasets:
            yield f"groups.{group}", name, "datasets"
    single = [  # (catalogue, key of an entry, catalogue that the value must be in)
        ("datasets", "corpus", "corpora"),
        ("students", "backbone", "backbones"),
        ("first_stages", "encoder", "backbones"),
        ("first_stages", "import", "downloads"),
        ("negatives", "dataset", "datasets"),
        ("negatives", "first_stage", "first_stages"),
        ("negatives", "teacher", "teachers"),
        ("teachers", "import", "downloads"),
    ]
    for owner, key, catalogue in single:
        for name, entry in config[owner].items():
            if key in entry:
                yield f"{owner}.{name}.{key}", entry[key], catalogue
    for name, entry in config["backbones"].items():
        if "build" in entry:
            yield f"backbones.{name}.build.corpus", entry["build"]["corpus"], "corpora"
            yield f"backbones.{name}.build.dataset", entry["build"]["dataset"], "datasets"
    yield from _teacher_references(config)


def _teacher_references(config: Config) -> Iterator[tuple[str, str, str]]:
    for name, entry in config["teachers"].items():
        for member in entry.get("average", []):
            yield f"teachers.{name}.average", member, "teachers"
        for negatives in entry.get("over", []):
            yield f"teachers.{name}.over", negatives, "negatives"
        if "model" in entry:
            yield f"teachers.{name}.model.student", entry["model"]["student"], "students"
            yield f"teachers.{name}.model.loss", entry["model"]["loss"], "losses"


def _check_grid(config: Config) -> None:
    """Refuse what is well-formed and well-named, yet contradicts itself."""
    for axis, values in config["grid"].items():
        if isinstance(values, list) and len(set(values)) != len(values):
            raise BadSettings(f"grid.{axis}: a value is listed twice in {values}")
    for group, datasets in config["groups"].items():
        for name in datasets:
            if name not in config["grid"]["datasets"]:
                close = nearest(name, config["grid"]["datasets"])
                raise BadSettings(f"groups.{group}: {name!r} is not in grid.datasets{close}")
    _check_teachers(config)
    for cell in [*grid_cells(config), *teacher_cells(config).values()]:
        _check_cell(config, cell)


def _check_teachers(config: Config) -> None:
    for name, entry in config["teachers"].items():
        for member in entry.get("average", []):
            if "average" in config["teachers"][member]:
                raise BadSettings(f"teachers.{name}.average: {member!r} is itself an average")
    for name in config["grid"]["teachers"]:
        for leaf in members(config, name):
            if "model" not in config["teachers"][leaf]:
                raise BadSettings(f"grid.teachers: {leaf!r} has no model here that could re-rank")
    for kind, source in config["sources"].items():
        teacher = source.get("teacher")
        if teacher is None:
            continue
        for leaf in members(config, teacher):
            entry = config["teachers"][leaf]
            if "over" in entry and source["negatives"] not in entry["over"]:
                raise BadSettings(
                    f"sources.{kind}: teacher {leaf!r} scores {entry['over']}, not "
                    f"{source['negatives']!r}: add it to teachers.{leaf}.over"
                )


def _check_cell(config: Config, cell: Cell) -> None:
    loss, size = config["losses"][cell.loss], config["students"][cell.student]["size"]
    where = f"students.{cell.student}.size"
    sizes = config["training"]["sizes"]
    if size not in sizes:
        raise BadSettings(f"{where}: training.sizes has no {size!r}{nearest(size, sizes)}")
    if loss["reads"] not in sizes[size]["batch"]:
        raise BadSettings(f"training.sizes.{size}.batch: no batch for {loss['reads']!r}")
    source = config["sources"][loss["reads"]]
    if loss["objective"] in DISTILLED and not source.get("teacher"):
        raise BadSettings(
            f"losses.{cell.loss}: {loss['objective']} learns from a teacher, and "
            f"sources.{loss['reads']} names none"
        )
    if loss["objective"] in LABELLED and source.get("teacher"):
        raise BadSettings(
            f"losses.{cell.loss}: {loss['objective']} learns from labels, and "
            f"sources.{loss['reads']} would give it the scores of {source['teacher']!r}"
        )
    training = config["training"]
    longest = config["tokens"]["longest"]
    for key in ("query_length", "passage_length"):
        if training[key] > longest:
            raise BadSettings(f"training.{key}: {training[key]} exceeds tokens.longest ({longest})")

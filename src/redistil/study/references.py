"""The names by which entries of a study refer to each other, and the catalogues they must be in."""

from collections.abc import Iterator, Mapping

from redistil.study.grid import Config


def references(config: Config) -> Iterator[tuple[str, str, str]]:
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
    validation = config["training"].get("validation")
    if validation:
        yield "training.validation.first_stage", validation["first_stage"], "first_stages"
        for name in validation["datasets"]:
            yield "training.validation.datasets", name, "datasets"
    for name, size in config["training"]["sizes"].items():
        for key in ("batch", "steps"):
            for source in size[key] if isinstance(size[key], Mapping) else []:
                yield f"training.sizes.{name}.{key}", source, "sources"
    single = [  # (catalogue, key of an entry, catalogue that the value must be in)
        ("datasets", "corpus", "corpora"),
        ("students", "backbone", "backbones"),
        ("losses", "after", "losses"),
        ("first_stages", "encoder", "backbones"),
        ("first_stages", "import", "downloads"),
        ("negatives", "dataset", "datasets"),
        ("negatives", "first_stage", "first_stages"),
        ("negatives", "teacher", "teachers"),
        ("teachers", "import", "downloads"),
        ("teachers", "llm", "backbones"),
        ("teachers", "checkpoint", "backbones"),
        ("exports", "negatives", "negatives"),
        ("exports", "teacher", "teachers"),
        ("teachers", "first_stage", "first_stages"),
    ]
    for owner, key, catalogue in single:
        for name, entry in config[owner].items():
            if isinstance(entry.get(key), Mapping):
                for part, value in entry[key].items():
                    yield f"{owner}.{name}.{key}", part, "datasets"
                    yield f"{owner}.{name}.{key}.{part}", value, catalogue
            elif key in entry:
                yield f"{owner}.{name}.{key}", entry[key], catalogue
    for name, entry in config["backbones"].items():
        if "build" in entry:
            yield f"backbones.{name}.build.corpus", entry["build"]["corpus"], "corpora"
            yield f"backbones.{name}.build.dataset", entry["build"]["dataset"], "datasets"
    for name, entry in config["datasets"].items():
        for test in entry.get("apart_from", []):
            yield f"datasets.{name}.apart_from", test, "datasets"
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

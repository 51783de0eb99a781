"""What a study may not ask for: refused before any job starts.

Unknown keys and values out of range (workflow/schemas/params.schema.yaml), names that no catalogue
has, and settings that contradict each other. A message names the path of the key, what was
expected and the nearest valid name.
"""

from collections.abc import Iterator, Mapping

from redistil.errors import BadSettings, nearest
from redistil.study.grid import (
    Cell,
    Config,
    imported_run,
    members,
    steps_of,
    teachers_behind,
    trained_cells,
)
from redistil.study.kinds import check_keys, check_kinds
from redistil.study.references import references

# objectives that read labels, those that cannot do with them, and their options; a house test holds
# these equal to redistil.learning.objectives, which would cost every plan an import of torch
LABELLED = {"bce", "hinge", "infonce"}
DISTILLED = {"margin-mse", "adr-mse", "weighted-ranknet", "pointwise-mse", "kl"}
ORDINAL = {"ranknet", "adr-mse"}  # read the order of their targets only
SCORED = DISTILLED - ORDINAL
OPTIONS = {  # of each objective that has any: all of them must be given
    "hinge": {"margin"},
    "infonce": {"temperature"},
    "adr-mse": {"temperature"},
    "weighted-ranknet": {"weight"},
    "kl": {"temperature"},
}
BESIDE_OPTIONS = {"objective", "reads", "after"}  # keys of a loss that its objective does not take
COLUMNS = ("system", "kind", "student", "loss", "seeds")  # of a leaderboard, before its numbers

ONE_NUMBER = {"sentence-transformers", "pylate"}  # want as many passages of every example


def check(config: Config, schema: Config) -> None:
    """Refuse, before any job starts, a configuration that asks for the impossible.

    Raises BadSettings naming the path of the key, what was expected and the nearest valid name.
    """
    _check_schema(config, schema)
    check_kinds(config)
    for path, name, catalogue in references(config):
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
    hint = nearest(error.instance, error.validator_value) if error.validator == "enum" else ""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for unknown in sorted(set(error.instance) - set(known), key=str):
            where = f"{path}.{unknown}" if path else unknown
            expected = ", ".join(sorted(known))
            raise BadSettings(f"{where}: unknown key{nearest(unknown, known)} (one of: {expected})")
    raise BadSettings(f"{path or 'configuration'}: {error.message}{hint}")


def _check_grid(config: Config) -> None:
    """Refuse what is well-formed and well-named, yet contradicts itself."""
    _check_order(config)
    for axis, values in config["grid"].items():
        if isinstance(values, list) and len(set(values)) != len(values):
            raise BadSettings(f"grid.{axis}: a value is listed twice in {values}")
    for group, datasets in config["groups"].items():
        for name in datasets:
            if name not in config["grid"]["datasets"]:
                close = nearest(name, config["grid"]["datasets"])
                raise BadSettings(f"groups.{group}: {name!r} is not in grid.datasets{close}")
    _check_systems(config)
    _check_columns(config)
    for name in config.get("table", []):
        known = [*config["grid"]["datasets"], *config["groups"]]
        if name not in known:
            raise BadSettings(f"table: no dataset or group {name!r}{nearest(name, known)}")
    for name, loss in config["losses"].items():
        objective = loss["objective"]
        options = OPTIONS.get(objective, set())
        check_keys(f"losses.{name}", loss.keys() - BESIDE_OPTIONS, objective, options)
    for name, entry in config["backbones"].items():
        if "build" in entry:
            _check_build(f"backbones.{name}.build", entry["build"])
    _check_teachers(config)
    for cell in trained_cells(config):
        _check_cell(config, cell)
    _check_apart(config)
    for name, entry in config["exports"].items():
        check_documents(f"exports.{name}.documents", entry["library"], entry.get("documents"))
    _check_validation(config)
    _check_depths(config)
    _check_runs(config)
    _check_lengths(config)


def _check_order(config: Config) -> None:
    """Refuse losses that come after each other in a circle: none could be the first."""
    for name in config["losses"]:
        chain = [name]
        while after := config["losses"][chain[-1]].get("after"):
            if after in chain:
                path = " after ".join([*chain, after])
                raise BadSettings(
                    f"losses.{name}.after: {path}: one of them must start from the backbone"
                )
            chain.append(after)


def _check_systems(config: Config) -> None:
    """Refuse two systems of one name: they would share their files and their line."""
    grid, named = config["grid"], {"random": "the random order"}
    lines = [("first_stage", grid["first_stage"])]
    lines += [(axis, name) for axis in ("baselines", "teachers") for name in grid[axis]]
    for axis, name in lines:
        if name in named:
            raise BadSettings(
                f"grid.{axis}: {name!r} is the name of {named[name]} too: each line of the "
                "leaderboard needs its own"
            )
        named[name] = f"grid.{axis}"


def _check_columns(config: Config) -> None:
    """Refuse a name that would give two columns of the leaderboard one name."""
    datasets = config["grid"]["datasets"]
    for path, names in (("groups", list(config["groups"])), ("grid.datasets", datasets)):
        for name in names:
            if name in COLUMNS:
                raise BadSettings(f"{path}: {name!r} is a column of the leaderboard: rename it")
    for name in config["groups"]:
        if name in datasets:
            raise BadSettings(f"groups.{name}: a data set has this name too: rename the group")


def check_documents(path: str, library: str, documents: int | None) -> None:
    """Refuse a number of passages that a library does not read, or none where it wants one."""
    if library in ONE_NUMBER and documents is None:
        raise BadSettings(f"{path}: {library} wants one number of passages: say how many")
    if library not in ONE_NUMBER and documents is not None:
        raise BadSettings(f"{path}: {library} takes all passages of an example: leave it out")


def _check_build(path: str, build: Config) -> None:
    wanted, given = "flops" if build["family"] == "splade" else "bm25", build["warmup"].keys()
    who = f"the warm-up of {build['family']}"
    check_keys(f"{path}.warmup", given & {"flops", "bm25"}, who, {wanted})
    if build["width"] % build["heads"]:
        raise BadSettings(
            f"{path}.width: {build['width']} is no multiple of {build['heads']} heads"
        )


def _check_teachers(config: Config) -> None:
    for name, entry in config["teachers"].items():
        for member in entry.get("average", []):
            if "average" in config["teachers"][member]:
                raise BadSettings(f"teachers.{name}.average: {member!r} is itself an average")
        _refuse_circle(config, name)
    for name, entry in config["teachers"].items():
        brings = "import" in entry or "llm" in entry
        if brings and config["negatives"].get(name, {}).get("teacher") != name:
            raise BadSettings(
                f"teachers.{name}: what it scores belongs to a dataset: say which, as "
                f"negatives.{name}: {{teacher: {name}, dataset: ...}}"
            )
        if entry.get("stride", 0) > entry.get("window", 0):
            raise BadSettings(f"teachers.{name}.stride: more than its window skips passages")
        taught = sorted({config["negatives"][n]["dataset"] for n in entry.get("over", [])})
        if len(taught) > 1:
            raise BadSettings(
                f"teachers.{name}.over: negatives of {' and '.join(taught)}: a teacher scores one "
                "data set, give each its own"
            )
    for name, entry in config["negatives"].items():
        if entry.get("teacher", name) != name:
            raise BadSettings(
                f"negatives.{name}.teacher: {entry['teacher']!r} brings negatives of its own name"
            )
    for name in config["grid"]["teachers"]:
        for leaf in members(config, name):
            if not {"model", "checkpoint"} & config["teachers"][leaf].keys():
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


def _check_apart(config: Config) -> None:
    """Refuse a grid that tests on queries that training, of teachers or warm-ups too, may see."""
    reads = [config["losses"][cell.loss]["reads"] for cell in trained_cells(config)]
    negatives = [config["negatives"][config["sources"][kind]["negatives"]] for kind in reads]
    warmed_up = _built(config, [entry["first_stage"] for entry in negatives if "kind" in entry])
    for training in dict.fromkeys(entry["dataset"] for entry in (*negatives, *warmed_up)):
        for name in config["grid"]["datasets"]:
            if name not in config["datasets"][training].get("apart_from", []):
                raise BadSettings(
                    f"datasets.{training}.apart_from: {name!r} is in grid.datasets, but its "
                    f"queries may be in {training!r}: add it to the list"
                )


def _built(config: Config, mined: list[str]) -> Iterator[Config]:
    """Yield how the backbones are built, of all models and of the first stages that count.

    mined: the first stages that negatives are drawn from.
    """
    stages = [config["grid"]["first_stage"], *config["grid"]["baselines"], *mined]
    backbones = [config["students"][cell.student]["backbone"] for cell in trained_cells(config)]
    backbones += [config["first_stages"][name].get("encoder") for name in stages]
    for name in dict.fromkeys(filter(None, backbones)):
        if "build" in config["backbones"][name]:
            yield config["backbones"][name]["build"]


def _refuse_circle(config: Config, teacher: str, pupils: tuple[str, ...] = ()) -> None:
    if teacher in pupils:
        path = " <- ".join([*pupils, teacher])
        raise BadSettings(f"teachers.{teacher}.model.loss: {teacher!r} learns from itself ({path})")
    for leaf in members(config, teacher):
        model = config["teachers"][leaf].get("model")
        for above in teachers_behind(config, model["loss"]) if model else []:
            _refuse_circle(config, above, (*pupils, teacher))


def _check_validation(config: Config) -> None:
    """Refuse a choice of weights on what the study is tested on, or on what it is trained on."""
    validation = config["training"].get("validation")
    trained = {config["negatives"][s["negatives"]]["dataset"] for s in config["sources"].values()}
    for name in validation["datasets"] if validation else []:
        if name in config["grid"]["datasets"]:
            raise BadSettings(
                f"training.validation.datasets: {name!r} is in grid.datasets: a test set cannot "
                "choose the weights"
            )
        if name in trained:
            raise BadSettings(f"training.validation.datasets: {name!r} is what is trained on")


def _check_depths(config: Config) -> None:
    """Refuse a depth beyond what the first stage keeps: fewer would be used without a word."""
    stages = config["first_stages"]
    wanted = [("reranking.depth", config["grid"]["first_stage"], config["reranking"]["depth"])]
    validation = config["training"].get("validation")
    if validation:
        where = "training.validation.depth"
        wanted.append((where, validation["first_stage"], validation["depth"]))
    wanted += [
        (f"negatives.{name}.depth", entry["first_stage"], entry["depth"])
        for name, entry in config["negatives"].items()
        if "kind" in entry
    ]
    for path, stage, depth in wanted:
        kept = stages[stage].get("depth")
        if kept and depth > kept:
            raise BadSettings(f"{path}: {depth} exceeds first_stages.{stage}.depth ({kept})")


def _check_runs(config: Config) -> None:
    """Refuse a data set that is tested on, and for which an imported first stage has no run."""
    for stage in [config["grid"]["first_stage"], *config["grid"]["baselines"]]:
        for name in config["grid"]["datasets"] if "import" in config["first_stages"][stage] else []:
            if imported_run(config, stage, name) is None:
                raise BadSettings(f"first_stages.{stage}.import: no run for {name!r} of the grid")


def _check_lengths(config: Config) -> None:
    """Refuse a cap beyond the tokens that are kept, and a pair without room for its passage."""
    longest, training = config["tokens"]["longest"], config["training"]
    holders = {f"first_stages.{name}": config["first_stages"][name] for name in _stages(config)}
    holders |= {f"teachers.{name}": config["teachers"][name] for name in _teachers(config)}
    for path, entry in ({"training": training} | holders).items():
        for key in ("query_length", "passage_length"):
            if entry.get(key, 0) > longest:
                raise BadSettings(f"{path}.{key}: {entry[key]} exceeds tokens.longest ({longest})")
        if "pair_length" in entry and entry["pair_length"] <= entry["query_length"]:
            raise BadSettings(
                f"{path}.pair_length: {entry['pair_length']} leaves a query of "
                f"{path}.query_length ({entry['query_length']}) no room for a passage"
            )


def _teachers(config: Config) -> Iterator[str]:
    """Yield every single teacher that the study tests or learns from."""
    taught = [source.get("teacher") for source in config["sources"].values()]
    for name in filter(None, [*config["grid"]["teachers"], *taught]):
        yield from members(config, name)


def _stages(config: Config) -> Iterator[str]:
    """Yield every first stage that the study runs: to test, to validate, to draw negatives."""
    yield from [config["grid"]["first_stage"], *config["grid"]["baselines"]]
    if config["training"].get("validation"):
        yield config["training"]["validation"]["first_stage"]
    for source in config["sources"].values():
        name = source["negatives"]
        for entry in (config["negatives"][name], config["teachers"].get(name, {})):
            if "first_stage" in entry:
                yield entry["first_stage"]


def _check_cell(config: Config, cell: Cell) -> None:
    loss, size = config["losses"][cell.loss], config["students"][cell.student]["size"]
    where = f"students.{cell.student}.size"
    sizes = config["training"]["sizes"]
    if size not in sizes:
        raise BadSettings(f"{where}: training.sizes has no {size!r}{nearest(size, sizes)}")
    if loss["reads"] not in config["sources"]:
        close = nearest(loss["reads"], config["sources"])
        raise BadSettings(f"losses.{cell.loss}.reads: no sources entry {loss['reads']!r}{close}")
    for key in ("batch", "steps"):
        given = sizes[size][key]
        if isinstance(given, Mapping) and loss["reads"] not in given:
            raise BadSettings(f"training.sizes.{size}.{key}: no {key} for {loss['reads']!r}")
    if sizes[size]["warmup_steps"] > steps_of(sizes[size], loss["reads"]):
        raise BadSettings(f"training.sizes.{size}.warmup_steps: more than its steps")
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
    for leaf in members(config, source["teacher"]) if loss["objective"] in SCORED else []:
        if _gives_order(config["teachers"][leaf]):
            raise BadSettings(
                f"losses.{cell.loss}: {loss['objective']} reads a teacher's scores, and "
                f"teachers.{leaf} gives an order (a run with a model's scores says `scored: true`)"
            )


def _gives_order(teacher: Config) -> bool:
    """Say whether a teacher's scores are places, as far as is declared: any run has some."""
    layout = teacher.get("format")
    run = layout in {"trec", "ranking"} and not teacher.get("scored")
    return run or layout == "id-lists" or "llm" in teacher

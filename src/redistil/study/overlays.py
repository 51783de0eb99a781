"""Studies as files: what one lays over params.yaml, and what becomes of it where files are missing.

A study is one file in studies/. It may say which other study it is `like`: then that one is read
first, and only what differs is written down. Mappings are merged, all else is replaced, as
Snakemake merges configuration files. `groups` is replaced too: it names the columns of a table.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings, nearest
from redistil.study.checks import check
from redistil.study.grid import members, trained_cells

LIKE, WHOLE = "like", "groups"  # keys of a study: whom it resembles, and what is never merged


def overlay(name: str, folder: str | Path = "studies") -> dict[str, Any]:
    """Return what a study lays over params.yaml: its own file on top of the one it is like.

    Raises BadSettings when there is no such study, when its file is no mapping of settings, or when
    it is like itself.
    """
    chain = _chain(name, Path(folder), ())
    found: dict[str, Any] = {}
    for settings in chain:
        if WHOLE in settings:
            found.pop(WHOLE, None)
        found = merged(found, settings)
    return found


def lay(
    config: MutableMapping[str, Any], command_line: Mapping[str, Any], schema: Mapping[str, Any]
) -> list[str]:
    """Lay the study, then the command line, on `config`; check it; return what is left out.

    command_line: what `--config` and `--configfile` say. Raises BadSettings for what a study may
    not ask for.
    """
    study = merged(merged(config, overlay(config["study"])), command_line)
    config.update(study)
    check(config, schema)
    left_out = leave_out(config, "data/corpora/passages")
    refuse_missing(config)
    return left_out


def merged(below: Any, above: Any) -> Any:
    """Return `above` laid on `below`: mappings merge key by key, all else is replaced."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    both = {key: merged(below.get(key), value) for key, value in above.items()}
    return {**below, **both}


def _chain(name: str, folder: Path, above: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the settings of a study and those it is like, the most general first."""
    if name in above:
        raise BadSettings(f"studies: {' is like '.join([*above, name])}: one of them must end it")
    settings = _read(name, folder, f"studies/{above[-1]}.yaml: like" if above else "study")
    like = settings.pop(LIKE, None)
    return [*(_chain(str(like), folder, (*above, name)) if like else ()), settings]


def _read(name: str, folder: Path, path: str) -> dict[str, Any]:
    import yaml

    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in known:
        raise BadSettings(
            f"{path}: no {folder}/{name}.yaml{nearest(name, known)} (there is: {', '.join(known)})"
        )
    try:
        settings = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8-sig"))
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadSettings(f"{folder}/{name}.yaml is not readable YAML: {reason}") from None
    if not isinstance(settings, dict):
        raise BadSettings(f"{folder}/{name}.yaml: wanted a mapping of settings, as title: ...")
    return settings


def leave_out(config: MutableMapping[str, Any], exported: str | Path) -> list[str]:
    """Take datasets whose licensed texts are not in place out of the grid; return a line for each.

    A corpus that says `licensed` cannot be fetched: its texts belong below IR_DATASETS_HOME, at the
    path it names. exported: the folder of the corpora that were made before. A group that loses a
    dataset goes too: its mean over fewer would be another number under the same name. The main
    table shows what is left of it, and `left_out` of the configuration what was taken.
    """
    datasets, groups, lines = config["grid"]["datasets"], config["groups"], []
    left_out: list[dict[str, Any]] = []
    for name in datasets:
        corpus = config["datasets"][name]["corpus"]
        place = config["corpora"][corpus].get("licensed")
        if not place or Path(exported, f"{corpus}.parquet").exists() or _filled(_home() / place):
            continue
        datasets = [other for other in datasets if other != name]
        lost = sorted(group for group, members in groups.items() if name in members)
        groups = {group: members for group, members in groups.items() if group not in lost}
        left_out.append({"dataset": name, "groups": lost})
        also = f", and with it {' and '.join(map(repr, lost))}" if lost else ""
        lines.append(
            f"{name} is left out{also}: its texts are licensed and not in place; to have it, put "
            f"them below {_home() / place}"
        )
    if not (datasets and groups):
        raise BadSettings(f"grid.datasets: nothing is left to be measured: {'; '.join(lines)}")
    config["grid"]["datasets"], config["groups"] = datasets, groups
    config.update({"left_out": left_out} if left_out else {})
    if "table" in config:
        left = [name for name in config.pop("table") if name in {*datasets, *groups}]
        config.update({"table": left} if left else {})
    return lines


def refuse_missing(config: Mapping[str, Any]) -> None:
    """Refuse a study that reads a collection or checkpoint whose folder is not where it says.

    What was made of it before is no substitute: Snakemake would remove that to make it anew.
    """
    corpora, backbones = _read_by(config)
    for catalogue, names, what in (
        ("corpora", corpora, "corpus.jsonl, queries.jsonl, qrels"),
        ("backbones", backbones, "the checkpoint's files"),
    ):
        for name in sorted(names):
            folder = config[catalogue][name].get("folder")
            if folder and not Path(folder).is_dir():
                raise BadSettings(
                    f"{catalogue}.{name}.folder: {folder} is not a folder: check the path, or put "
                    f"{what} there"
                )


def _read_by(config: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the corpora and the backbones that a study reads."""
    grid, cells = config["grid"], trained_cells(config)
    validation = config["training"].get("validation") or {"datasets": []}
    reads = {config["losses"][cell.loss]["reads"] for cell in cells}
    sources = [config["sources"][kind] for kind in reads]
    negatives = [config["negatives"][source["negatives"]] for source in sources]
    named = [entry["teacher"] for entry in (*sources, *negatives) if entry.get("teacher")]
    leaves = {leaf for name in (*grid["teachers"], *named) for leaf in members(config, name)}
    teachers = [config["teachers"][leaf] for leaf in leaves]
    users = (validation, *negatives, *teachers)
    stages = {grid["first_stage"], *grid["baselines"]}
    stages |= {entry["first_stage"] for entry in users if "first_stage" in entry}

    backbones = {config["students"][cell.student]["backbone"] for cell in cells}
    for entry in (*teachers, *(config["first_stages"][stage] for stage in stages)):
        backbones |= {entry[key] for key in ("checkpoint", "llm", "encoder") if key in entry}
    entries = [config["backbones"][name] for name in backbones]
    built = [entry["build"] for entry in entries if "build" in entry]

    datasets = {entry["dataset"] for entry in (*negatives, *built)}
    for entry in (*negatives, *built):
        datasets |= set(config["datasets"][entry["dataset"]].get("apart_from", []))
    datasets |= {*grid["datasets"], *validation["datasets"]}
    corpora = {config["datasets"][name]["corpus"] for name in datasets}
    return corpora | {recipe["corpus"] for recipe in built}, backbones


def _home() -> Path:
    """Return where ir_datasets keeps its files, as the library itself decides it."""
    return Path(os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets")


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())

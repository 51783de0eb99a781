"""Studies as files: what one lays over params.yaml, and what becomes of it where files are missing.

A study is one file in studies/. It may say which other study it is `like`: then that one is read
first, and only what differs is written down. Mappings are merged, all else is replaced, as
Snakemake merges configuration files. `groups` is replaced too: it names the columns of a table.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings, nearest
from redistil.storage import settings
from redistil.study.backbones import BuiltBackbone
from redistil.study.candidates import SpladeStage
from redistil.study.checks import resolve
from redistil.study.fields import Entry
from redistil.study.grid import members, test_sets, trained_cells, training_sets
from redistil.study.study import LeftOut, Study
from redistil.study.teachers import AdoptedTeacher, RankingTeacher

LIKE, GROUPS, TABLE = "like", "groups", "table"  # keys of a study


def overlay(name: str, folder: str | Path = "studies") -> dict[str, Any]:
    """Return what a study lays over params.yaml: its own file on top of the one it is like.

    Raises BadSettings when there is no such study, when its file is no mapping of settings, or when
    it is like itself.
    """
    whole: dict[str, Any] = {}
    for one in _chain(name, Path(folder), ()):
        whole = laid_on(whole, one)
    return whole


def planned(config: Mapping[str, Any], command_line: Mapping[str, Any]) -> tuple[Study, list[str]]:
    """Return the study that params.yaml names, and a line for each dataset that it leaves out.

    config: params.yaml, on which the study is laid, and on both the command line (`--config`,
    `--configfile`). Raises BadSettings for what a study may not ask for.
    """
    stated = laid_on(laid_on(config, overlay(config["study"])), command_line)
    study, left_out = leave_out(resolve(stated), "data/corpora/passages")
    refuse_missing(study)
    return study, left_out


def laid_on(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a study with others on top.

    Groups are replaced as a whole. Where other datasets are tested on and no groups are given, a
    group that lost a dataset goes, and so does the main table's column of it.
    """
    both: dict[str, Any] = merged(below, above)
    datasets = (above.get("grid") or {}).get("datasets")
    if GROUPS in above:
        both[GROUPS] = above[GROUPS]
    elif datasets is not None and both.get(GROUPS):
        both[GROUPS] = _whole_groups(both[GROUPS], datasets)
        if not both[GROUPS]:
            del both[GROUPS]
    if datasets is not None and TABLE not in above:
        _reduce_table(both, [*datasets, *both.get(GROUPS, {})])
    return both


def merged(below: Any, above: Any) -> Any:
    """Return `above` laid on `below`: mappings merge key by key, all else is replaced."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    both = {key: merged(below.get(key), value) for key, value in above.items()}
    return {**below, **both}


def _whole_groups(groups: Mapping[str, list[str]], datasets: list[str]) -> dict[str, list[str]]:
    """Return the groups that have lost no dataset: a mean over fewer is another number."""
    return {group: names for group, names in groups.items() if set(names) <= set(datasets)}


def _reduce_table(config: dict[str, Any], known: list[str]) -> None:
    """Keep the columns of the main table that there are; without any it is that of all groups."""
    columns = config.pop(TABLE, None) or []
    left = [name for name in columns if name in known]
    if left:
        config[TABLE] = left


def _chain(name: str, folder: Path, above: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the settings of a study and those it is like, the most general first."""
    if name in above:
        raise BadSettings(f"studies: {' is like '.join([*above, name])}: one of them must end it")
    own = _read(name, folder, f"studies/{above[-1]}.yaml: like" if above else "study")
    like = own.pop(LIKE, None)
    return [*(_chain(str(like), folder, (*above, name)) if like else ()), own]


def _read(name: str, folder: Path, path: str) -> dict[str, Any]:
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in known:
        raise BadSettings(
            f"{path}: no {folder}/{name}.yaml{nearest(name, known)} (there is: {', '.join(known)})"
        )
    return settings.mapping(folder / f"{name}.yaml")


# --- what is licensed -----------------------------------------------------------------------------


def leave_out(study: Study, exported: str | Path) -> tuple[Study, list[str]]:
    """Return the study without datasets whose licensed texts are missing, and a line for each.

    A corpus that says `licensed` cannot be fetched: its texts belong below IR_DATASETS_HOME, at the
    path it names. exported: the folder of the corpora that were made before. A group that loses a
    dataset goes too: its mean over fewer would be another number under the same name. The main
    table shows what is left of it, and `left_out` of the study what was taken.
    """
    datasets, groups = study.grid.datasets, study.groups or {}
    left_out, lines = [], []
    for name in study.grid.datasets:
        corpus = study.datasets[name].corpus
        place = study.corpora[corpus].get("licensed")
        if not place or Path(exported, f"{corpus}.parquet").exists() or _filled(_home() / place):
            continue
        datasets = [other for other in datasets if other != name]
        lost = sorted(group for group, names in groups.items() if name in names)
        groups = _whole_groups(groups, datasets)
        left_out.append(LeftOut(dataset=name, groups=lost))
        also = f", and with it {' and '.join(map(repr, lost))}" if lost else ""
        lines.append(
            f"{name} is left out{also}: its texts are licensed and not in place; to have it, put "
            f"them below {_home() / place}"
        )
    if not (datasets and groups):
        raise BadSettings(f"grid.datasets: nothing is left to be measured: {'; '.join(lines)}")
    if not left_out:
        return study, []
    columns = [name for name in study.table or [] if name in {*datasets, *groups}]
    rest = {
        "grid": study.grid.changed(datasets=datasets),
        "groups": groups,
        "left_out": left_out,
        "table": columns or None,
    }
    return study.changed(**rest), lines


def _home() -> Path:
    """Return where ir_datasets keeps its files, as the library itself decides it."""
    return Path(os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets")


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


# --- folders of one's own -------------------------------------------------------------------------


def refuse_missing(study: Study) -> None:
    """Refuse a study that reads a collection or checkpoint whose folder is not where it says.

    What was made of it before is no substitute: Snakemake would remove that to make it anew.
    """
    backbones = _backbones_read(study)
    for name in sorted(_corpora_read(study, backbones)):
        content = "corpus.jsonl, queries.jsonl, qrels"
        _refuse_without_folder(f"corpora.{name}", study.corpora[name], content)
    for name in sorted(backbones):
        _refuse_without_folder(f"backbones.{name}", study.backbones[name], "the checkpoint's files")


def _refuse_without_folder(path: str, entry: Entry, content: str) -> None:
    folder = entry.get("folder")
    if folder and not Path(folder).is_dir():
        raise BadSettings(
            f"{path}.folder: {folder} is not a folder: check the path, or put {content} there"
        )


def _backbones_read(study: Study) -> set[str]:
    """Return the backbones of all models, teachers and first stages that a study needs."""
    stages = {study.grid.first_stage, *study.grid.baselines}
    teachers: list[str | None] = [*study.grid.teachers]
    if study.training.validation:
        stages.add(study.training.validation.first_stage)
    backbones = set()
    for cell in trained_cells(study):
        backbones.add(study.students[cell.student].backbone)
        source = study.sources[study.losses[cell.loss].reads]
        negatives = study.negatives[source.negatives]
        stages.add(negatives.get("first_stage"))
        teachers += [source.teacher, negatives.get("teacher")]
    for name in filter(None, teachers):
        for member in members(study, name):
            teacher = study.teachers[member]
            stages.add(teacher.get("first_stage"))
            if isinstance(teacher, AdoptedTeacher):
                backbones.add(teacher.checkpoint)
            elif isinstance(teacher, RankingTeacher):
                backbones.add(teacher.llm)
    for name in filter(None, stages):
        stage = study.first_stages[name]
        if isinstance(stage, SpladeStage):
            backbones.add(stage.encoder)
    return backbones


def _corpora_read(study: Study, backbones: set[str]) -> set[str]:
    """Return the corpora that a study trains, validates and tests on, or builds from."""
    corpora = set()
    datasets = [*study.grid.datasets, *training_sets(study)]
    if study.training.validation:
        datasets += study.training.validation.datasets
    for name in backbones:
        backbone = study.backbones[name]
        if isinstance(backbone, BuiltBackbone):
            corpora.add(backbone.build.corpus)
            datasets.append(backbone.build.dataset)
    for name in training_sets(study):
        apart = test_sets(study, name)
        datasets += [*apart.same_corpus, *apart.elsewhere]
    return corpora | {study.datasets[name].corpus for name in datasets}

"""Studies as files: what one lays over params.yaml, and what becomes of it where files are missing.

A study is one file in studies/. It may say which other study it is `like`: then that one is read
first, and only what differs is written down. Mappings are merged, all else is replaced, as
Snakemake merges configuration files. `groups` is replaced too: it names the columns of a table.
"""

import os
from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings
from redistil.storage.settings import mapping
from redistil.study import clashes, files
from redistil.study.checks import resolve
from redistil.study.corpora import IrdsCorpus
from redistil.study.fields import Entry
from redistil.study.files import LIKE, REDEFINES, merged
from redistil.study.grid import losses_behind, needed
from redistil.study.reading import read
from redistil.study.study import Study

_FILES = "the checkpoint's files"
GROUPS, TABLE = "groups", "table"  # keys of a study


def overlay(name: str, folder: str | Path = "studies") -> dict[str, Any]:
    """Return what a study lays over params.yaml: its own file on top of the one it is like.

    Raises BadSettings when there is no such study, its file is no mapping of settings, or it is
    like itself.
    """
    settings = reduce(laid_on, files.chain(name, Path(folder)).values())
    settings.pop(REDEFINES, None)
    return settings


def of_files(files: Iterable[Path]) -> dict[str, Any]:
    """Return the settings of YAML files, each laid on those before it.

    Raises BadSettings for a file that `storage.settings.mapping` refuses.
    """
    stated: dict[str, Any] = {}
    for file in files:
        stated = merged(stated, mapping(file))
    return stated


def planned(config: Mapping[str, Any], command_line: Mapping[str, Any]) -> tuple[Study, list[str]]:
    """Return the study that params.yaml names, and a line for each dataset that it leaves out.

    config: params.yaml, on which the study is laid, and on both the command line (`--config`,
    `--configfile`). Raises BadSettings for what a study may not ask for.
    """
    name = config["study"]
    _refuse_likeness(command_line)
    clashes.refuse(config, name, Path("studies"))
    stated = laid_on(laid_on(config, overlay(name)), command_line)
    study, left_out = leave_out(resolve(clashes.likened(stated)), "data/corpora/qrels")
    refuse_missing(study)
    refuse_inherited(study, _own_sources(name, Path("studies")))
    return study, left_out


def _refuse_likeness(command_line: Mapping[str, Any]) -> None:
    """Refuse `like` outside a file of studies/: nothing would read what it is like."""
    if LIKE in command_line:
        like = command_line[LIKE]
        raise BadSettings(
            f"like: only a study may be like another, and --configfile only changes one: save the "
            f"file in studies/ and run it by its name, or let it say `study: {like}` in place of "
            f"`like: {like}`"
        )


def _own_sources(name: str, folder: Path) -> set[str]:
    """Return the sources that a study says itself, or one that it is like; not the first of all."""
    own: set[str] = set()
    _, *others = files.chain(name, folder).values()
    for study in others:
        own.update(study.get("sources") or {})
    return own


def laid_on(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a study with others on top.

    Groups are replaced as a whole. Where other datasets are tested on and no groups are given, a
    group that lost a dataset goes. So does its column of the main table.
    """
    both: dict[str, Any] = merged(below, above)
    datasets = (above.get("grid") or {}).get("datasets")
    if GROUPS in above:
        both[GROUPS] = above[GROUPS]
    elif datasets is not None:
        _reduce_groups(both, datasets)
    if datasets is not None and TABLE not in above:
        _reduce_table(both)
    return both


def _reduce_groups(config: dict[str, Any], datasets: list[str]) -> None:
    """Keep the groups that have lost no dataset: a mean over fewer is another number."""
    groups = {}
    for group, names in (config.pop(GROUPS, None) or {}).items():
        if set(names) <= set(datasets):
            groups[group] = names
    if groups:
        config[GROUPS] = groups


def _reduce_table(config: dict[str, Any]) -> None:
    """Keep the columns of the main table that there are; without any it is that of all groups."""
    names = {*config["grid"]["datasets"], *config.get(GROUPS, {})}
    columns = [name for name in config.pop(TABLE, None) or [] if name in names]
    if columns:
        config[TABLE] = columns


# --- what is licensed -----------------------------------------------------------------------------


def leave_out(study: Study, exported: str | Path) -> tuple[Study, list[str]]:
    """Return the study without datasets whose licensed texts are missing, and a line for each.

    A corpus that says `licensed` cannot be fetched: its texts belong below IR_DATASETS_HOME, at the
    path it names. exported: the folder of the judgements that were made before; who pulls results
    has these without the texts. A group that loses a dataset goes too: its mean over fewer would be
    another number under the same name. The main table shows what is left of it, and `left_out` of
    the study what was taken.
    """
    datasets, lines, left_out = [], [], []
    for name in study.grid.datasets:
        place = _missing(study, name, Path(exported))
        if place is None:
            datasets.append(name)
            continue
        lost = sorted(group for group, names in (study.groups or {}).items() if name in names)
        left_out.append({"dataset": name, "groups": lost})
        also = f", and with it {' and '.join(map(repr, lost))}" if lost else ""
        lines.append(
            f"{name} is left out{also}: its texts are licensed and not in place; to have it, put "
            f"them below {place}"
        )
    if not left_out:
        return study, []
    reduced = laid_on(study.stated(), {"grid": {"datasets": datasets}})
    if not datasets or GROUPS not in reduced:
        raise BadSettings(f"grid.datasets: nothing is left to be measured: {'; '.join(lines)}")
    return read(Study, reduced | {"left_out": left_out}), lines


def _missing(study: Study, dataset: str, exported: Path) -> Path | None:
    """Return where the licensed texts of a dataset should lie, if they are nowhere."""
    corpus = study.corpora[study.datasets[dataset].corpus]
    if not isinstance(corpus, IrdsCorpus) or corpus.licensed is None:
        return None
    place = _home() / corpus.licensed
    is_there = _filled(place) or (exported / f"{dataset}.parquet").exists()
    return None if is_there else place


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
    names = needed(study)
    for name in sorted(names["corpora"]):
        content = "corpus.jsonl, queries.jsonl, qrels"
        _refuse_without_folder(f"corpora.{name}", study.corpora[name], content)
    for name in sorted(names["backbones"]):
        _refuse_without_folder(f"backbones.{name}", study.backbones[name], _FILES)
    for name in sorted(names["checkpoints"]):
        _refuse_without_folder(f"checkpoints.{name}", study.checkpoints[name], _FILES)


def refuse_inherited(study: Study, own: Collection[str]) -> None:
    """Refuse a loss that reads what the study it is like trains on, over another corpus.

    own: the sources that the study says itself; one that says none means those it is like.
    """
    corpora = {_corpus(study, kind) for kind in own}
    for loss in study.grid.losses if own else []:
        for stage in losses_behind(study, loss):
            reads = study.losses[stage].reads
            if reads not in own and _corpus(study, reads) not in corpora:
                raise BadSettings(
                    f"grid.losses: {loss!r} reads `{reads}`, which this study does not say: it "
                    f"would train on {_corpus(study, reads)!r}, as the study does that this one is "
                    f"like; add sources.{reads}, or leave the loss out"
                )


def _corpus(study: Study, kind: str) -> str:
    """Return the corpus that a kind of training data is of."""
    negatives = study.negatives[study.sources[kind].negatives]
    return study.datasets[negatives.dataset].corpus


def _refuse_without_folder(path: str, entry: Entry, content: str) -> None:
    folder = entry.get("folder")
    if folder is not None and not Path(folder).is_dir():
        raise BadSettings(
            f"{path}.folder: {folder} is not a folder: check the path, or put {content} there"
        )

"""Entries of studies that would share a path and are not the same.

What is made of an entry lies below `data`, under the name of the entry alone. A study that defines
an entry of params.yaml, or of another study, otherwise would write over what that one has.
"""

from collections.abc import Iterator, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from redistil.errors import BadSettings, nearest
from redistil.storage.lineage import canonical
from redistil.study import files
from redistil.study.fields import plain
from redistil.study.files import LIKE, REDEFINES, merged
from redistil.study.study import Study

PLACES = {
    "corpora": "corpora",
    "datasets": "corpora",
    "downloads": "downloads",
    "backbones": "backbones",
    "checkpoints": "backbones",
    "first_stages": "candidates",
    "negatives": "negatives",
    "teachers": "teachers",
    "exports": "exports",
}  # the folder of `data` that each catalogue fills

CATALOGUES = (*PLACES, "students", "losses")  # of whose entries one may be `like` another

Config = Mapping[str, Any]
Studies = Mapping[str, dict[str, Any]]  # one and those it is like, by name
Entries = dict[tuple[str, str], Any]  # by catalogue and name


def refuse(config: Config, study: str, folder: Path) -> None:
    """Refuse, as BadSettings, an entry of a study that another one has and defines otherwise.

    config: params.yaml. A study that says `redefines: true` takes the place of the others. What it
    has of a study that both are like is no departure of its own; nor is a study whose file cannot
    be read a reason to refuse this one.
    """
    own = files.chain(study, folder)
    if redefines(own):
        return
    defined, general = _defined(config, own), likened(config)
    for (catalogue, name), entry in defined.items():
        there = _entries(general, catalogue).get(name)
        if there is not None and not _are_same(catalogue, there, entry):
            raise _clash(catalogue, name, study, "params.yaml")
    for studies, theirs in _others(config, folder):
        departing = {name: one for name, one in own.items() if name not in studies}
        for key in _stated(departing) & defined.keys() & theirs.keys():
            if not _are_same(key[0], defined[key], theirs[key]):
                raise _clash(*key, study, f"studies/{_last_stating(key, studies)}.yaml")


def _are_same(catalogue: str, one: Any, other: Any) -> bool:
    """Whether two entries say the same, numbers as a study takes them: 2e-3 is text in YAML 1.1."""
    return _typed(catalogue, one) == _typed(catalogue, other)


def _typed(catalogue: str, entry: Any) -> str:
    """Return the text of an entry as its class takes it; of one that it refuses, as it stands."""
    try:
        (read,) = _reader(catalogue).validate_python({catalogue: entry}).values()
    except ValidationError:
        return canonical(entry)
    return canonical(plain(read))


@cache
def _reader(catalogue: str) -> TypeAdapter[Any]:
    kind: Any = Study.model_fields[catalogue].annotation
    return TypeAdapter(kind)


def _last_stating(key: tuple[str, str], studies: Studies) -> str:
    """Return the study, of one and those it is like, whose word on an entry is the last."""
    return [name for name, one in studies.items() if key in _stated({name: one})][-1]


def _clash(catalogue: str, name: str, study: str, other: str) -> BadSettings:
    return BadSettings(
        f"studies/{study}.yaml, {catalogue}.{name}: {other} defines it otherwise, and both would "
        f"lie in data/{PLACES[catalogue]} under one name: give it another name here, as "
        f"`{name}-of-{study}: {{like: {name}, ...}}`, or say `redefines: true` to take its place"
    )


def _others(config: Config, folder: Path) -> Iterator[tuple[Studies, Entries]]:
    """Yield every study that redefines nothing, with those it is like and all their entries."""
    for other in files.names(folder):
        try:
            studies = files.chain(other, folder)
            theirs = _defined(config, studies)
        except BadSettings:
            continue
        if not redefines(studies):
            yield studies, theirs


def redefines(studies: Studies) -> bool:
    """Say whether a study, or one that it is like, takes the place of others."""
    return any(one.get(REDEFINES) for one in studies.values())


def _stated(studies: Studies) -> set[tuple[str, str]]:
    """Return the catalogue and name of every entry that studies state."""
    stated: set[tuple[str, str]] = set()
    for study in studies.values():
        for catalogue in PLACES:
            stated.update((catalogue, name) for name in _entries(study, catalogue))
    return stated


def _defined(config: Config, studies: Studies) -> Entries:
    """Return the entries that studies state, laid on each other and on params.yaml."""
    whole = likened(merged(config, reduce(merged, studies.values())))
    defined: Entries = {}
    for catalogue, name in _stated(studies):
        if name in _entries(whole, catalogue):
            defined[catalogue, name] = whole[catalogue][name]
    return defined


def _entries(settings: Config, catalogue: str) -> Config:
    """Return a catalogue; one that is no mapping is refused when its study is read."""
    entries = settings.get(catalogue)
    return entries if isinstance(entries, Mapping) else {}


# --- entries that are like others -----------------------------------------------------------------


def likened(config: Config) -> dict[str, Any]:
    """Return settings whose entries are whole: one that is `like` another has its keys too."""
    whole = dict(config)
    for catalogue in CATALOGUES:
        entries = config.get(catalogue)
        if isinstance(entries, Mapping):
            whole[catalogue] = {name: _whole(catalogue, entries, name, ()) for name in entries}
    return whole


def _whole(catalogue: str, entries: Config, name: str, above: tuple[str, ...]) -> Any:
    """Return an entry laid on the one that it is like."""
    entry = entries[name]
    if not isinstance(entry, Mapping) or LIKE not in entry:
        return entry
    like = entry[LIKE]
    path = f"{catalogue}.{name}.like"
    if like in (*above, name):
        raise BadSettings(f"{path}: {' is like '.join([*above, name, like])}: one must end it")
    if like not in entries:
        raise BadSettings(f"{path}: no {catalogue} {like!r}{nearest(str(like), entries)}")
    rest = {key: value for key, value in entry.items() if key != LIKE}
    return merged(_whole(catalogue, entries, like, (*above, name)), rest)

"""Studies as their files state them, before anything is checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings, nearest
from redistil.storage import settings

LIKE = "like"  # of a study, or of an entry: the one that it differs from
REDEFINES = "redefines"  # of a study: whether it may define entries of others otherwise


def merged(below: Any, above: Any) -> Any:
    """Return `above` laid on `below`: mappings merge key by key, all else is replaced."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    both = dict(below)
    for key, value in above.items():
        both[key] = merged(below.get(key), value)
    return both


def chain(name: str, folder: Path, above: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Return the settings of a study and those it is like by name, the most general first."""
    if name in above:
        raise BadSettings(f"studies: {' is like '.join([*above, name])}: one of them must end it")
    own = _read(name, folder, f"studies/{above[-1]}.yaml: like" if above else "study")
    like = own.pop(LIKE, None)
    below = chain(str(like), folder, (*above, name)) if like else {}
    return below | {name: own}


def names(folder: Path) -> dict[str, Path]:
    """Return the file of every study, by name."""
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def _read(name: str, folder: Path, path: str) -> dict[str, Any]:
    files = names(folder)
    if name not in files:
        raise BadSettings(
            f"{path}: no {folder}/{name}.yaml{nearest(name, files)} (there is: {', '.join(files)})"
        )
    own = settings.mapping(files[name])
    if own.get("study", name) != name:
        raise BadSettings(
            f"{files[name]}, study: a study is called as its file, {name!r}, and not "
            f"{own['study']!r}: take the line out"
        )
    return own

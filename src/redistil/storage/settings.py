"""Settings as their user states them, in a file or on the command line: checked as they come in."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from redistil.errors import BadSettings


class Stated(dict[str, Any]):
    """Settings by name. To read one that was not stated is its user's mistake: BadSettings.

    where: what the message calls them, such as a file's path or an option.
    """

    def __init__(self, settings: Mapping[str, Any], where: str) -> None:
        super().__init__({key: stated(value, f"{where}, {key}") for key, value in settings.items()})
        self.where = where

    def __missing__(self, key: str) -> Any:
        got = f"only {', '.join(map(str, self))}" if self else "nothing"
        raise BadSettings(f"{self.where}: wanted `{key}`, got {got}: make it again")


def stated(value: Any, where: str) -> Any:
    """Return a value whose mappings, however deep, are `Stated`."""
    if isinstance(value, dict):
        return Stated(value, where)
    return [stated(item, where) for item in value] if isinstance(value, list) else value


def read(path: Path, what: str) -> Stated:
    """Return a YAML file of settings; BadSettings if it holds none. what: such as "recipe"."""
    try:
        settings = _loaded(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadSettings(f"{path} is not a readable {what} ({reason}): make it again") from None
    if not isinstance(settings, dict):
        raise BadSettings(f"{path} is not a {what}: wanted a mapping of settings, as title: ...")
    return Stated(settings, str(path))


# --- YAML as people write it ----------------------------------------------------------------------

TRUTH = "tag:yaml.org,2002:bool"
MERGE = "tag:yaml.org,2002:merge"  # of <<
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MISREAD = re.compile(r"[-+]?(0[0-7_]+|\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?)")


def mapping(path: Path) -> dict[str, Any]:
    """Return the settings in a YAML file that a person wrote.

    Raises BadSettings where it cannot be read or is no mapping; where it says a key twice, or has a
    number that YAML misreads.
    """
    try:
        settings = _loaded(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadSettings(f"{path} is not readable YAML: {reason}") from None
    if not isinstance(settings, dict):
        raise BadSettings(f"{path}: wanted a mapping of settings, as title: ...")
    return settings


def _loaded(path: Path) -> Any:
    """Return the content of a YAML file; ValueError if it is none.

    Raises BadSettings for a key that is said twice, and for a number that YAML misreads.
    """
    import yaml

    text = _as_yaml(path.read_text(encoding="utf-8-sig"))
    try:
        reader = _reader()(text)
        node = reader.get_single_node()
        _check(node, str(path), "")
        return None if node is None else reader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


@cache
def _reader() -> Any:
    """Return a reader to which yes, no, on and off are words, as they are in YAML 1.2.

    DVC writes params.yaml by that version, and so without their quotation marks.
    """
    import yaml

    faster = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {}
    for first, kinds in faster.yaml_implicit_resolvers.items():
        is_older = first in "yYnNoO"
        resolvers[first] = [kind for kind in kinds if kind[0] != TRUTH or not is_older]
    return type("Reader", (faster,), {"yaml_implicit_resolvers": resolvers})


def _as_yaml(text: str) -> str:
    """Return JSON with blanks for its tabs, which YAML refuses; its strings have none. YAML stays.

    Snakemake reads both, whatever a file is called.
    """
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.replace("\t", " ")


def _check(node: Any, file: str, path: str) -> None:
    """Refuse a key that one mapping has twice: YAML's readers take the last and say nothing."""
    kind = node.id if node is not None else "nothing"
    if kind == "scalar":
        _refuse_misread(node, file, path)
    if kind == "sequence":
        for number, item in enumerate(node.value):
            _check(item, file, f"{path}.{number}")
    if kind != "mapping":
        return
    lines: dict[Any, int] = {}
    for key, value in node.value:
        if key.id != "scalar":
            continue
        below = f"{path}.{key.value}" if path else str(key.value)
        _check(value, file, below)
        if key.tag == MERGE:
            continue
        _refuse_misread(key, file, path)
        line, name = key.start_mark.line + 1, _constructed(key)
        if name in lines:
            raise BadSettings(
                f"{file}: {below} is said twice, in line {lines[name]} and in line {line}: keep one"
            )
        lines[name] = line


def _constructed(key: Any) -> Any:
    """Return the value of a key: 1 and 0x1 are one, and so are true and True."""
    import yaml

    return yaml.SafeLoader("").construct_object(key)


def _refuse_misread(scalar: Any, file: str, path: str) -> None:
    """Refuse what YAML 1.1 reads in base 60 or base 8, such as 1:30 and 010."""
    if not scalar.style and scalar.tag in NUMBERS and MISREAD.fullmatch(scalar.value):
        raise BadSettings(
            f"{file}, line {scalar.start_mark.line + 1}: YAML takes {scalar.value} in "
            f"{path or 'it'} for another number, in base 60 or 8: write it without colons and "
            "leading zeros, or in quotation marks if it is a name"
        )

"""The settings of an artefact as the flags of its command."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from redistil.study.measures import of_dataset

BY_DATASET = frozenset({"relevant_from"})  # its flag is repeated: `--relevant-from dl19=2`
PATHS = frozenset(
    {"on", "runs", "members", "baselines"}
)  # name what lies at paths that only the workflow knows


def flags(of_artefact: Mapping[str, Any]) -> str:
    """Return settings as command-line flags, in the order of their names; none for PATHS.

    A list, `depths`, is one flag an item, `--depth`. A mapping is JSON, but for BY_DATASET.
    """
    spelled = []
    for key, value in sorted(of_artefact.items()):
        if value is None or key in PATHS:
            continue
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, list):
            flag = flag.removesuffix("s")
        for word in _words(key, value):
            spelled.append(f"{flag} {shlex.quote(word)}")
    return " ".join(spelled)


def _words(key: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return [_word(item) for item in value]
    if key in BY_DATASET and isinstance(value, Mapping):
        return [of_dataset(dataset, one) for dataset, one in sorted(value.items())]
    return [_word(value)]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

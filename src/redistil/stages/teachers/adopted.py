"""A re-ranker that others trained and published, as a model like those trained here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redistil.learning import students
from redistil.storage import lineage
from redistil.storage.lineage import Made


def adopt(checkpoint: Path, out: Path, made: Made, settings: Mapping[str, Any]) -> None:
    """Write the re-ranker in `checkpoint` into the folder `out`, as `train` would have left it.

    settings: architecture, lengths and pair form, which no checkpoint of others tells. Raises
    BadSource where there is no trained head with one raw logit; nothing is written then.
    """
    model = students.adopt(settings, checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out)
    lineage.record(made, out)

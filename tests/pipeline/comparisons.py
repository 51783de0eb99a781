"""DVC's comparison of results that differ, and of what made them."""

import json
from collections.abc import Iterator
from typing import Any

from redistil.storage import lineage
from tests.pipeline.conftest import House


def compared(house: House, what: str, *revisions: str) -> Any:
    """Return what `dvc metrics diff` or `dvc plots diff` says; of now, if nothing is named."""
    said = house.run("dvc", what, "diff", "--json", *revisions)
    return json.loads(said[said.index("{") : said.rindex("}") + 1])


def values(found: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield every mapping with that key, however deep in templates it lies."""
    if isinstance(found, dict):
        if key in found:
            yield found
        found = list(found.values())
    for one in found if isinstance(found, list) else []:
        yield from values(one, key)


def margin(house: House) -> float:
    """Return the margin that the measured hinge cell was trained with."""
    path = house.root / "results/miniature/measures/tiny-bert/hinge/1.parquet"
    chain = lineage.of(path).chain().values()
    (trained,) = [made for made in chain if made.who == "train tiny-bert/hinge/1"]
    return trained.settings["options"]["margin"]


def telling(root, secret):
    """Yield the files that hold a secret: logs, records, tables, what Snakemake and DVC keep."""
    for path in root.rglob("*"):
        is_ours = "tests" not in path.relative_to(root).parts and path.is_file()
        if is_ours and secret.encode() in path.read_bytes():
            yield path

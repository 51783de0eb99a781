"""DVC's comparison of results that differ, and of what made them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redistil.cli.trace import code_now
from redistil.storage import crate, lineage, trace
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


def tabulating(house: House, study: str = "results/miniature/study.yaml") -> list[str]:
    """Return the command that tabulates, as Snakemake prints it, for this or another study."""
    table = "results/miniature/report/tables/made.json"
    said = house.run("snakemake", "-n", "-p", "--forcerun", "tabulate", "--", table)
    (line,) = re.findall(r"redistil (tabulate .*) 2> ", said)
    _, _, *options = line.replace(f"$(dirname {table})", "FOLDER").split()
    return ["tabulate", study, "forged", *options[1:]]


TOLD = ("commit: ", "Python: ", "torch: ", "processor: ", "ended: ", "made: ", "    reads ")


def untold(path: Path) -> list[str]:
    """Return what `redistil trace` does not tell of a file, in words or as a crate."""
    lines = list(trace.lines(path, code_now))
    said = "\n".join(lines)
    wanted = ("    grid: ", "made: ") if path.name == "study.yaml" else TOLD
    lacking = [word for word in wanted if word not in said]
    if lines[-1] != "Nothing has changed since.":
        lacking.append(lines[-1])
    if trace.steps(path, code_now)[0].is_source:
        lacking.append("a record")
    described = json.dumps(crate.of(path, code_now))
    properties = ("made",) if path.name == "study.yaml" else ("commit", "Python", "made")
    return lacking + [word for word in properties if f'"#work-{word}"' not in described]

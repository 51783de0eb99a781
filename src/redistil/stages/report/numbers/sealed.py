"""A folder whose record names the digest of each file: what it holds belongs together.

A leftover of an earlier study, or half of an interrupted one, cannot pass for the present one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from redistil.errors import Stale
from redistil.storage import lineage
from redistil.storage.lineage import SIDECAR, Made


@contextmanager
def sealing(folder: Path, names: Sequence[str], made: Made) -> Iterator[None]:
    """Remove the record of a folder, let its files be written, and seal `names` with a new one."""
    (folder / SIDECAR).unlink(missing_ok=True)
    yield
    digests = {}
    for name in names:
        digests[name] = lineage.sha256(folder / name)
    sealed = replace(made, settings=dict(made.settings) | {"sha256": digests})
    lineage.record(sealed, folder)


def unsealed(folder: Path, command: str, names: Sequence[str] = ()) -> tuple[Made, dict[str, Path]]:
    """Return the record of a folder and its sealed files, `names` among them.

    Raises Stale if they do not fit each other, or if one is missing, as from an older version.
    """
    made = lineage.of(folder)
    digests = made.settings["sha256"] if made.command == command else {}
    for name, digest in digests.items():
        path = folder / name
        if not path.exists() or lineage.sha256(path) != digest:
            raise Stale(f"{path} is not the file that {SIDECAR} beside it names: {_again(command)}")
    if not digests or not digests.keys() >= set(names):
        raise Stale(f"{folder} does not hold what `redistil {command}` writes: {_again(command)}")
    return made, {name: folder / name for name in digests}


def _again(command: str) -> str:
    return f"make it again (`snakemake -R {command}`)"

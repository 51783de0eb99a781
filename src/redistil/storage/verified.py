"""Whole trees of artefacts, checked file by file against the digests that they carry."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from redistil.errors import UserError
from redistil.storage import digests, lineage
from redistil.storage.lineage import IN_SCHEMA, SIDECAR, Made


@dataclass
class Verified:
    """The files of some trees: whole ones, one sentence for each damaged one, and those without.

    bare: files that nothing gives a digest, such as pages and notes.
    """

    whole: list[Path] = field(default_factory=list)
    damaged: dict[Path, str] = field(default_factory=dict)
    bare: list[Path] = field(default_factory=list)

    def remade(self) -> list[Path]:
        """Return the files that rules make again to replace the damaged ones."""
        return sorted({digests.remade(path) for path in self.damaged})


def files(tops: Iterable[Path]) -> list[Path]:
    """Return the files of some trees, sorted; what is hidden belongs to jobs that go on."""
    visible: list[Path] = []
    for top in tops:
        below = top.rglob("*") if top.is_dir() else [top]
        visible.extend(path for path in below if _is_visible(path, top))
    return sorted(visible)


def _is_visible(path: Path, top: Path) -> bool:
    parts = path.relative_to(top).parts
    return path.is_file() and not any(part.startswith(".") for part in parts)


def verify(paths: Collection[Path]) -> Verified:
    """Check files against the digests that they carry, or that their folder's record has.

    The record of a folder is one of the files, or lies above a single one.
    """
    outcome = Verified()
    named = _named(paths, outcome)
    for path in tqdm(paths, unit="file", mininterval=2, leave=False):
        if path not in outcome.damaged:
            _check(path, named.get(path, []), outcome)
    for path in sorted(named.keys() - set(paths)):
        if not path.exists():
            outcome.damaged[path] = f"{path} is missing: {digests.again(path)}"
    return outcome


def _named(paths: Iterable[Path], outcome: Verified) -> dict[Path, list[str]]:
    """Return the digests that records give of each file, records among `paths` or beside."""
    named: dict[Path, list[str]] = {}
    for folder in sorted({path.parent for path in paths}):
        record = folder / SIDECAR
        if not record.exists():
            continue
        try:
            made = lineage.of(record)
        except UserError as error:
            outcome.damaged[record] = f"{error}: {digests.again(record)}"
        else:
            for path, digest in _digests_in(made, folder):
                named.setdefault(path, []).append(digest)
    return named


def _digests_in(made: Made, folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield files and their digests: XXH3 of most folders, SHA-256 of those of the report."""
    for digests_of in (made.files, made.settings.get("sha256", {})):
        for name, digest in digests_of.items():
            yield folder / name, digest


def _check(path: Path, named: Sequence[str], outcome: Verified) -> None:
    """Sort one file in."""
    try:
        is_known = _is_known(path, named)
    except UserError as error:
        outcome.damaged[path] = str(error)
    else:
        (outcome.whole if is_known else outcome.bare).append(path)


def _is_known(path: Path, named: Sequence[str]) -> bool:
    """Whether a file has a digest; Damaged or another UserError if its bytes are others."""
    for digest in named:
        actual = lineage.sha256(path) if len(digest) == 64 else digests.of(path)
        if actual != digest:
            raise digests.damaged(path)
    if named:
        return True
    if path.suffix in IN_SCHEMA:
        return lineage.of(path).command != "file"
    digests.check_if_sealed(path)
    if lineage.downloaded(path).exists():
        lineage.check_download(path)
        return True
    return path.name == SIDECAR or digests.is_sealed(path)

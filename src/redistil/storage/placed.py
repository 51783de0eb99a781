"""Files that people put in place themselves, and made files without a record."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from redistil.errors import Stale
from redistil.storage.lineage import SIDECAR, digest, sha256

# files of a checkpoint that are read; never *.bin, *.pt: a pickle is code
PATTERNS = ["*.json", "*.txt", "*.model", "*.safetensors"]

MODULES, MODULE_FOLDERS = "modules.json", "[0-9]*_*"  # such as 1_Pooling

TABLES = frozenset({".parquet", ".arrow"})
RECORDS = frozenset({SIDECAR, "recipe.yaml", "study.yaml"})
BLOCK = 4096  # bytes that a disk takes at a time
LONGEST_NAME = 255  # bytes of a file's name


def checkpoint_files(folder: str | Path | None) -> list[Path]:
    """Return the files of a checkpoint's folder that are read, sorted; [] if there is no folder.

    Where `modules.json` lists modules, as in sentence-transformers, those of their folders too.
    """
    if folder is None:
        return []
    places = [Path(folder)]
    if (places[0] / MODULES).is_file():
        places.extend(place for place in places[0].glob(MODULE_FOLDERS) if place.is_dir())
    files: list[Path] = []
    for place in places:
        for pattern in PATTERNS:
            files.extend(place.glob(pattern))
    return sorted(files)


def vectors(entry: Mapping[str, Any]) -> list[Path]:
    """Return the file of word vectors that a backbone is made from; [] if it is not there.

    Its job then says so: a plan needs no file that is put in place by hand.
    """
    path = entry["words"].get("vectors")
    return [Path(path)] if path is not None and Path(path).exists() else []


def as_inputs(files: Iterable[Path]) -> list[Path]:
    """Return the files that a rule can name: Snakemake takes braces in a path for a wildcard."""
    return [file for file in files if not _has_brace(file)]


def unnamed(files: Iterable[Path]) -> str:
    """Return a digest of the files that `as_inputs` leaves out, by content; '' if it leaves none.

    As a parameter of the rule it makes outputs stale, as an input would.
    """
    sums: dict[str, str] = {}
    for file in files:
        if _has_brace(file):
            sums[str(file)] = sha256(file)
    return digest(sums) if sums else ""


def _has_brace(file: Path) -> bool:
    return "{" in str(file)


def refuse_unrecorded(study: str, state: Path) -> None:
    """Refuse made files without a record: a changed setting would go unseen.

    state: where Snakemake keeps its records. Downloads may be put in place by hand, and no rule
    reads exports or what is published: these are left alone. Raises Stale.
    """
    results = f"results/{study}"
    apart = ("data/downloads", "data/exports", f"{results}/published")
    strays = list(unrecorded(("data", results), apart, state))
    if strays:
        raise Stale(
            f"{len(strays)} files have no record of what made them (first: {strays[0]}), so a "
            "changed setting would go unseen. Bring the record back (`dvc checkout`, `dvc pull`), "
            "remove the files, or take them as they are if you know that they fit: "
            "`snakemake --touch --forceall`."
        )


def unrecorded(tops: Iterable[str], apart: Iterable[str], state: Path) -> Iterator[Path]:
    """Yield made files that Snakemake has no record of: it would not see changed settings.

    They come from elsewhere, or from a main process that was killed before it wrote the record.
    The files of an interrupted job are marked as such and made again. Files that a killed job
    left half-done are hidden, and are none of ours.

    tops: the folders of made files; apart: folders below them whose files need no record;
    state: where Snakemake keeps its records.
    """
    apart = list(apart)
    for top in tops:
        for path in sorted(Path(top).rglob("*")):
            if not _is_made(path) or _is_hidden(path.relative_to(top)):
                continue
            if any(path.is_relative_to(place) for place in apart):
                continue
            if not _has_record(path, state):
                yield path


def _is_made(path: Path) -> bool:
    return path.suffix in TABLES or path.name in RECORDS


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _has_record(path: Path, state: Path) -> bool:
    """Whether Snakemake has a record of a file; it hashes names that are too long to look up."""
    mark = urlsafe_b64encode(str(path).encode()).decode()
    if len(mark) >= LONGEST_NAME:
        return True
    return (state / "incomplete" / mark).exists() or _is_whole(state / "metadata" / mark)


def _is_whole(record: Path) -> bool:
    """Whether a record is there, and was written to its end.

    A full disk cuts it at a block. Snakemake passes over such a record without a word.
    """
    try:
        if record.stat().st_size % BLOCK:
            return True
        json.loads(record.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return True

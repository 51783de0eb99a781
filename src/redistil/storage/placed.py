"""Files that people put in place themselves, and those that no record speaks for."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path

from redistil.errors import Stale
from redistil.storage.lineage import SIDECAR

# what is taken of a checkpoint; never *.bin, *.pt: a pickle is code
PATTERNS = ["*.json", "*.txt", "*.model", "*.safetensors"]


def checkpoint_files(folder: str | Path | None) -> list[Path]:
    """Return what is read of a checkpoint's folder, sorted; nothing where there is no folder."""
    if folder is None:
        return []
    return sorted(path for pattern in PATTERNS for path in Path(folder).glob(pattern))


def refuse_unrecorded(study: str, state: str) -> None:
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


def unrecorded(tops: Iterable[str], apart: Iterable[str], state: str) -> Iterator[Path]:
    """Yield made files that Snakemake has no record of: it would not see changed settings.

    They come from elsewhere, or from a main process that was killed before it could write the
    record; the files of an interrupted job are marked as such and made again. What a killed job
    left half-done is hidden, and no file of ours.

    tops: the folders of what is made; apart: those below them that may hold what has no record;
    state: where Snakemake keeps its records.
    """
    for top in tops:
        for path in sorted(Path(top).rglob("*")):
            made = path.suffix in {".parquet", ".arrow"}
            made = made or path.name in {SIDECAR, "recipe.yaml", "study.yaml"}
            if not made or any(path.is_relative_to(place) for place in apart):
                continue
            if any(part.startswith(".") for part in path.relative_to(top).parts):
                continue
            mark = urlsafe_b64encode(str(path).encode()).decode()
            kept = any(Path(state, kind, mark).exists() for kind in ("metadata", "incomplete"))
            if not kept and len(mark) < 255:
                yield path

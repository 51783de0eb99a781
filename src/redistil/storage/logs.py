"""Logs of jobs: what they counted and warned of."""

from collections.abc import Collection, Iterator
from pathlib import Path

MARK = "redistil: WARNING: "


def warnings(folder: Path, study: str, names: Collection[str]) -> Iterator[str]:
    """Yield each warning once, behind the first log that has it.

    folder: of the logs; names: of the artefacts behind the study. The logs of the study itself
    are all read. Token logs are left out: a corpus may have tokens of backbones that are not used.
    """
    logs_of: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.log")):
        if not _is_behind(path.relative_to(folder), study, names):
            continue
        for line in path.read_text(errors="replace").splitlines():
            if MARK in line:
                logs_of.setdefault(line.split(MARK)[1], []).append(path)
    for warning, paths in logs_of.items():
        also = f" (so do {len(paths) - 1} more logs)" if len(paths) > 1 else ""
        yield f"{paths[0]}: {warning}{also}"


def made(**files: str) -> Iterator[str]:
    """Yield what each file is and where it lies, of those that are there."""
    widest = max(map(len, files), default=0) + 1
    for name, file in files.items():
        if Path(file).exists():
            yield f"{name + ':':{widest}} {file}"


def _is_behind(log: Path, study: str, names: Collection[str]) -> bool:
    words = {*log.parent.parts, log.stem}
    if study in words:
        return True
    return log.parts[0] != "tokens" and not words.isdisjoint(names)

"""The figures as the page carries them: images inside the file, each with its caption."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redistil.stages.report.numbers.sealed import unsealed

_LARGE = 400_000  # bytes of an SVG; above it the PNG is shown, which a browser draws faster


@dataclass(frozen=True)
class Illustration:
    """A figure as the page shows it; source: the image as data, which can neither run nor load."""

    file: str
    title: str
    source: str
    caption: str


def illustrations(folder: Path) -> list[Illustration]:
    """Return the sealed figures of a folder, each with the caption that `plot` wrote beside it."""
    _, files = unsealed(folder, "plot")
    shown: dict[str, Illustration] = {}
    for file in files:
        name = Path(file).stem
        if name not in shown:
            shown[name] = _illustration(name, files)
    return list(shown.values())


def _illustration(name: str, files: Mapping[str, Path]) -> Illustration:
    path, print_ = files[f"{name}.svg"], files[f"{name}.png"]
    if path.stat().st_size > _LARGE:
        path = print_
    kind = {".svg": "svg+xml", ".png": "png"}[path.suffix]
    data = base64.b64encode(path.read_bytes()).decode()
    caption = files[f"{name}.rst"].read_text(encoding="utf-8")
    title = name.replace("-", " ").replace("_", " ")
    return Illustration(path.name, title, f"data:image/{kind};base64,{data}", caption.strip())

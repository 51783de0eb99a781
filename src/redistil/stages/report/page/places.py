"""Links from the page to the files behind it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redistil.storage import lineage


@dataclass(frozen=True)
class Places:
    """Where the files behind the page lie, as links from its folder.

    files: by what they are called in the template; recipes: by system.
    """

    page: Path
    files: Mapping[str, str]
    recipes: Mapping[str, str]

    @staticmethod
    def around(page: Path, models: Sequence[Path], **files: Path | None) -> "Places":
        """Return the places of `files`, and of the recipe beside each model's record."""
        links, recipes = {}, {}
        for name, path in files.items():
            if path is not None:
                links[name] = _relative(path, page)
        for model in models:
            recipes[lineage.of(model).name] = _relative(model.parent / "recipe.yaml", page)
        return Places(page, links, recipes)

    def link(self, path: str) -> str:
        """Return the link to a file that a record names."""
        return _relative(Path(path), self.page)


def _relative(path: Path, page: Path) -> str:
    """Return the path from the page's folder; it begins with a dot, so that it is no other kind of
    address, whatever a file is called.
    """
    link = Path(os.path.relpath(path, page.parent)).as_posix()
    return link if link.startswith("../") else f"./{link}"

"""A temporary folder beside the file that is being made."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redistil.storage.aside import room_for


@contextmanager
def scratch(beside: Path) -> Iterator[Path]:
    """Give an empty hidden folder beside a path; it is gone when the block ends.

    Its name is the same each time, so that the next start removes what a killed job left.
    Raises Full where the disk has no room for what is put there.
    """
    folder = beside.with_name(f".{beside.name}.scratch")
    with room_for(beside):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

"""A guard against faults of the SLURM executor: `profiles/slurm/guard/sacct` tells which.

When they are mended, this goes.
"""

import os
import shutil
from pathlib import Path


def put_before(folder: Path) -> None:
    """Let the commands of a folder stand before the cluster's own, where there is a cluster."""
    before = f"{folder}{os.pathsep}"
    if shutil.which("sacct") and not os.environ["PATH"].startswith(before):
        os.environ["PATH"] = before + os.environ["PATH"]

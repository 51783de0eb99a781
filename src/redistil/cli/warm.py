"""`python -m redistil.cli.warm PROCESS`: forks for the jobs of a Snakemake, until that ends."""

import importlib
import sys

from redistil import cli
from redistil.cli.commands import code_of
from redistil.cli.runtime import quiet
from redistil.machine import warm

# what jobs import before their work starts
PRELOADED = (
    "ranx",
    "redistil.learning.students",
    "redistil.stages.backbones.build",
    "redistil.stages.candidates",
    "redistil.stages.measures",
    "redistil.stages.models.reading",
    "redistil.stages.runs",
    "redistil.stages.teachers",
)
FREQUENT = ("rerank", "train")  # commands of which a study has many jobs


def main() -> None:
    """Listen, import, and fork for each command until the process that is served ends."""
    served = int(sys.argv[1])
    with warm.listening() as listener:
        quiet(1)
        for module in PRELOADED:
            importlib.import_module(module)
        for command in FREQUENT:
            code_of(command, {})  # reads the code once, and each fork finds it read
        words = warm.serve(listener, served)
    if words is not None:
        sys.argv[1:] = words
        cli.main()


if __name__ == "__main__":
    main()

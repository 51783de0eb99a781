"""Snakemake that looks at its SLURM jobs every two seconds.

The executor lets ten seconds more go by at each look at which no job has ended, and has no option
for it. Short jobs would spend most of their time waiting to be seen.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

LOOK = property(lambda executor: 2, lambda executor, seconds: None)

if __name__ == "__main__":
    Executor.next_seconds_between_status_checks = LOOK  # type: ignore[assignment]
    sys.exit(main())

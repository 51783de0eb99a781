"""Where jobs run, how many hold a GPU at a time, and what a run does before its first and after its last."""

import gc
import inspect
import platform
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

try:
    from redistil.cli.commands import launcher
    from redistil.machine import gpus, guard, stopping, warm
    from redistil.study import submissions
except ImportError as missing:
    raise WorkflowError(
        f"{sys.executable} on {platform.node()} cannot import redistil ({missing}): set it up where"
        " every machine sees it (`make setup`; docs/cluster.md)"
    )

# a plan of thousands of jobs stays in memory whole: to look through it for garbage again and again
# takes a fifth of the plan's CPU seconds
gc.set_threshold(50_000, 20, 100)

shell.prefix(launcher())
stopping.leave_to_jobs()

# Limits that hold where no profile and no `--resources` says otherwise. A GPU has one job at a time;
# without any, as many compute as there are cores. One job at a time builds a docstore of ir_datasets.
for name, most in {"gpu": gpus.turns(workflow.cores), "docstore": 1}.items():
    if name not in workflow.global_resources:
        workflow.register_resource(name, most)
if workflow.is_main_process:
    guard.put_before(Path(workflow.basedir, "profiles/slurm/guard"))
elif workflow.remote_exec:
    # in a submission to a cluster Snakemake calls no hook: jobs that share it start warm from here
    warm.offer_in_a_submission(sys.argv, submissions.ON_GPU)


container: "docker://python:3.11-slim"  # for the linter: redistil itself comes from `make setup`


resource_scopes:
    gpu="local",  # the limit is of one machine or one submission, not of all together


def signed(function):
    """The function with its signature at hand: Snakemake asks each function for it at each job."""
    function.__signature__ = inspect.signature(function)
    return function


def look_for_jobs_when_one_ends():
    """Lift Snakemake's own limit of 100 jobs a second, which limits nothing here; a stated one stays.

    With a limit Snakemake looks for jobs a second after each look, and each job that ends begins another
    such chain of looks (docs/benchmarks.md, Planning).
    """
    limit = workflow.scheduler.job_rate_limiter
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def before_the_first_job():
    look_for_jobs_when_one_ends()
    offer_warm_start()


def offer_warm_start():
    """Let jobs of this machine start warm; those that may hold a GPU load a model."""
    if workflow.local_exec and not workflow.touch:
        planned = workflow.dag.needrun_jobs()
        warm.offer(sum(job.resources.get("gpu", 0) for job in planned))


def say_what_was_made(report):
    """What the steps of the study left out, and where its report lies."""
    names = grid.names_behind(STUDY)
    print(*logs.warnings(Path("logs"), config["study"], names), sep="\n")
    lying = logs.made(leaderboard=report.leaderboard, page=report.page)
    print(*lying, sep="\n")

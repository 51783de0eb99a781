"""Accidents of clusters: jobs cancelled, nodes lost, controllers killed, limits reached.

After each the models, runs, measures and tables must have the bytes of an undisturbed study.
"""

import os
import re
import signal

import pytest

from tests.cluster.conftest import LOSSES, PATIENCE, SETS, run_of
from tests.cluster.slurm import wait_for
from tests.house.test_profiles import SLURM, on_gpus

pytestmark = pytest.mark.cluster
_groups = [SLURM["groups"][rule].partition(" {")[0] for rule in on_gpus() & SLURM["groups"].keys()]
_rules = [f"{rule}(_wildcards|$)" for rule in on_gpus() - SLURM["groups"].keys()]
AS_A_JOB = "--time=30 --mem=1500 --output=controller.log"  # the controller, on small nodes
ON_GPUS = re.compile(f"rule_({'|'.join(_groups + _rules)})")  # comments of submissions


def job_of_training(house, loss="hinge"):
    """Return the id of the job that trains, by the controller's words."""
    found = re.findall(rf"SLURM jobid (\d+) \(log: .*rule_train/\S*{loss}", house.said())
    return found[-1]


def thaw(process):
    os.kill(process, signal.SIGCONT)


def test_from_nothing_to_the_page(undisturbed):
    page = undisturbed.root / "results/miniature/report/index.html"
    assert "tiny-bert" in page.read_text()
    assert not undisturbed.planned()


def test_short_jobs_share_a_submission(undisturbed):
    said = (undisturbed.root / "said.txt").read_text()
    submitted = len(re.findall("has been submitted with SLURM jobid", said))
    jobs = int(re.search(r"^total +(\d+)$", said, re.M)[1])
    assert submitted < jobs * 0.85


def test_runs_that_share_a_submission_start_warm(undisturbed):
    logs = undisturbed.root / ".snakemake/slurm_logs"
    for loss in LOSSES:
        (log,) = (logs / f"group_runs of tiny-bert {loss} 1_rerank").iterdir()
        assert log.read_text().splitlines().count("rerank") == len(SETS)


def test_the_rules_of_a_gpu_alone_ask_for_one(slurm, undisturbed):
    submitted = slurm.said("sacct -n -X -a -P -o comment,reqtres").splitlines()
    assert any(line.startswith("rule_train_") for line in submitted)
    for line in submitted:
        comment, asked = line.split("|")
        assert ("gres/gpu=1" in asked.split(",")) == bool(ON_GPUS.match(comment)), line


def test_a_cancelled_training_goes_on(slurm, undisturbed, house):
    controller = house.submit(run_of("hinge"))
    house.freeze("hinge")
    slurm.said(f"scancel {job_of_training(house)}")
    house.ends(controller)
    assert house.went_on("hinge")
    assert house.finish() == undisturbed.made()


def test_a_warned_training_goes_on(slurm, undisturbed, house):
    controller = house.submit(run_of("hinge"))
    training = house.freeze("hinge")
    slurm.said(f"scancel --signal=USR1 {job_of_training(house)}")
    thaw(training)
    assert "ended by SIGUSR1 after step" in house.ends(controller)
    assert house.went_on("hinge")
    assert house.finish() == undisturbed.made()


def test_a_time_limit_is_resumed(slurm, undisturbed, house):
    house.profile(train={"runtime": "1 if attempt == 1 else 10", "slurm_extra": "''"})
    controller = house.submit(run_of("hinge"))
    house.freeze("hinge")  # until SLURM ends it, with SIGCONT and SIGTERM
    assert "TIMEOUT" in house.ends(controller)
    assert house.went_on("hinge")
    assert house.finish() == undisturbed.made()


def test_a_lost_node_loses_nothing(slurm, undisturbed, house):
    controller = house.submit(run_of("hinge"))
    house.freeze("hinge")
    node = slurm.said(f"squeue -h -j {job_of_training(house)} -o %N")
    slurm.lose_node(node)
    wait_for(lambda: slurm.state(node).startswith("down"), PATIENCE, f"{node} to be down")
    slurm.start_node(node)
    assert "None assigned" not in house.ends(controller)  # the run was submitted after the loss
    assert house.went_on("hinge")
    assert house.finish() == undisturbed.made()


@pytest.mark.parametrize(
    "left, ended, starter",
    [("wait", "COMPLETED", "bash"), ("cancel", "CANCELLED", f"sbatch --wait {AS_A_JOB}")],
)
def test_a_killed_controller_is_followed(slurm, undisturbed, house, left, ended, starter):
    house.forget("infonce")
    runs = [run_of(loss) for loss in LOSSES]
    first = house.submit(*runs)
    trainings = [house.freeze(loss) for loss in LOSSES]
    house.kill(first)
    jobs = [job_of_training(house, loss) for loss in LOSSES]
    assert set(jobs) <= set(slurm.jobs())
    second = house.control(left, *runs, starter=starter)
    if left == "wait":
        said = "waits for jobs of an earlier controller"
        wait_for(lambda: said in house.said(), PATIENCE, "the second controller")
        for training in trainings:
            thaw(training)
    house.ends(second)
    assert house.finish() == undisturbed.made()
    for job in jobs:
        assert slurm.said(f"sacct -n -X -j {job} -o State").startswith(ended)


def test_two_controllers_train_a_cell_once(undisturbed, house):
    first = house.submit(run_of("hinge"))
    training = house.freeze("hinge")
    refused = house.run("snakemake", "--profile", "profiles/small", run_of("hinge"), ok=False)
    assert "Directory cannot be locked" in refused
    house.kill(first)
    house.run("snakemake", "--profile", "profiles/small", "--unlock")
    second = house.submit(run_of("hinge"))  # beside the job that the first one left
    log = house.root / "logs/miniature/models/tiny-bert/hinge/1/train.log"

    def waits():  # Snakemake takes the log of the first job away before the second one writes
        return log.exists() and "which is being written by" in log.read_text()

    wait_for(waits, PATIENCE, "the second job")
    thaw(training)
    house.ends(second)
    assert "takes results/miniature" in log.read_text()
    assert house.finish() == undisturbed.made()


def test_more_memory_comes_with_a_retry(slurm, undisturbed, house):
    house.profile(train={"mem_mb": "300 if attempt == 1 else 2000"})
    controller = house.submit(run_of("hinge"))
    assert "Trying to restart" in house.ends(controller)
    asked = re.findall(r"SLURM jobid (\d+) \(log: .*rule_train/", house.said())
    memory = [slurm.said(f"sacct -n -X -j {job} -o ReqMem") for job in asked]
    assert memory == ["300M", "2000M"] and slurm.ended_for_memory(asked[0])
    assert house.finish() == undisturbed.made()


def test_a_node_without_the_package_says_so(house):
    (house.root / "src/redistil/cli/commands.py").rename(house.root / "src/commands.py")
    said = house.run("snakemake", "-n", ok=False)
    assert re.search(r"python\S* on \S+ cannot import redistil", said)
    assert "Traceback" not in said


def test_a_job_on_such_a_node_says_so(house):
    """The controller has read the package; it is gone when the node looks for it."""
    controller = house.submit("--retries", "0", "--", run_of("hinge"))
    wait_for(lambda: "Select jobs" in house.said(), PATIENCE, "a job to be submitted")
    (house.root / "src/redistil/cli/commands.py").rename(house.root / "src/commands.py")
    assert controller.wait(PATIENCE) != 0
    (log,) = (house.root / ".snakemake/slurm_logs").rglob("*.log")
    said = log.read_text()
    assert re.search(r"python\S* on \S+ cannot import redistil", said) and "Traceback" not in said

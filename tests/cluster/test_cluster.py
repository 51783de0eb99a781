"""What clusters do to a study: jobs cancelled, nodes lost, controllers killed, limits reached.

After each the training and its run must have the bytes of an undisturbed study.
"""

import re

import pytest

from tests.cluster.conftest import PATIENCE, RUN
from tests.cluster.slurm import wait_for

pytestmark = pytest.mark.cluster


def job_of_training(house):
    """Return the id of the job that trains, by the controller's words."""
    found = re.findall(r"SLURM jobid (\d+) \(log: .*rule_train/", house.said())
    return found[-1]


def test_from_nothing_to_the_page(built):
    page = built.root / "results/miniature/report/index.html"
    assert "tiny-bert" in page.read_text()
    assert not built.planned()


def test_short_jobs_share_a_submission(built):
    said = (built.root / "said.txt").read_text()
    submitted = len(re.findall("has been submitted with SLURM jobid", said))
    jobs = int(re.search(r"^total +(\d+)$", said, re.M)[1])
    assert submitted < jobs * 0.75


def finishes(process, house):
    """Whether a controller ends well, and in good time."""
    assert process.wait(2 * PATIENCE) == 0, house.said()[-5000:]
    return True


def test_a_cancelled_training_goes_on(slurm, built, house):
    process = house.start(RUN)
    house.freeze(process)
    slurm.said(f"scancel {job_of_training(house)}")
    assert finishes(process, house)
    assert house.bytes_made() == built.bytes_made()


def test_a_warned_training_goes_on(slurm, built, house):
    process = house.start(RUN)
    house.freeze(process)
    slurm.said(f"scancel --signal=USR1 {job_of_training(house)}")
    house.thaw()
    assert finishes(process, house)
    assert "ended by SIGUSR1 after step" in house.said()
    assert house.bytes_made() == built.bytes_made()


def test_a_time_limit_is_resumed(built, house):
    house.profile(train={"runtime": "1 if attempt == 1 else 10", "slurm_extra": "''"})
    process = house.start(RUN)
    house.freeze(process)  # until SLURM ends it, with SIGCONT and SIGTERM
    assert finishes(process, house)
    assert "TIMEOUT" in house.said()
    assert house.bytes_made() == built.bytes_made()


def test_a_lost_node_loses_nothing(slurm, built, house):
    process = house.start(RUN)
    house.freeze(process)
    node = slurm.said(f"squeue -h -j {job_of_training(house)} -o %N")
    slurm.lose_node(node)
    wait_for(lambda: slurm.state(node).startswith("down"), PATIENCE, f"{node} to be down")
    slurm.start_node(node)
    assert finishes(process, house)
    assert house.bytes_made() == built.bytes_made()
    assert "None assigned" not in house.said()
    (house.root / RUN).unlink()
    house.submit(RUN)
    assert house.bytes_made() == built.bytes_made()


@pytest.mark.parametrize("left, ended", [("wait", "COMPLETED"), ("cancel", "CANCELLED")])
def test_a_killed_controller_is_followed(slurm, built, house, left, ended):
    process = house.start(RUN)
    house.freeze(process)
    house.kill(process)
    job = job_of_training(house)
    assert job in slurm.jobs()
    house.thaw()
    house.control(left, RUN)
    assert house.bytes_made() == built.bytes_made()
    assert slurm.said(f"sacct -n -X -j {job} -o State").startswith(ended)


def test_two_controllers_train_a_cell_once(built, house):
    process = house.start(RUN)
    house.freeze(process)
    house.kill(process)
    house.run("snakemake", "--profile", "profiles/small", "--unlock")
    second = house.start(RUN)  # beside the job that the first one left
    log = house.root / "logs/miniature/models/tiny-bert/hinge/1/train.log"
    wait_for(lambda: "which is being written by" in log.read_text(), PATIENCE, "the second job")
    house.thaw()
    assert finishes(second, house)
    assert "takes results/miniature" in log.read_text()
    assert house.bytes_made() == built.bytes_made()


def test_more_memory_comes_with_a_retry(built, house):
    house.profile(train={"mem_mb": "450 if attempt == 1 else 2000"})
    said = house.submit(RUN)
    assert "Trying to restart" in said
    assert house.bytes_made() == built.bytes_made()


def test_a_gpu_rule_asks_for_a_gpu(slurm, built):
    asked = slurm.said("sacct -n -X -a -o comment%60,reqtres%80")
    trainings = [line for line in asked.splitlines() if "train" in line.split()[0]]
    assert trainings and all("gres/gpu=1" in line for line in trainings)
    exports = [line for line in asked.splitlines() if "export" in line.split()[0]]
    assert exports and not any("gres/gpu" in line for line in exports)


def test_a_node_without_the_package_says_so(house):
    (house.root / "src/redistil/cli/commands.py").rename(house.root / "src/commands.py")
    said = house.run("snakemake", "-n", ok=False)
    assert re.search(r"python\S* on \S+ cannot import redistil", said)

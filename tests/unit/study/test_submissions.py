"""Jobs that share a submission, and what starting takes: by hand, and of the full study."""

import ast
from pathlib import Path

import pytest
import yaml

from redistil.cli.commands import COMMANDS
from redistil.study import plan, submissions
from redistil.study.submissions import Job, Sharing, Started
from tests.made.configs import ROOT, resolved

SLURM = Sharing.of(yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text()))
PAIRS = Sharing({"rerank": "of {student}", "tokenize": "tokens"}, {"of {student}": 3, "tokens": 4})


def reranking(student):
    return Job("rerank", "rerank", {"student": student})


def tokenizing():
    return Job("tokenize", "tokenize", {})


def test_members_of_a_group_share_submissions():
    jobs = [reranking("a")] * 4 + [reranking("b")] * 2 + [tokenizing()] * 5
    assert submissions.started(jobs, PAIRS).submissions == 2 + 1 + 2


def test_enough_members_share_an_import():
    assert submissions.started([reranking("a")] * 3, PAIRS).imports == 1
    assert submissions.started([reranking("a")] * 5, PAIRS).imports == 1 + 2
    assert submissions.started([reranking("a"), reranking("b")], PAIRS).imports == 2
    assert submissions.started([tokenizing()] * 4, PAIRS).imports == 0


def test_others_have_a_submission_and_an_import_each():
    jobs = [Job("train", "train", {})] * 3 + [Job("page", "page", {})]
    assert submissions.started(jobs, PAIRS) == Started(4, 4, 3)


def test_hours_of_starting_by_hand():
    assert Started(submissions=1800, jobs=5400, imports=900).hours == pytest.approx(2 * 2.3 + 1)


def test_first_stages_are_evaluated_apart():
    study = resolved("embedded")
    jobs = submissions.of_tasks(study, plan.tasks(study))
    rules = {job.rule for job in jobs}
    assert {"evaluate", "evaluate_first_stage", "rerank", "rerank_teacher"} <= rules
    assert len(jobs) == plan.jobs(study).total()


def test_the_full_study_has_few_submissions():
    study = resolved("morand2026")
    jobs = submissions.of_tasks(study, plan.tasks(study))
    started = submissions.started(jobs, SLURM)
    assert started.submissions == pytest.approx(640, abs=10)
    # 162 trainings, as many submissions of runs, and what is encoded and retrieved
    assert 324 < started.imports < 500


def loads_torch(command):
    """Whether a command imports torch, as its source says."""
    module = f"redistil.cli.{COMMANDS[command]}"
    (body,) = [
        node
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.FunctionDef) and node.name == command.replace("-", "_")
    ]
    return any(_reaches_torch(name, set()) for name in _imported(body))


def _tree(module):
    place = Path(ROOT / "src" / module.replace(".", "/"))
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return ast.parse(file.read_text()) if file.exists() else ast.Module([], [])


def _imported(node):
    """Yield what a piece of source imports when it is run, without its functions' own imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield str(child.module)
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.With):
            yield from _imported(child)


def _reaches_torch(module, seen):
    if module.partition(".")[0] == "torch":
        return True
    if module in seen or not module.startswith("redistil"):
        return False
    seen.add(module)
    return any(_reaches_torch(name, seen) for name in _imported(_tree(module)))


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_import_torch_are_counted(command):
    assert loads_torch(command) <= (command in submissions.LOADS_TORCH)


def test_a_lighter_command_is_told_from_others():
    assert loads_torch("train") and loads_torch("rerank") and not loads_torch("mine")

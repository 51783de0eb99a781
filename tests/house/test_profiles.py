"""The profiles name rules that exist, and ask for what the rules are."""

import re
from dataclasses import fields
from pathlib import Path

import click
import yaml
from snakemake_executor_plugin_slurm import ExecutorSettings
from snakemake_executor_plugin_slurm.validation import get_forbidden_slurm_options

from redistil.cli import cli

ROOT = Path(__file__).parents[2]
WRITTEN = (ROOT / "profiles/slurm/config.yaml").read_text()
SLURM = yaml.safe_load(WRITTEN)
DEFAULT = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))


def bodies():
    """Return the text of every rule, by its name; of one that uses another's, that one's too."""
    found = {}
    head = r"^(?:use rule (\w+) as )?(?:rule )?(\w+)(?: with)?:\n(.*?)(?=^\S|\Z)"
    for base, name, body in re.findall(head, RULES, re.M | re.S):
        found[name] = found.get(base, "") + body
    return found


BODIES = bodies()


def on_gpus():
    """Return the rules that hold a GPU."""
    return {name for name, body in BODIES.items() if "gpu=1," in body}


def takes_a_device(body):
    """Whether the command of a rule can compute on a GPU."""
    verb = re.search(r'"redistil ([\w-]+)', body)
    command = cli.get_command(click.Context(cli), verb[1]) if verb else None
    return command is not None and "device" in [param.name for param in command.params]


def test_rules_ask_for_gpus_by_what_they_are():
    wanted = {name for name, body in BODIES.items() if takes_a_device(body)}
    assert on_gpus() == wanted and "train" in wanted


def test_rules_that_hold_a_gpu_come_first():
    first = list(SLURM["set-resources"])[: len(on_gpus())]
    assert set(first) == on_gpus() and "rerank_checkpoint" in first


def test_rules_that_read_a_corpus_ask_for_memory():
    least = SLURM["default-resources"]["mem_mb"]
    for rule, body in BODIES.items():
        read = re.search(r"\n    input:\n(.*?)    output:", "\n" + body, re.S)
        if read and "data/corpora/passages/{corpus}" in read[1]:
            assert SLURM["set-resources"][rule].get("mem_mb", least) != least, rule


def test_profiles_name_rules_that_exist():
    assert SLURM["set-resources"].keys() <= BODIES.keys()
    assert SLURM["groups"].keys() <= BODIES.keys()
    assert set(SLURM["groups"].values()) == SLURM["group-components"].keys()


def test_a_training_never_shares_a_submission():
    assert not {"train", "score", "rank", "build", "encode", "embed"} & SLURM["groups"].keys()


def test_groups_keep_gpus_apart():
    by_group = {}
    for rule, group in SLURM["groups"].items():
        by_group.setdefault(group, set()).add(rule in on_gpus())
    assert all(len(kinds) == 1 for kinds in by_group.values())
    assert SLURM["resources"] == {"gpu": 1}


def test_the_lines_of_a_site_hold_where_they_should():
    adapted = yaml.safe_load(re.sub(r"# (slurm-qos|slurm_\w+|gpu_model):", r"\1:", WRITTEN))
    kinds = {field.name for field in fields(ExecutorSettings)}
    assert adapted["slurm-qos"] == "normal" and "qos" in kinds
    assert adapted["default-resources"]["slurm_partition"] == "'cpu'"
    for rule, asked in adapted["set-resources"].items():
        partition, kind = ("'gpu'", "'h200'") if rule in on_gpus() else (None, None)
        assert (asked.get("slurm_partition"), asked.get("gpu_model")) == (partition, kind), rule


def test_further_words_for_sbatch_are_allowed():
    for rule, asked in SLURM["set-resources"].items():
        for pattern in get_forbidden_slurm_options():
            assert not re.search(pattern, asked.get("slurm_extra", "")), rule


def test_every_try_asks_for_more():
    for rule, asked in SLURM["set-resources"].items():
        for resource in ("mem_mb", "runtime"):
            assert resource not in asked or asked[resource].endswith("* attempt"), rule
    assert SLURM["retries"] > 1


def test_the_default_profile_limits_nothing():
    # it outdoes every other profile, key by key: what it says, a cluster cannot change
    assert not {"resources", "set-resources", "jobs", "executor", "retries"} & DEFAULT.keys()

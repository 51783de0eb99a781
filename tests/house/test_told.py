"""Messages at the end of a run; what trains on queries is kept apart from the tests."""

import re
from pathlib import Path

import click
import pytest

from redistil.cli import cli
from redistil.cli.commands import COMMANDS
from redistil.storage import logs
from redistil.study import grid
from tests.made.configs import config_of, resolved

ROOT = Path(__file__).parents[2]
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
SENTENCE = "4 of 9 queries left out: same text, in data/corpora/queries/a-test-set.parquet"


def warned(config):
    """Return what a study that has run prints of its logs."""
    return list(logs.warnings(Path("logs"), config["study"], grid.names_behind(resolved(config))))


@pytest.mark.parametrize("stage", ["backbones", "negatives", "teachers"])
def test_queries_left_out_of_what_a_study_reads_are_told_at_its_end(tmp_path, monkeypatch, stage):
    monkeypatch.chdir(tmp_path)
    config = config_of("embedded")
    read = {
        "backbones": ["tiny-bert", "tiny-modernbert", "tiny-splade"],
        "negatives": ["pydocs-lists", "pydocs-triples"],
        "teachers": ["pydocs-mean"],
    }
    stages = config["first_stages"]
    stages["first"] = stages["tiny-splade"]
    config["grid"]["first_stage"] = "first"  # and not of its encoder's name
    folder = tmp_path / "logs" / stage
    folder.mkdir(parents=True)
    for name in [*read[stage], "of-another-study"]:
        (folder / f"{name}.log").write_text(f"1/2\nredistil: WARNING: {SENTENCE} ({name})\n")
    told = {f"logs/{stage}/{name}.log: {SENTENCE} ({name})" for name in read[stage]}
    assert set(warned(config)) == told


def rules():
    parts = re.split(r"^rule (\w+):$", RULES, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_rule_hands_the_queries_of_test_sets_to_every_command_that_takes_them():
    takes = {
        name
        for name in COMMANDS
        for param in cli.get_command(click.Context(cli), name).params
        if param.name == "test_elsewhere"
    }
    assert takes == {"build", "mine", "export-docpairs", "import-scores", "rank"}
    for name in takes:
        body = rules()[name.replace("-", "_")]
        for wanted in (
            r"test=named\(\"data/corpora/queries/\{dataset\}\.parquet\", \"tests\"\)",
            r"\"tests elsewhere\"",
            r"\{params\.test\}",
            r"\{params\.elsewhere\}",
        ):
            assert len(re.findall(wanted, body)) == 1, (name, wanted)

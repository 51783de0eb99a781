"""The study, what a rule asks of it, and the names that wildcards may take."""

import json
import shlex
import sys
from pathlib import Path

from redistil.cli.commands import code_of
from redistil.errors import UserError
from redistil.stages.corpora import beir
from redistil.storage import locks, logs, placed
from redistil.study import artefacts, grid, overlays, paths, patterns, shared, withheld
from snakemake.exceptions import WorkflowError

try:
    # Snakemake read these files already, by YAML 1.1; our reader refuses what that misreads
    flags = overlays.of_files(map(Path, workflow.config_settings.configfiles))
    flags = overlays.merged(flags, workflow.config_settings.config)
    stated = overlays.merged(overlays.of_files(map(Path, workflow.configfiles)), flags)
    STUDY, left_out = overlays.planned(stated, flags)
    if workflow.is_main_process:
        shared.refuse(stated, stated["study"], Path("studies"))
except UserError as mistake:
    raise WorkflowError(str(mistake))

config.clear()
config.update(STUDY.stated())
SETTINGS = artefacts.settings_of(STUDY)
GRID = config["grid"]
RESULTS = f"results/{config['study']}"


wildcard_constraints:
    **patterns.constraints(STUDY),


def named(pattern, over=None):
    """The paths that a pattern stands for, its words filled in by the catalogues."""

    def input(wildcards):
        try:
            return paths.paths(STUDY, pattern, over, wildcards)
        except UserError as mistake:
            raise WorkflowError(str(mistake))

    return signed(input)


def every(pattern, over):
    """The same without the wildcards of a job: what a whole stage makes."""
    return paths.paths(STUDY, pattern, over, {})


def each(flags, over):
    """The flags once for each row that they stand for."""
    return signed(lambda w: " ".join(paths.filled(STUDY, flags, over, w)))


def repeated(flag, files):
    """The flag once for each file of an input, by the input's name."""
    return signed(
        lambda wildcards, input: " ".join(f"{flag} {file}" for file in input.get(files))
    )


def settings(command, name):
    """The flags that say what the study asks of one artefact, and what it is called."""

    def flags(wildcards):
        called = name.format(**wildcards)
        return (
            f"--name {shlex.quote(called)} {artefacts.flags(SETTINGS[command, called])}"
        )

    return signed(flags)


def code(command, settings=lambda wildcards: {}):
    """The fingerprint of the code behind a command: a formula counts, a word does not.

    A job asks for its own alone, so that a job on a cluster starts without the others'.
    """
    return signed(lambda w: f"code of {command} {code_of(command, settings(w))}")


def passage_files(wildcards):
    return beir.listed(config, wildcards.corpus)


def query_files(wildcards):
    corpus = config["datasets"][wildcards.dataset]["corpus"]
    return beir.listed(config, corpus, wildcards.dataset)


def folder_files(wildcards):
    checkpoints = config["backbones"] | config.get("checkpoints", {})
    return placed.checkpoint_files(checkpoints[wildcards.fetched].get("folder"))


def reading(code, files):
    """A fingerprint of code, and of the files behind a job that no input can name."""

    def fingerprint(wildcards):
        unnamed = placed.unnamed(files(wildcards))
        return code(wildcards) + (f", files {unnamed}" if unnamed else "")

    return signed(fingerprint)


if workflow.is_main_process:
    try:
        told = [*left_out, *withheld.listed(STUDY), *locks.taken_off(locks.STATE)]
        # `workflow.touch` is not known yet when this is read
        if not {"--touch", "-t"} & {*sys.argv}:
            placed.refuse_unrecorded(config["study"], locks.STATE)
    except UserError as mistake:
        raise WorkflowError(str(mistake))
    print(*told, sep="\n", end="\n" * bool(told), file=sys.stderr)

"""The commands by name: the module of each, and the code behind each."""

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from redistil.storage import code

# command -> the module of its stage, `redistil.cli.<stage>`
COMMANDS = {
    "download": "downloads",
    "export-passages": "corpora",
    "export-queries": "corpora",
    "export-docpairs": "corpora",
    "fetch": "backbones",
    "build": "backbones",
    "collect-words": "backbones",
    "tokenize": "tokens",
    "encode": "candidates",
    "retrieve": "candidates",
    "retrieve-bm25": "candidates",
    "import-run": "candidates",
    "mine": "negatives",
    "adopt": "teachers",
    "score": "teachers",
    "score-bm25": "teachers",
    "average": "teachers",
    "gate": "teachers",
    "import-scores": "teachers",
    "rank": "teachers",
    "export-training": "exports",
    "recipe": "models",
    "train": "models",
    "embed": "retrieved",
    "search": "retrieved",
    "rerank": "runs",
    "rerank-bm25": "runs",
    "fuse": "runs",
    "shuffle": "runs",
    "evaluate": "measures",
    "sweep": "measures",
    "time": "latency",
    "export-run": "exports",
    "export-qrels": "exports",
    "resolve": "report",
    "tabulate": "report",
    "plot": "report",
    "compare": "report",
    "contrast": "report",
    "page": "report",
    "publish": "report",
}

# commands that start cold: they reach the network, which jobs with a warm start are kept from
COLD = ("download", "fetch")

# commands that make nothing, and have no rule: they answer
QUESTIONS = {"plan": "plan", "trace": "trace", "verify": "verify"}

# commands that read a model: its record covers the code of its architecture
READING = ("score", "embed", "search", "rerank", "time")

# of a command: the registries of which it uses one entry, and the setting that names the entry
CHOSEN = {
    "train": {"OBJECTIVES": "objective", "ARCHITECTURES": "architecture"},
    "adopt": {"ARCHITECTURES": "architecture"},
}


def code_of(command: str, settings: Mapping[str, Any]) -> str:
    """Return the fingerprint of the code that makes an artefact of these settings."""
    module = f"redistil.cli.{COMMANDS[command]}"
    chosen = {"ARCHITECTURES": ""} if command in READING else {}
    for registry, key in CHOSEN.get(command, {}).items():
        if key in settings:  # a recipe that lacks it is refused by its command
            chosen[registry] = str(settings[key])
    return code.fingerprint(module, command.replace("-", "_"), chosen)


def launcher() -> str:
    """Return the shell's words that make `redistil` this interpreter's, whatever PATH says.

    The command replaces its shell, so that a signal to a job reaches it. A job starts warm where a
    process offers that. Braces are doubled, as Snakemake fills single ones in.
    """
    python = shlex.quote(sys.executable).replace("{", "{{").replace("}", "}}")
    cold = f'{"|".join(COLD)}) exec {python} -P -m redistil "$@";;'
    warm = f'*) exec {python} -P -m redistil.machine.warm "$@";;'
    return f"set -euo pipefail; redistil() {{{{ case $1 in {cold} {warm} esac; }}}}; "

"""How a rule starts its command: which process, and what that process has imported."""

import importlib
import subprocess
import sys

import pytest

from redistil.cli import warm
from redistil.cli.commands import COLD, COMMANDS, launcher


@pytest.fixture
def started(monkeypatch):
    """Return the words with which a rule's command starts Python."""
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    prefix = launcher().format()

    def words(command):
        done = subprocess.run(["bash", "-c", f"{prefix}redistil {command} 'a  b'"], **HOW)
        return done.stdout.rstrip("\n")

    return words


HOW = {"capture_output": True, "check": True, "text": True}


def test_commands_start_warm_but_for_the_network(started):
    assert started("train") == "-P -m redistil.machine.warm train a  b"
    assert started("fetch") == "-P -m redistil fetch a  b"
    assert COLD and set(COLD) <= COMMANDS.keys()


@pytest.mark.parametrize("module", warm.PRELOADED)
def test_what_is_preloaded_exists(module):
    importlib.import_module(module)

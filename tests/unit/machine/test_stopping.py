"""Warnings before an end."""

import os
import signal

import pytest

from redistil.machine.stopping import WARNINGS, warnings


@pytest.mark.parametrize("warning", WARNINGS)
def test_a_warning_is_noted(warning):
    before = signal.getsignal(warning)
    with warnings(1) as warned:
        assert warned() == ""
        os.kill(os.getpid(), warning)
        assert warned() == warning.name
    assert signal.getsignal(warning) is before


def test_launched_processes_are_asked_nothing():
    before = signal.getsignal(signal.SIGTERM)
    with warnings(2) as warned:
        assert signal.getsignal(signal.SIGTERM) is before and warned() == ""

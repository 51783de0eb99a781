"""A warning that a job is about to be ended: what it does next is its own affair."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

# SIGTERM comes before a kill: at a time limit, a cancellation, a preemption. SIGUSR1 is what
# profiles/slurm asks for some minutes before a time limit
WARNINGS = (signal.SIGTERM, signal.SIGUSR1)


class Stopping:
    """Notes a warning while it is entered, instead of ending the process."""

    def __init__(self) -> None:
        self._warned = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for warning in WARNINGS:
            self._before[warning] = signal.signal(warning, self._note)
        return self

    def warned(self) -> str:
        """Return the name of the signal that came, or ""."""
        return self._warned

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._warned = signal.Signals(number).name

    def __exit__(self, *error: object) -> None:
        for warning, handler in self._before.items():
            signal.signal(warning, handler)


def leave_to_jobs() -> None:
    """Let a process that waits for jobs outlive the warning before a time limit."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


@contextmanager
def warnings(processes: int) -> Iterator[Callable[[], str]]:
    """Give the name of the signal that asks this work for an early end, "" until one comes.

    Of several processes none can end alone: their launcher ends them, and they are asked nothing.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if processes > 1 or not is_main:
        yield lambda: ""
        return
    with Stopping() as stopping:
        yield stopping.warned

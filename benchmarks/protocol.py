"""How the benchmark speaks with its contestants: a process each, one JSON line asked and answered.

Standard library only: the workers run in the peers' own environments.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Task = Callable[..., dict[str, Any]]


def serve(tasks: dict[str, Task]) -> None:
    """Answer each line of standard input, until there is none.

    What libraries print goes to standard error: the real standard output is kept for answers.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(tasks[request.pop("task")](**request)), file=answers, flush=True)


class Worker:
    """A contestant's process; what it prints is in `log`.

    start: what it is asked first, once it runs.
    """

    versions: dict[str, str]

    def __init__(self, python: Path, module: str, log: Path, start: dict[str, Any]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        self._command = [str(python), "-m", module]
        self._log = log
        self._start = start
        self._launch()

    def _launch(self) -> None:
        with self._log.open("a") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=Path(__file__).parents[1],
                env=os.environ | {"HF_HUB_OFFLINE": "1"},
            )
        self.versions = self.ask("start", **self._start)

    def renew(self) -> None:
        """Go on in a new process: a training leaves gigabytes with the one that did it."""
        self.stop()
        self._launch()

    def ask(self, task: str, **settings: Any) -> dict[str, Any]:
        """Return the answer; RuntimeError with the end of the log if the worker died."""
        assert self._process.stdin and self._process.stdout
        try:
            print(json.dumps({"task": task, **settings}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            end = "\n".join(self._log.read_text().splitlines()[-15:])
            raise RuntimeError(f"{task} failed (all of it: {self._log})\n{end}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()


# --- what workers measure -------------------------------------------------------------------------


class Clock:
    """Seconds between the first and the last optimiser step of a training.

    The first step, with whatever it sets up, is not counted. It listens to torch's optimisers, so
    that it is the same clock for every contestant and touches the loop of none.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.ticks: list[float] = []

    @contextmanager
    def listening(self) -> Iterator["Clock"]:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        handle = register_optimizer_step_post_hook(self._tick)
        try:
            yield self
        finally:
            handle.remove()

    def _tick(self, *_: Any) -> None:
        synchronise(self.device)
        self.ticks.append(time.perf_counter())

    @property
    def steps(self) -> int:
        return len(self.ticks) - 1

    @property
    def seconds(self) -> float:
        return self.ticks[-1] - self.ticks[0]


def synchronise(device: str) -> None:
    """Wait for what a GPU still has to do."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()

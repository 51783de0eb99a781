"""Gates of teachers: what failed one is told on the page and the cards.

A backbone has a gate too, and `build` refuses what fails it: no report ever has such a one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.study import Study


@dataclass(frozen=True)
class Gate:
    """Whether a teacher ranks better than what it has to beat."""

    subject: str
    passed: bool
    reason: str

    def __str__(self) -> str:
        """Return the gate in one sentence."""
        ended = "passed" if self.passed else "failed"
        return f"The teacher {self.subject} {ended} its gate: {self.reason}."


def read(files: Sequence[Path]) -> list[Gate]:
    """Return the gates of a study; files: what `gate` wrote."""
    gates = []
    for path in files:
        verdict = json.loads(lineage.checked(path).read_text(encoding="utf-8"))
        gates.append(Gate(verdict["subject"], verdict["passed"], verdict["reason"]))
    return gates


def failures(study: Study, gates: Sequence[Gate]) -> list[str]:
    """Return two sentences for each failed gate: why, and which losses it concerns."""
    sentences = []
    for gate in gates:
        if not gate.passed:
            losses = losses_taught_by(study, gate.subject)
            sentences.append(f"{gate} It teaches {', '.join(losses) or 'no loss of the grid'}.")
    return sentences


def losses_taught_by(study: Study, teacher: str) -> list[str]:
    """Return the losses of the grid that learn from a teacher."""
    losses = []
    for loss in study["grid"]["losses"]:
        if teacher in studies.teachers_behind(study, loss):
            losses.append(loss)
    return losses


def failures_behind(study: Study, gates: Sequence[Gate], loss: str) -> list[str]:
    """Return a sentence for each failed gate of the teachers behind a loss."""
    behind = studies.teachers_behind(study, loss)
    sentences = []
    for gate in gates:
        if gate.subject in behind and not gate.passed:
            sentences.append(str(gate))
    return sentences

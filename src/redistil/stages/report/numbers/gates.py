"""Gates of backbones and teachers: what failed one is told, and is left out of averages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.artefacts import Cell
from redistil.study.study import Study

RECORD = "gate.json"  # beside a backbone, and of a teacher
BACKBONE, TEACHER = "backbone", "teacher"


@dataclass(frozen=True)
class Gate:
    """Whether a backbone learned, or a teacher ranks better than what it has to beat."""

    kind: str
    subject: str
    passed: bool
    reason: str

    def __str__(self) -> str:
        """Return the gate in one sentence."""
        ended = "passed" if self.passed else "failed"
        return f"The {self.kind} {self.subject} {ended} its gate: {self.reason}."


def read(backbones: Sequence[Path], teachers: Sequence[Path]) -> list[Gate]:
    """Return the gates of a study.

    backbones: records of built ones, of which cross-encoders have a gate; teachers: what `gate`
    wrote.
    """
    gates = []
    for record in backbones:
        path = record.parent / RECORD
        if path.exists():
            gates.append(_of_backbone(path))
    for path in teachers:
        gate = json.loads(lineage.checked(path).read_text(encoding="utf-8"))
        gates.append(Gate(TEACHER, gate["subject"], gate["passed"], gate["reason"]))
    return gates


def _of_backbone(path: Path) -> Gate:
    gate = json.loads(lineage.checked(path).read_text(encoding="utf-8"))
    value, least = gate["encoder"], gate["least"]
    reason = (
        f"{gate['measure']} {value:.3f} on {gate['queries']} held-out training queries, where "
        f"{least:.3f} is the least that passes"
    )
    return Gate(BACKBONE, lineage.of(path).name, value >= least, reason)


def students_left_out(study: Study, gates: Sequence[Gate]) -> list[str]:
    """Return the students of the grid whose backbone failed: no average over students has them."""
    failed = [gate.subject for gate in gates if gate.kind == BACKBONE and not gate.passed]
    students = []
    for name in study["grid"]["students"]:
        if study["students"][name]["backbone"] in failed:
            students.append(name)
    return students


def losses_taught_by(study: Study, teacher: str) -> list[str]:
    """Return the losses of the grid that learn from a teacher."""
    losses = []
    for loss in study["grid"]["losses"]:
        if teacher in studies.teachers_behind(study, loss):
            losses.append(loss)
    return losses


def failures(study: Study, gates: Sequence[Gate]) -> list[str]:
    """Return a sentence or two for each failed gate: why, and what it concerns."""
    sentences = []
    for gate in gates:
        if not gate.passed:
            sentences.append(f"{gate} {_concerned(study, gate)}")
    return sentences


def _concerned(study: Study, gate: Gate) -> str:
    if gate.kind == TEACHER:
        losses = losses_taught_by(study, gate.subject)
        return f"It teaches {', '.join(losses) or 'no loss of the grid'}."
    students = students_left_out(study, [gate])
    if not students:
        return "No student of the grid starts from it."
    return f"Averages over students leave out {', '.join(students)}."


def failures_behind(study: Study, gates: Sequence[Gate], cell: Cell) -> list[str]:
    """Return a sentence for each failed gate of the backbone and the teachers of a model."""
    behind = {
        (BACKBONE, study["students"][cell.student]["backbone"]),
        *((TEACHER, name) for name in studies.teachers_behind(study, cell.loss)),
    }
    sentences = []
    for gate in gates:
        if (gate.kind, gate.subject) in behind and not gate.passed:
            sentences.append(str(gate))
    return sentences


def left_out(students: Sequence[str]) -> str:
    """Return, for the captions of averages over students, which ones they lack."""
    if not students:
        return ""
    return f"Left out, as its backbone failed its gate: {', '.join(students)}."

"""Lengths of texts: none beyond the tokens that are kept, and space for a passage in every pair."""

from redistil.errors import BadSettings
from redistil.study.fields import Entry
from redistil.study.grid import needed
from redistil.study.protocol import Training
from redistil.study.study import Study


def check_lengths(study: Study) -> None:
    """Refuse a cap beyond the tokens that are kept, and a pair too short for any passage."""
    names = needed(study)
    if study.training:
        _check_caps(study, "training", study.training)
        for name in sorted(names["students"]):
            _check_student_caps(study, study.training, name)
    for name in sorted(names["first_stages"]):
        _check_caps(study, f"first_stages.{name}", study.first_stages[name])
    for name in sorted(names["checkpoints"]):
        _check_caps(study, f"checkpoints.{name}", study.checkpoints[name])


def _check_student_caps(study: Study, training: Training, name: str) -> None:
    """Refuse lengths that the entry of a student sets, as those of the training are refused."""
    student = study.students[name]
    if student.settings().keys() > {"architecture", "backbone", "size"}:
        _check_caps(study, f"students.{name}", training.reading(student))


def _check_caps(study: Study, path: str, entry: Entry) -> None:
    settings, longest = entry.settings(), study.tokens.longest
    for key in ("query_length", "passage_length"):
        length = settings.get(key, 0)
        if length > longest:
            raise BadSettings(f"{path}.{key}: {length} exceeds tokens.longest ({longest})")
    query, pair = settings.get("query_length", 0), settings.get("pair_length")
    if pair and pair <= query:
        raise BadSettings(
            f"{path}.pair_length: {pair} leaves a query of {path}.query_length ({query}) no "
            "tokens for a passage"
        )

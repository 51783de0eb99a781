"""Where entries are from and what their terms are, by their classes."""

import pytest

from redistil.study.origins import Origin
from redistil.study.teachers import TEACHERS, ImportedTeacher
from tests.made.configs import STUDIES, resolved


@pytest.mark.parametrize("kind", TEACHERS)
def test_scores_made_here_have_terms(kind: str):
    """A card would ask its reader to look up the licence of what this pipeline computed."""
    teacher = TEACHERS[kind]
    unknown = teacher.unstated_licence == Origin.unstated_licence
    assert unknown == (teacher is ImportedTeacher)


@pytest.mark.parametrize("name", STUDIES)
def test_models_of_teachers_are_entries(name: str):
    study = resolved(name)
    backbone_of = {student: entry.backbone for student, entry in study.students.items()}
    seen = set()
    for teacher in study.teachers.values():
        model = teacher.runs(backbone_of)
        if model:
            assert model.name in getattr(study, model.catalogue)
            seen.add(model.called)
    assert seen == {"backbone", "language model", "re-ranker"}


def test_origins_by_hand():
    study = resolved("morand2026")
    assert study.backbones["tiny-bert"].origin == ""
    assert study.backbones["bert-base"].origin == study.backbones["bert-base"].hub
    assert study.checkpoints["monoelectra-base"].origin == "webis/monoelectra-base"
    assert study.corpora["msmarco-passage"].origin == "msmarco-passage"
    assert study.corpora["pydocs"].origin == ""
    assert study.teachers["t2"].origin in study.downloads

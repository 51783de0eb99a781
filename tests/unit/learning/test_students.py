"""The architectures of students behind one interface: made from a recipe, loaded by a record."""

import pytest

from redistil.errors import Stale
from redistil.learning import students
from redistil.learning.students.cat import Cat
from redistil.storage import lineage
from tests.made.checkpoints import PAIRS, ROOMY, close, refused, scores, student_on

pytestmark = pytest.mark.usefixtures("quiet")


def test_the_recipe_names_architecture_and_lengths(checkpoints):
    recipe = {"architecture": "cat", "loss": "kl", "pair_form": "native", **ROOMY}
    student = students.new(recipe, checkpoints["bert"], 1)
    assert isinstance(student, Cat) and student.lengths == ROOMY


def test_a_record_names_the_architecture(checkpoints, tmp_path):
    student = student_on(checkpoints["bert"])
    student.save(tmp_path)
    refused(lambda: students.load(tmp_path), str(tmp_path), "no made.json")
    record = tmp_path / lineage.SIDECAR
    record.write_text(lineage.make("fetch", "tiny", {"hub": "x"}, "", []).dumps())
    refused(lambda: students.load(tmp_path), "not a trained model but fetch tiny")
    record.write_text("nothing")
    with pytest.raises(Stale):
        students.load(tmp_path)
    record.write_text(lineage.make("train", "m", {"architecture": "cat"}, "", []).dumps())
    close(scores(students.load(tmp_path).eval(), PAIRS), scores(student, PAIRS))

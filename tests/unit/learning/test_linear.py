"""BERT_CAT with a linear head: scores of plain transformers, saved and loaded."""

import pytest
import torch
from transformers import AutoModel

from redistil.errors import BadSettings
from redistil.learning import students
from redistil.learning.pairs import Pairs
from redistil.storage import lineage
from tests.made.students import FAMILIES, PASSAGES, QUERIES, ids, pairs_of, settings_of, student_of

pytestmark = pytest.mark.usefixtures("quiet")
ROOMY = {"query_length": 20, "passage_length": 30, "pair_length": 60}


@torch.no_grad()
def plain(student, folder, query, passage):
    network = AutoModel.from_pretrained(folder).eval()
    inputs = student.tokenizer(query, passage, return_tensors="pt")
    first = network(**inputs).last_hidden_state[0, 0]
    return float(first @ student.head.weight[0] + student.head.bias)


@pytest.mark.parametrize("family", [*FAMILIES, "modernbert"])
def test_scores_map_the_first_state(checkpoints, family):
    student = student_of("cat-linear", checkpoints[family], **ROOMY)
    assert student.kept is None
    for query, passage in zip(QUERIES[:3], PASSAGES, strict=False):
        with torch.no_grad():
            got = student.score(ids(student, query), ids(student, passage)).item()
        assert got == pytest.approx(plain(student, checkpoints[family], query, passage), rel=1e-4)


def test_a_pair_is_cut(checkpoints):
    student = student_of("cat-linear", checkpoints["distilbert"])
    (query,), (passage,) = ids(student, QUERIES[2]), ids(student, PASSAGES[2])
    assert student.costs(Pairs.aligned([query], [passage])) == [8 + 12 + 3]
    with torch.no_grad():
        whole, cut = student.score([query], [passage]), student.score([query[:8]], [passage[:12]])
    assert torch.equal(whole, cut)


def test_it_is_saved_and_loaded(checkpoints, tmp_path):
    student = student_of("cat-linear", checkpoints["distilbert"])
    student.save(tmp_path)
    record = lineage.make("train", "m", settings_of("cat-linear"), "", [])
    (tmp_path / lineage.SIDECAR).write_text(record.dumps())
    loaded, pairs = students.load(tmp_path).eval(), pairs_of(student)
    with torch.no_grad():
        torch.testing.assert_close(loaded.scores(pairs), student.scores(pairs))


def test_a_pair_beyond_the_positions(checkpoints):
    with pytest.raises(BadSettings, match="pair_length: the backbone reads 64 tokens at most"):
        student_of("cat-linear", checkpoints["bert"], pair_length=65)

"""BERT_DOT: the inner product of [CLS] states, by plain transformers and by other libraries."""

import pytest
import torch
from transformers import AutoModel

from tests.made.students import FAMILIES, PASSAGES, QUERIES, ids, student_of

pytestmark = pytest.mark.usefixtures("quiet")


@torch.no_grad()
def first_state(folder, tokenizer, text):
    """Return the [CLS] state of one text, by plain transformers."""
    network = AutoModel.from_pretrained(folder).eval()
    return network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 0]


@pytest.mark.parametrize("family", [*FAMILIES, "modernbert", "deberta-v2"])
def test_scores_are_products_of_first_states(checkpoints, family):
    folder = checkpoints[family]
    student = student_of("dot", folder, query_length=20, passage_length=30)
    for query, passage in zip(QUERIES, PASSAGES, strict=False):
        one, other = (first_state(folder, student.tokenizer, text) for text in (query, passage))
        with torch.no_grad():
            got = student.score(ids(student, query), ids(student, passage))
        wanted = float(one @ other)
        assert float(got) == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_products_by_hand():
    from redistil.learning.students.dot import Dot
    from redistil.learning.students.states import States

    queries = States.of_texts(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
    passages = States.of_texts(torch.tensor([[3.0, 1.0], [5.0, 5.0]]))
    query, passage = torch.tensor([0, 1, 0]).numpy(), torch.tensor([0, 1, 1]).numpy()
    assert Dot.interact(None, queries, passages, query, passage).tolist() == [5.0, -5.0, 15.0]


def test_sentence_transformers_gives_the_scores(checkpoints, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    student = student_of("dot", checkpoints["distilbert"])
    student.save(tmp_path)
    theirs = sentence_transformers.SentenceTransformer(
        str(tmp_path), device="cpu", local_files_only=True
    )
    queries = theirs.encode_query(list(QUERIES), convert_to_tensor=True)
    passages = theirs.encode_document(list(PASSAGES), convert_to_tensor=True)
    got = theirs.similarity(queries, passages)
    assert theirs.similarity_fn_name == "dot"
    compare(student, got)


def compare(student, got):
    """Hold scores [queries, passages] to a student's; one query is longer than the cap."""
    for row, query in enumerate(QUERIES):
        asked = ids(student, query) * len(PASSAGES)
        with torch.no_grad():
            wanted = student.score(asked, ids(student, *PASSAGES))
        torch.testing.assert_close(got[row], wanted, rtol=1e-5, atol=1e-4)

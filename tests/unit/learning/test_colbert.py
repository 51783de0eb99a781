"""ColBERT: best products by hand, by a slow implementation, and by sentence-transformers."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from redistil.errors import BadSource
from redistil.learning.students.colbert import Colbert
from redistil.learning.students.states import States
from redistil.study import architectures
from tests.made.students import FAMILIES, PASSAGES, QUERIES, ids, student_of
from tests.unit.learning.test_dot import compare

pytestmark = pytest.mark.usefixtures("quiet")


def test_best_products_by_hand():
    """The query (1, 0), (0, 2) meets (3, 1), (-1, 4) with 3 and 8, and (-2, -1) with -2 and -2."""
    queries = States(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), np.array([0, 2]))
    passages = States(torch.tensor([[3.0, 1.0], [-1.0, 4.0], [-2.0, -1.0]]), np.array([0, 2, 3]))
    query, passage = np.array([0, 0]), np.array([1, 0])
    found = Colbert.interact(None, queries, passages, query, passage)
    assert found.tolist() == [-4.0, 11.0]


@torch.no_grad()
def slow(student, folder, query, passage):
    """Return one score as the authors' notebook computes it: a loop over tokens of one pair."""
    network = AutoModel.from_pretrained(folder).eval()
    masks = [student.tokenizer.mask_token_id] * student.settings.masks
    asked = student.tokenizer(query)["input_ids"]
    if student.settings.mask_position == "after":
        asked = asked + masks
    else:
        asked = asked[:-1] + masks + asked[-1:]
    shown = student.tokenizer(passage)["input_ids"]
    vectors = []
    for text in (asked, shown):
        states = network(input_ids=torch.tensor([text])).last_hidden_state[0]
        vectors.append(states @ student.head.weight.T + student.head.bias)
    total = 0.0
    for token in vectors[0]:
        total += max(float(token @ other) for other in vectors[1])
    return total


@pytest.mark.parametrize("position", ["before", "after"])
@pytest.mark.parametrize("family", [*FAMILIES, "modernbert"])
def test_scores_are_sums_of_best_products(checkpoints, family, position):
    folder = checkpoints[family]
    how = {"query_length": 20, "passage_length": 30, "mask_position": position}
    student = student_of("colbert", folder, **how)
    for query, passage in zip(QUERIES, PASSAGES, strict=False):
        with torch.no_grad():
            got = student.score(ids(student, query), ids(student, passage))
        wanted = slow(student, folder, query, passage)
        assert float(got) == pytest.approx(wanted, rel=1e-4)


def test_sentence_transformers_gives_the_scores(checkpoints, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    student = student_of("colbert", checkpoints["distilbert"], masks=0)
    student.save(tmp_path)
    theirs = sentence_transformers.MultiVectorEncoder(
        str(tmp_path), device="cpu", local_files_only=True
    )
    queries = theirs.encode_query(list(QUERIES))
    passages = theirs.encode_document(list(PASSAGES))
    compare(student, theirs.similarity(queries, passages))


def test_masks_can_be_written_out(checkpoints, tmp_path):
    """Other libraries add no fixed number of [MASK] tokens: a query says them as words."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    student = student_of("colbert", checkpoints["bert"], query_length=20)
    student.save(tmp_path)
    theirs = sentence_transformers.MultiVectorEncoder(
        str(tmp_path), device="cpu", local_files_only=True
    )
    asked = [f"{query} [MASK] [MASK] [MASK]" for query in QUERIES]
    queries = theirs.encode_query(asked)
    passages = theirs.encode_document(list(PASSAGES))
    compare(student, theirs.similarity(queries, passages))


@pytest.mark.peers
@pytest.mark.pylate
@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_pylate_gives_the_scores_by_the_lines_of_the_docs(checkpoints, tmp_path, family):
    pytest.importorskip("pylate.models")
    student = student_of("colbert", checkpoints[family], masks=0)
    student.save(tmp_path)
    page = (Path(__file__).parents[3] / "docs/models.md").read_text()
    (lines,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "pylate" in code]
    there = lines.replace("results/my-study/models/tiny-colbert/margin-mse/1", str(tmp_path))
    asked = there.replace('["how to sort a list"]', repr(list(QUERIES)))
    known: dict[str, Any] = {}
    exec(asked.replace('["Return a new sorted list."]', repr(list(PASSAGES))), known)
    scores = []
    for query in known["queries"]:
        best = [(query @ passage.T).max(axis=1).sum() for passage in known["passages"]]
        scores.append(torch.tensor(best))
    compare(student, torch.stack(scores))


def test_masks_need_a_token(checkpoints, monkeypatch):
    student = student_of("colbert", checkpoints["bert"])
    student.tokenizer.mask_token = None
    with pytest.raises(BadSource, match=r"no \[MASK\] token: set `masks` to 0"):
        student.templates()


def test_states_of_neighbours_are_read_where_they_lie():
    values = torch.arange(12.0).view(6, 2)
    states = States(values, np.array([0, 1, 1, 4, 6]))
    near, apart = states.at(np.array([1, 2, 3])), states.at(np.array([3, 1, 2]))
    assert near.values.data_ptr() == values[1:].data_ptr()
    assert near.sizes.tolist() == [0, 3, 2] and apart.sizes.tolist() == [2, 0, 3]
    assert torch.equal(near.values, values[1:])
    assert torch.equal(apart.values, torch.cat([values[4:], values[1:4]]))
    assert len(states.at(np.array([], np.int64))) == 0


def test_the_first_projection_has_the_spread_that_is_asked():
    encoder = SimpleNamespace(config=SimpleNamespace(hidden_size=50))
    how = {"dimensions": 200, "masks": 0, "mask_position": "before"}
    lengths = {"query_length": 8, "passage_length": 12}
    heads = []
    for spread in (None, 0.001):
        settings = architectures.Colbert(**how, **lengths, spread=spread)
        heads.append(Colbert.head_on(encoder, settings))
    own, narrow = (head.weight.detach().std().item() for head in heads)
    assert narrow == pytest.approx(0.001, rel=0.1) and not heads[1].bias.any()
    assert own > 0.05

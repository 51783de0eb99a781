"""Scores of many pairs, in any order and batch, and a step's gradient in parts."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from redistil.learning import batches, scoring
from redistil.learning.gradients import Memory, Outcome, learn
from redistil.learning.pairs import Pairs
from redistil.learning.scoring import score_pairs
from redistil.learning.students.cat import Cat
from redistil.learning.students.interface import Base
from redistil.machine.processes import Processes
from redistil.storage import lineage, ragged
from redistil.storage.ragged import Ragged
from tests.made.checkpoints import PAIRS, close, ids_of, scores, student_on

pytestmark = pytest.mark.usefixtures("quiet")


# --- many pairs -------------------------------------------------------------------------------


@pytest.fixture
def files(checkpoints, tmp_path) -> tuple[Cat, Ragged, Ragged]:
    """A student, and the token files of the queries and passages of PAIRS."""
    student = student_on(checkpoints["roberta"])
    for side, texts in zip(("q", "p"), zip(*PAIRS, strict=True), strict=True):
        with ragged.writer(tmp_path / f"{side}.arrow", lineage.make("t", side, {}, "", [])) as add:
            add(
                [str(i) for i in range(len(texts))],
                [row.tolist() for row in ids_of(student, texts)],
            )
    return student, Ragged(tmp_path / "q.arrow"), Ragged(tmp_path / "p.arrow")


ROWS = np.array([4, 0, 0, 3, 1, 2, 4]), np.array([4, 0, 1, 3, 1, 2, 0])


def test_scores_keep_the_order_given(files, monkeypatch):
    student, queries, passages = files
    pairs = [(PAIRS[q][0], PAIRS[p][1]) for q, p in zip(*ROWS, strict=True)]
    wanted = scores(student, pairs)
    for budget, window in ((4096, 1 << 16), (40, 3), (1, 1)):
        monkeypatch.setitem(batches.BUDGET, "cpu", budget)
        monkeypatch.setattr(batches, "CACHED", 0)
        monkeypatch.setattr(scoring, "WINDOW", window)
        got = score_pairs(student.train(), queries, passages, ROWS, "float32")
        assert got.dtype == np.float32
        close(torch.from_numpy(got), wanted)


def test_no_pair_has_no_score(files):
    none = np.array([], np.int64)
    assert score_pairs(*files, (none, none), "float32").shape == (0,)


def test_half_precision_is_near(files):
    exact, near = (score_pairs(*files, ROWS, name) for name in ("float32", "bfloat16"))
    assert near.dtype == np.float32
    assert 0 < np.abs(exact - near).max() < 0.1


# --- in parts ---------------------------------------------------------------------------------


class Mean(Base):
    """A student: the score of a pair is a product of the means of its embeddings."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.words = nn.Embedding(20, 6)
        self.calls = 0

    def costs(self, pairs):
        texts = zip(pairs.query_texts(), pairs.passage_texts(), strict=True)
        return [len(query) + len(passage) for query, passage in texts]

    def scores(self, pairs):
        self.calls += 1
        queries = self.means(pairs.query_texts())
        passages = self.means(pairs.passage_texts())
        return (queries * passages).sum(-1)

    def means(self, texts):
        return torch.stack([self.words(torch.from_numpy(t).long()).mean(0) for t in texts])


def texts(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(20, size=rng.integers(1, 9)).astype(np.int32) for _ in range(count)]


def nine_pairs() -> Pairs:
    return Pairs.aligned(texts(1, 9), texts(2, 9))


MEMORIES = {
    "one pass": (999, 999),
    "passes held": (12, 999),
    "passes twice": (12, 20),
    "pairs": (1, 0),
}


def learnt(memory: tuple[int, int]) -> tuple[Mean, Outcome]:
    def loss(scores: Tensor) -> Tensor:
        return (scores.view(3, 3).softmax(-1)[:, 0] - 0.2).square().sum()

    student, pairs = Mean(), nine_pairs()
    return student, learn(
        student, pairs, loss, Memory(*memory), "float32", (1, 1), Processes("cpu")
    )


@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES.keys())
def test_micro_batches_have_the_whole_gradient(memory):
    whole_batch, parts = Mean(), learnt(memory)
    scores = whole_batch.scores(nine_pairs())
    loss = (scores.view(3, 3).softmax(-1)[:, 0] - 0.2).square().sum()
    loss.backward()
    torch.testing.assert_close(parts[1].loss, loss.detach())
    torch.testing.assert_close(parts[1].scores, scores.detach())
    torch.testing.assert_close(parts[0].words.weight.grad, whole_batch.words.weight.grad)


def test_steps_beyond_memory_score_twice():
    calls = {name: learnt(memory)[0].calls for name, memory in MEMORIES.items()}
    assert calls["one pass"] == 1 and calls["pairs"] == 18
    assert calls["passes twice"] == 2 * calls["passes held"]


class Dropping(Mean):
    """A student whose scores hang on its dropout."""

    def scores(self, pairs):
        return nn.functional.dropout(super().scores(pairs), 0.5)


def test_both_passes_draw_one_dropout():
    pairs, gradients = nine_pairs(), []
    for held in (0, 999):
        student = Dropping()
        learn(
            student,
            pairs,
            lambda s: s.square().sum(),
            Memory(12, held),
            "float32",
            (1, 5),
            Processes("cpu"),
        )
        gradients.append(student.words.weight.grad)
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1])
